"""The curves of one place, thinned and rounded for the page's charts.

For each split, ``train`` and ``eval``, all runs share one list of updates. A run without a point
there has no x. A run with a point and without the metric has an x and no value: a gap, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, TypeVar

from bakeoff.comparisons.report.measures import number
from bakeoff.comparisons.report.style import BAND_SEEDS
from bakeoff.comparisons.results import Row, groups
from bakeoff.comparisons.statistics import t_interval

AXES = {
    "update": "updates",
    "completion_tokens": "completion tokens",
    "total_tokens": "tokens, prompts included",
    "train_wall_s": "training time (s, evaluation left out)",
    "train_flops": "training FLOPs",
}
"""The columns of curves.csv that a chart may have as its x, and how they are said."""

FIRST = (("eval", "score/mean"), ("train", "reward/mean"))
"""The metrics that are offered first, the first of them shown."""

MAX_POINTS = 400
"""Updates of one curve: more than a screen is wide enough for."""

MAX_VALUES = 400_000
"""Values of all curves of a page, some 3 MB; beyond, curves have fewer points."""

MIN_POINTS = 20

T = TypeVar("T")

Point = dict[str, float | None]
"""One update of a run: the x-axes and metrics, by name."""

Track = dict[int, Point]
"""A run's updates of one split."""


def tracks(curves: Sequence[Mapping[str, str]]) -> dict[tuple[str, str], Track]:
    """Return the points of each run and split: ``{(run_id, split): {update: {name: value}}}``.

    A value that is not finite is missing.

    Args:
        curves: the rows of curves.csv.
    """
    found: dict[tuple[str, str], Track] = {}
    for row in curves:
        points = found.setdefault((row["run_id"], row["split"]), {})
        update = int(row["update"])
        if update not in points:
            points[update] = {axis: rounded(number(row[axis])) for axis in AXES}
        points[update][f"{row['split']} {row['metric']}"] = rounded(number(row["value"]))
    return found


def points_kept(found: Mapping[tuple[str, str], Track]) -> int:
    """Return how many updates of a curve the page has room for.

    Args:
        found: all points of the comparison.
    """
    lines = sum(len({name for point in own.values() for name in point}) for own in found.values())
    return max(MIN_POINTS, min(MAX_POINTS, MAX_VALUES // max(lines, 1)))


def place_curves(
    runs: Sequence[Row], found: Mapping[tuple[str, str], Track], points: int
) -> dict[str, Any]:
    """Return the curves of one environment and model, controls not among them.

    Args:
        runs: the rows of runs.csv, in the order of the page's runs.
        found: the points of every run.
        points: how many updates are kept of more.
    """
    shown: dict[str, Any] = {"thinned": False, "splits": {}, "metrics": []}
    for split in ("eval", "train"):
        own = [found.get((str(run["run_id"]), split), {}) for run in runs]
        updates = sorted({update for track in own for update in track})
        kept = evenly(updates, points)
        shown["thinned"] |= len(kept) < len(updates)
        ok = _ok_runs(runs)
        shown["splits"][split] = {
            axis: {
                "runs": [[_at(track, update, axis) for update in kept] for track in own],
                "means": _per_algorithm(ok, own, kept, axis, fmean),
            }
            for axis in AXES
            if any(_at(track, update, axis) is not None for track in own for update in kept)
        }
        names = dict.fromkeys(name for track in own for point in track.values() for name in point)
        for name in (name for name in names if name not in AXES):
            shown["metrics"].append(
                {
                    "split": split,
                    "name": name.split(" ", 1)[1],
                    "runs": [[_at(track, update, name) for update in kept] for track in own],
                    "means": _per_algorithm(ok, own, kept, name, _mean_and_interval),
                }
            )
    order = {key: place for place, key in enumerate(FIRST)}
    shown["metrics"].sort(key=lambda m: order.get((m["split"], m["name"]), len(order)))
    return shown


def evenly(items: Sequence[T], count: int) -> list[T]:
    """Return at most ``count`` of the items, evenly spread, the first and the last among them.

    Example:
        >>> evenly(range(11), 3), evenly([1, 2], 3)
        ([0, 5, 10], [1, 2])
    """
    if len(items) <= count:
        return list(items)
    step = (len(items) - 1) / (count - 1)
    return [items[round(place * step)] for place in range(count)]


def rounded(value: float | None) -> float | int | None:
    """Return a number in six digits, a whole one as such; None if it is missing or not finite.

    Example:
        >>> rounded(0.12345678), rounded(40.0), rounded(float("nan"))
        (0.123457, 40, None)
    """
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.6g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _at(track: Track, update: int, name: str) -> float | None:
    return track.get(update, {}).get(name)


def _ok_runs(runs: Sequence[Row]) -> list[list[int]]:
    """Return, for each algorithm, the places of its runs that ended ok."""
    numbered = [{**run, "place": place} for place, run in enumerate(runs)]
    return [
        [run["place"] for run in own if run["status"] == "ok"]
        for _, own in groups(numbered, "algorithm")
    ]


def _per_algorithm(
    ok: Sequence[Sequence[int]],
    own: Sequence[Track],
    kept: Sequence[int],
    name: str,
    of: Callable[[list[float]], object],
) -> list[list[object]]:
    """Return what ``of`` says of the ok runs of each algorithm, where all that know it have it."""
    lines = []
    for places in ok:
        having = [own[p] for p in places if any(name in point for point in own[p].values())]
        line: list[object] = []
        for update in kept:
            values = [v for track in having if (v := _at(track, update, name)) is not None]
            line.append(of(values) if having and len(values) == len(having) else None)
        lines.append(line)
    return lines


def _mean_and_interval(values: list[float]) -> list[float | None]:
    """Return mean, bounds and number of some seeds; bounds from as many seeds on as in figures."""
    interval = t_interval(values) if len(values) >= BAND_SEEDS else None
    bounds = [interval.low, interval.high] if interval else [None, None]
    return [*map(rounded, [fmean(values), *bounds]), len(values)]
