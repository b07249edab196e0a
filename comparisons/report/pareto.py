"""Score against memory and against time: which algorithms no other one beats in everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.report.style import (
    BAND_SEEDS,
    MARKERS,
    MIB,
    line_styles,
    panels,
    tidy,
    title,
)
from bakeoff.comparisons.results import Row, groups
from bakeoff.comparisons.wording import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCORE = "score_final"

COSTS = {
    "training_bytes": ("memory of training (MiB, the process's baseline left out)", MIB),
    "train_s": ("training time (s, evaluation left out)", 1),
}
"""What the score is set against: label and unit of the axis."""


def trade_offs(summary: Sequence[Row]) -> Figure:
    """Return the final held-out score against each of ``COSTS``, one row of panels for each place.

    A mark is an algorithm's mean over seeds, with its interval from 3 seeds on. It is filled if no
    other algorithm is at least as good in score, memory and time, and better in one of them; the
    stepped line joins those that nothing beats in the two quantities of a panel. Both are of the
    means alone: whether a difference is shown is for ``pairwise.csv`` to say.

    Args:
        summary: the rows of ``summary.csv``.
    """
    places = list(groups(summary, "environment", "model"))
    styles = line_styles(str(row["algorithm"]) for row in summary)
    figure, panels_RC = panels(len(places), len(COSTS))
    for (place, rows), panels_C in zip(places, panels_RC, strict=True):
        points = _points(rows)
        best = unbeaten({name: _means(own, [SCORE, *COSTS]) for name, own in points.items()})
        for panel, (cost, (label, unit)) in zip(panels_C, COSTS.items(), strict=True):
            for index, (name, own) in enumerate(points.items()):
                marker = MARKERS[index % len(MARKERS)]
                _draw_point(panel, own, (cost, unit), name in best, styles[name], marker)
            _draw_front(panel, points, cost, unit)
            panel.margins(0.12)
            panel.set_xlabel(label)
            tidy(panel, grid="both")
        panels_C[0].set_title(title(place), fontsize=10, loc="left")
        panels_C[0].set_ylabel("held-out score at the end (greedy)")
        if points:
            panels_C[0].legend(fontsize=8)
    return figure


def unbeaten(points: Mapping[str, Sequence[float]]) -> set[str]:
    """Return the names of the points that no other one dominates.

    One dominates another if it is at least as good in everything and better in something.

    Args:
        points: a score, of which more is better, and costs, of which less is.

    Example:
        >>> sorted(unbeaten({"a": [0.5, 10], "b": [0.5, 12], "c": [0.9, 12]}))
        ['a', 'c']
    """
    goods = {name: (score, *(-cost for cost in costs)) for name, (score, *costs) in points.items()}

    def beaten(own: Sequence[float], other: Sequence[float]) -> bool:
        return other != own and all(o >= x for o, x in zip(other, own, strict=True))

    return {
        name
        for name, own in goods.items()
        if not any(beaten(own, other) for other in goods.values())
    }


def _points(rows: Sequence[Row]) -> dict[str, dict[str, Row]]:
    """Return, of each algorithm that has them all, the rows of the score and the costs."""
    wanted, found = {SCORE, *COSTS}, {}
    for (name,), own in groups(rows, "algorithm"):
        having = {row["metric"]: row for row in own if row["metric"] in wanted and row["n_seeds"]}
        if having.keys() == wanted:
            found[name] = having
    return found


def _means(own: Mapping[str, Row], metrics: Sequence[str]) -> list[float]:
    return [own[metric]["mean"] for metric in metrics]


def _draw_point(
    panel: Axes,
    own: Mapping[str, Row],
    cost: tuple[str, int],
    filled: bool,
    style: Mapping[str, str],
    marker: str,
) -> None:
    """Draw an algorithm's mark with the intervals that there are."""
    metric, unit = cost
    row = own[SCORE]
    label = f"{short(str(row['algorithm']))} (n={row['n_seeds']}"
    label += f", {row['n_failed']} failed)" if row["n_failed"] else ")"
    panel.errorbar(
        own[metric]["mean"] / unit,
        row["mean"],
        xerr=_reach(own[metric], unit),
        yerr=_reach(row, 1),
        color=style["color"],
        marker=marker,
        markersize=8,
        markerfacecolor=style["color"] if filled else "white",
        linestyle="none",
        elinewidth=1,
        label=label,
    )


def _reach(row: Row, unit: int) -> Any:
    """Return how far the interval of a mean reaches to each side; None if none is drawn."""
    if row["ci_low"] is None or row["n_seeds"] < BAND_SEEDS:
        return None
    ends = (row["mean"] - row["ci_low"], row["ci_high"] - row["mean"])
    return [[max(0.0, end) / unit] for end in ends]


def _draw_front(panel: Axes, points: Mapping[str, Mapping[str, Row]], cost: str, unit: int) -> None:
    means = {name: _means(own, [SCORE, cost]) for name, own in points.items()}
    front = sorted((means[name] for name in unbeaten(means)), key=lambda point: point[1])
    x = [point[1] / unit for point in front]
    y = [point[0] for point in front]
    panel.step(x, y, where="post", color="#888888", linewidth=0.9, zorder=0)
