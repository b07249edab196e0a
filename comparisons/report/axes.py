"""What runs had come to at an equal value of an axis: updates, tokens, seconds or FLOPs.

A run's curve is a straight line from one evaluation to the next. It is read between its own points
and nowhere else: where a run has not come, it has no value.

Which values are read: of each axis the largest one that every run of the place reaches that ended
ok, rounded down to three digits (updates are not rounded), and half of that, rounded likewise. A
run that does not move along an axis, as one that learns from gold replies writes no tokens, has no
say in it and no value on it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_FLOOR, Context
from typing import NamedTuple

from bakeoff.comparisons.results import Results, Row, groups

AXES = {
    "update": "updates",
    "completion_tokens": "tokens",
    "total_tokens": "tokens",
    "train_wall_s": "s",
    "train_flops": "flops",
}
"""The axes that every row of ``curves.csv`` carries, and their units."""

READ = {"score": ("eval", "score/mean"), "reward": ("train", "reward/mean")}
"""What is read at a value of an axis: split and metric of ``curves.csv``."""

DIGITS = 3
"""Digits of the values that curves are read at."""


class Curve(NamedTuple):
    """One metric of one run at ``N`` points, in the order of its updates.

    Attributes:
        x_AN: the value of each axis at each point; nan where it was not written down.
        value_N: the metric.
    """

    x_AN: Mapping[str, Sequence[float]]
    value_N: Sequence[float]


class Reading(NamedTuple):
    """What the runs of one environment and model had come to at one value of one axis.

    Attributes:
        at_axis, at_value: the axis and its value, as the tables have them.
        values: the metrics of each run that has any, by ``run_id``.
        missed: the runs that never came there, though they might have.
    """

    at_axis: str
    at_value: str | float
    values: Mapping[str, Mapping[str, float]]
    missed: frozenset[str] = frozenset()


def curves_of(results: Results, split: str, metric: str) -> dict[str, Curve]:
    """Return a metric of ``curves.csv`` as the curves of the runs that have it, by ``run_id``.

    Args:
        results: the cells' rows.
        split: ``train`` or ``eval``.
        metric: its name there. What is not a finite number is left out.
    """
    rows: dict[str, list[Mapping[str, str]]] = {}
    for row in results.raw["curves.csv"]:
        if (row["split"], row["metric"]) == (split, metric) and math.isfinite(_x(row["value"])):
            rows.setdefault(row["run_id"], []).append(row)
    return {
        run_id: Curve(
            {axis: [_x(row[axis]) for row in own] for axis in AXES},
            [float(row["value"]) for row in own],
        )
        for run_id, own in rows.items()
    }


def value_at(curve: Curve, axis: str, value: float) -> float | None:
    """Return a curve's height where an axis has a value; None outside the curve.

    Where several points share a value of the axis, the last one is the curve's.

    Example:
        >>> curve = Curve({"update": [0, 10]}, [0.25, 0.75])
        >>> value_at(curve, "update", 4), value_at(curve, "update", 11)
        (0.45, None)
    """
    points = [(x, y) for x, y in zip(curve.x_AN[axis], curve.value_N, strict=True) if x == x]
    if not points or not points[0][0] <= value <= points[-1][0]:
        return None
    after = bisect_right(points, value, key=lambda point: point[0])
    x0, y0 = points[after - 1]
    if after == len(points):
        return y0
    x1, y1 = points[after]
    return y0 + (y1 - y0) * (value - x0) / (x1 - x0)


def values_at(results: Results, axis: str, value: float) -> dict[str, dict[str, float]]:
    """Return the metrics of ``READ`` of each run that ended ok, where an axis has a value.

    Args:
        results: the cells' rows.
        axis: one of ``AXES``.
        value: of the axis; runs that it lies outside of have no value.
    """
    curves = {name: curves_of(results, *where) for name, where in READ.items()}
    return _read(curves, _ok(results.runs), axis, value)


def readings(results: Results) -> dict[tuple[str, ...], list[Reading]]:
    """Return what the runs that ended ok had come to at equal values of every axis.

    Args:
        results: the cells' rows.

    Returns:
        By environment and model, along each axis half of the largest common value and all of it.
    """
    curves = {name: curves_of(results, *where) for name, where in READ.items()}
    found = {}
    for place, runs in groups(results.runs, "environment", "model"):
        ok = _ok(runs)
        scored = [curves["score"][name] for name in ok if name in curves["score"]]
        found[place] = [
            Reading(axis, value, _read(curves, ok, axis, value))
            for axis in AXES
            for value in common_values(scored, axis)
        ]
    return found


def common_values(curves: Iterable[Curve], axis: str) -> list[float]:
    """Return half of the largest value of an axis that all curves reach, and all of it.

    Example:
        >>> common_values([Curve({"update": [0, 40]}, [0, 1]), Curve({"update": [0, 31]}, [0, 1])],
        ...               "update")
        [15, 31]
        >>> common_values([Curve({"train_wall_s": [0.0, 12.3456]}, [0, 1])], "train_wall_s")
        [6.15, 12.3]
    """
    ends = [max((x for x in curve.x_AN[axis] if x == x), default=0.0) for curve in curves]
    largest = min((end for end in ends if end > 0), default=0.0)
    if axis == "update":
        whole = int(largest)
        return [n for n in dict.fromkeys((whole // 2, whole)) if n > 0]
    if not largest:
        return []
    common = rounded_down(largest)
    return [rounded_down(common / 2), common]


def rounded_down(value: float) -> float:
    """Return a positive number rounded down to three digits; a whole one as an ``int``.

    Example:
        >>> rounded_down(20_471), rounded_down(0.0129999)
        (20400, 0.0129)
    """
    cut = float(Context(prec=DIGITS, rounding=ROUND_FLOOR).create_decimal(repr(value)))
    return int(cut) if cut == int(cut) else cut


def _read(
    curves: Mapping[str, Mapping[str, Curve]], run_ids: Sequence[str], axis: str, value: float
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for metric, of_run in curves.items():
        for name in run_ids:
            height = value_at(of_run[name], axis, value) if name in of_run else None
            if height is not None:
                found.setdefault(name, {})[metric] = height
    return found


def _ok(runs: Sequence[Row]) -> list[str]:
    return [str(run["run_id"]) for run in runs if run["status"] == "ok"]


def _x(text: str) -> float:
    return float(text or "nan")
