"""Held-out scores as curves, one row of panels for each environment and model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.comparisons.report.axes import READ, Curve, curves_of, value_at
from bakeoff.comparisons.report.pairing import is_control
from bakeoff.comparisons.report.style import BAND_SEEDS, line_styles, panels, tidy, title
from bakeoff.comparisons.results import Results, Row, groups
from bakeoff.comparisons.statistics import t_interval
from bakeoff.comparisons.wording import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELS = {
    "update": "updates",
    "completion_tokens": "tokens written in training",
    "total_tokens": "tokens of training, prompts included",
    "train_wall_s": "training time (s, evaluation left out)",
    "train_flops": "model FLOPs of training",
}
"""How the axes of ``bakeoff.comparisons.report.axes`` are called in a figure."""


class Mean(NamedTuple):
    """The mean of some curves at ``M`` values of an axis, and all their heights there."""

    x_M: Sequence[float]
    mean_M: Sequence[float]
    value_MS: Sequence[Sequence[float]]


def score_curves(results: Results, axes: Sequence[str]) -> Figure:
    """Return held-out scores against some axes; see ``metric_curves``.

    Args:
        results: the cells' rows.
        axes: columns of ``curves.csv``.
    """
    return metric_curves(results, axes, READ["score"], "held-out score (greedy)")


def metric_curves(
    results: Results, axes: Sequence[str], where: tuple[str, str], label: str
) -> Figure:
    """Return a metric against some axes, one column of panels for each.

    The thick line is the mean of the seeds that ended ok, at equal values of the axis, as far as
    all of them go; thin lines are seeds; the band is a Student-t interval, drawn from 3 seeds on.
    A run that failed ends in a cross.

    Args:
        results: the cells' rows.
        axes: columns of ``curves.csv``.
        where: the split and the name of the metric there.
        label: what it is called.
    """
    curves = curves_of(results, *where)
    counted = [run for run in results.runs if not is_control(run)]
    places = list(groups(counted, "environment", "model"))
    styles = line_styles(str(run["algorithm"]) for run in counted)
    figure, panels_RC = panels(len(places), len(axes))
    for (place, runs), panels_C in zip(places, panels_RC, strict=True):
        for panel, axis in zip(panels_C, axes, strict=True):
            for (algorithm,), own in groups(runs, "algorithm"):
                _draw_algorithm(panel, axis, own, curves, styles[algorithm])
            panel.set_xlabel(LABELS[axis])
            tidy(panel, grid="both")
        panels_C[0].set_title(title(place), fontsize=10, loc="left")
        panels_C[0].set_ylabel(label)
        panels_C[0].legend(fontsize=8)
    return figure


def mean_curve(curves: Sequence[Curve], axis: str) -> Mean:
    """Return the mean of some curves along an axis, from where all begin to where the first ends.

    It is taken at every value of the axis at which one of them has a point, the others being read
    between theirs.

    Example:
        >>> one = Curve({"train_wall_s": [0.0, 10.0]}, [0.0, 1.0])
        >>> other = Curve({"train_wall_s": [0.0, 4.0, 8.0]}, [0.0, 0.0, 1.0])
        >>> mean = mean_curve([one, other], "train_wall_s")
        >>> list(mean.x_M), [round(y, 3) for y in mean.mean_M]
        ([0.0, 4.0, 8.0], [0.0, 0.2, 0.9])
    """
    points = [[x for x in curve.x_AN[axis] if x == x] for curve in curves]
    if not points or not all(points):
        return Mean([], [], [])
    low, high = max(min(own) for own in points), min(max(own) for own in points)
    x_M = sorted({x for own in points for x in own if low <= x <= high})
    heights_MS = [[value_at(curve, axis, x) for curve in curves] for x in x_M]
    value_MS = [[y for y in height_S if y is not None] for height_S in heights_MS]
    return Mean(x_M, [fmean(value_S) for value_S in value_MS], value_MS)


def _draw_algorithm(
    panel: Axes,
    axis: str,
    runs: Sequence[Row],
    curves: Mapping[str, Curve],
    style: Mapping[str, str],
) -> None:
    """Draw the seeds of one algorithm, their mean and, of enough seeds, its interval."""
    ok = []
    for run in runs:
        curve = curves.get(str(run["run_id"]))
        if curve is None:
            continue
        x_N, y_N = curve.x_AN[axis], curve.value_N
        panel.plot(x_N, y_N, linewidth=0.8, alpha=0.45, **style)  # type: ignore[arg-type]
        if run["status"] == "ok":
            ok.append(curve)
        else:
            panel.plot(x_N[-1:], y_N[-1:], "x", color=style["color"], markersize=8)
    failed = sum(run["status"] != "ok" for run in runs)
    label = f"{short(str(runs[0]['algorithm']))} (n={len(runs) - failed}"
    label += f", {failed} failed)" if failed else ")"
    x_M, mean_M, value_MS = mean_curve(ok, axis)
    panel.plot(x_M, mean_M, linewidth=2.2, label=label, **style)  # type: ignore[arg-type]
    if len(ok) >= BAND_SEEDS:
        band_M = [band for value_S in value_MS if (band := t_interval(value_S))]
        low_M, high_M = [band.low for band in band_M], [band.high for band in band_M]
        panel.fill_between(x_M, low_M, high_M, color=style["color"], alpha=0.13, linewidth=0)
