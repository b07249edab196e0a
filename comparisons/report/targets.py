"""What it took each run to reach a target score: updates, tokens, seconds and FLOPs.

A run reaches the target where its held-out curve, straight lines from one evaluation to the next,
first touches it. A run that never does has missed it, and so has one that diverged: it is counted
as that beside the others' mean, and has no number.

The target is the one that ``bakeoff report DIR --target`` was given last, which is kept in the
folder, or follows from the runs: the largest score that half of them reach, rounded down to a
multiple of 0.05, or of 0.01 if that is no more than a run had before training. If it is still no
more, there is no target.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from bakeoff.comparisons.report.axes import READ, Curve, Reading, curves_of
from bakeoff.comparisons.report.pairing import is_control
from bakeoff.comparisons.results import Results, Row, groups
from bakeoff.comparisons.running.folder import read_json, write_json
from bakeoff.errors import UsageError

FILE = "report.json"
"""What a report was asked for: ``{"target": 0.8}``."""

STEPS = (0.05, 0.01)

TOLERANCE = 1e-9
"""Means of equal scores differ by less than this, in the order in which they were summed."""


def target_readings(results: Results) -> dict[tuple[str, ...], Reading]:
    """Return what it took the runs that ended ok to reach the target of their place.

    The metrics are ``target/AXIS``, read where the axis ``score`` has the target's value.

    Args:
        results: the cells' rows.

    Returns:
        By environment and model; places without a target are left out.

    Raises:
        UsageError: the folder's ``report.json`` is broken.
    """
    asked = kept_target(results.out)
    curves = curves_of(results, *READ["score"])
    found = {}
    for place, runs in groups(results.runs, "environment", "model"):
        counted = [curves.get(str(run["run_id"])) for run in runs if not is_control(run)]
        target = default_target(counted) if asked is None else asked
        if target is not None:
            found[place] = _reading(target, runs, curves)
    return found


def _reading(target: float, runs: Sequence[Row], curves: Mapping[str, Curve]) -> Reading:
    ok = [str(run["run_id"]) for run in runs if run["status"] == "ok"]
    costs = {name: taken(curves[name], target) for name in ok if name in curves}
    values = {name: found for name, found in costs.items() if found is not None}
    diverged = {str(run["run_id"]) for run in runs if run["status"] == "diverged"}
    return Reading("score", target, values, frozenset(costs.keys() - values.keys() | diverged))


def taken(curve: Curve, target: float) -> dict[str, float] | None:
    """Return the value of each axis at which a curve first reaches a target; None if it never does.

    Example:
        >>> taken(Curve({"update": [0, 10, 20]}, [0.0, 0.5, 0.25]), 0.25)
        {'target/update': 5.0}
    """
    heights = curve.value_N
    after = next((n for n, y in enumerate(heights) if y >= target - TOLERANCE), None)
    if after is None:
        return None
    before = max(0, after - 1)
    rise = heights[after] - heights[before]
    part = min(1.0, (target - heights[before]) / rise) if rise > 0 else 0.0
    found = {}
    for axis, x_N in curve.x_AN.items():
        x = x_N[before] + (x_N[after] - x_N[before]) * part
        if math.isfinite(x):
            found[f"target/{axis}"] = x
    return found


def default_target(curves: Sequence[Curve | None]) -> float | None:
    """Return the target that follows from the runs' held-out scores; None if there is none.

    Args:
        curves: of every run, failed ones included; None for one that was never evaluated.

    Example:
        >>> def run(*scores):
        ...     return Curve({}, scores)
        >>> default_target([run(0.1, 0.83), run(0.1, 0.62), run(0.1, 0.73), None])  # two reach .73
        0.7
    """
    best = sorted((max(curve.value_N) for curve in curves if curve), reverse=True)
    half = math.ceil(len(curves) / 2)
    if not best or len(best) < half:
        return None
    start = max(curve.value_N[0] for curve in curves if curve)
    for step in STEPS:
        target = round(math.floor(best[half - 1] / step + TOLERANCE) * step, 2)
        if target > start:
            return target
    return None


def keep_target(out: Path, text: str) -> None:
    """Write down the target that the reports of a folder have from now on; ``auto``: the default.

    Raises:
        UsageError: it is no number, or the folder holds no results.
    """
    try:
        target = None if text == "auto" else float(text)
    except ValueError:
        target = math.nan
    if target is not None and not math.isfinite(target):
        raise UsageError(f"a target is a score, 0.8, or auto, not '{text}'")
    if not (out / "cells").is_dir():
        raise UsageError(f"{out} holds no results: it has no folder 'cells'")
    if target is None:
        (out / FILE).unlink(missing_ok=True)
    else:
        write_json(out / FILE, {"target": target})


def target_said(pairs: Sequence[Row], out: Path) -> list[str]:
    """Return where the target of one environment and model comes from; nothing if it has none.

    Args:
        pairs: its rows of ``pairwise.csv``.
        out: the results folder.
    """
    if not any(row["at_axis"] == "score" for row in pairs):
        return []
    if kept_target(out) is not None:
        return ["the target score is the one that was given"]
    return [
        "the target score follows from these runs, half of which reach it; for a claim give one "
        "beforehand, by `bakeoff report FOLDER --target`"
    ]


def kept_target(out: Path) -> float | None:
    """Return the target that a folder's reports were given; None if that is the default.

    Raises:
        UsageError: the file that holds it is broken.
    """
    target = (read_json(out / FILE) or {}).get("target")
    if target is None:
        return None
    if isinstance(target, bool) or not isinstance(target, int | float):
        raise UsageError(f"{out / FILE} is broken: its target is {target!r}; delete it")
    return float(target)
