"""What algorithms gain and cost: paired differences as drawn, and what is traded for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.comparisons.report.measures import MEASURES, number
from bakeoff.comparisons.report.page.curves import rounded
from bakeoff.comparisons.report.pareto import COSTS, SCORE, unbeaten
from bakeoff.comparisons.report.verdicts import NOUNS, PLACES
from bakeoff.comparisons.results import Row, groups
from bakeoff.comparisons.wording import short

TRADED = {
    "score_final": "held-out score",
    "train_s": "training time",
    "update_s": "time per update",
    "training_bytes": "training memory",
    "peak_rss_bytes": "peak memory of the process",
    "train_flops": "training FLOPs",
    "completion_tokens": "completion tokens",
}
"""What the Pareto view may set against each other, and how it is said."""

TRADE_OFF = (SCORE, *COSTS)
"""What an algorithm must be no worse in than another, and better in one, to dominate it."""

AT_THE_END = ("score_final", "training_bytes", "update_s", "train_s")
"""The metrics at the end of the runs whose differences are drawn."""


def panels(pairwise: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the differences of one place in panels: at the end, at equal axis values, to a target.

    Of each axis the largest value is taken that scores were read at. Controls are left out.

    Args:
        pairwise: the rows of ``pairwise.csv`` for one environment and model.
    """
    pairs = [row for row in pairwise if row["algorithm_a"] != row["algorithm_b"]]
    largest: dict[str, float] = {}
    for row in pairs:
        if row["metric"] == "score":
            axis, value = str(row["at_axis"]), float(row["at_value"])
            largest[axis] = max(value, largest.get(axis, value))
    found: dict[tuple[str, str], list[Row]] = {}
    for row in pairs:
        if key := _panel(row, largest):
            found.setdefault(key, []).append(row)
    return [
        {
            "view": view,
            "title": title,
            "ratio": any(row["ratio_b_over_a"] is not None for row in rows),
            "unit": MEASURES[rows[0]["metric"]].unit,
            "pairs": [_pair(row) for row in rows],
        }
        for (view, title), rows in found.items()
    ]


def item_panels(items: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the paired differences over held-out items in a panel, if there are any.

    Args:
        items: the rows of ``items.csv`` for one environment and model, as text.
    """
    columns = ("difference", "ci_low", "ci_high")
    pairs = [
        {
            "a": short(row["algorithm_a"]),
            "b": short(row["algorithm_b"]),
            "effect": [rounded(number(row[column])) for column in columns],
            "n": row["n_items"],
            "p": None,
            "verdict": None,
            "note": f"over {row['n_items']} items and {row['n_seeds']} seeds; {row['ci_method']}",
        }
        for row in items
        if row["difference"]
    ]
    panel = {"view": "item by item", "title": NOUNS["score"], "ratio": False, "unit": "score"}
    return [{**panel, "pairs": pairs}] if pairs else []


def _panel(row: Row, largest: Mapping[str, float]) -> tuple[str, str] | None:
    """Return the view and the panel that a row belongs to, None if it is not drawn."""
    metric, axis = str(row["metric"]), str(row["at_axis"])
    if metric in AT_THE_END and (axis, row["at_value"]) == ("update", "last"):
        return "at the end of the runs", NOUNS[metric]
    if metric == "score" and float(row["at_value"]) == largest[axis]:
        where = PLACES[axis].format(largest[axis])
        return "in held-out score where something else is equal", f"{NOUNS[metric]} at {where}"
    if metric.startswith("target/"):
        return f"in what {PLACES[axis].format(float(row['at_value']))} took", NOUNS[metric]
    return None


def _pair(row: Row) -> dict[str, Any]:
    columns = (
        ("ratio_b_over_a", "ratio_ci_low", "ratio_ci_high")
        if row["ratio_b_over_a"] is not None
        else ("difference", "diff_ci_low", "diff_ci_high")
    )
    return {
        "a": short(str(row["algorithm_a"])),
        "b": short(str(row["algorithm_b"])),
        "effect": [rounded(row[column]) for column in columns],
        "n": row["n_pairs"],
        "p": rounded(row["p_value_holm"]),
        "verdict": row["verdict"],
        "note": row["note"] or "",
    }


def traded(summary: Sequence[Row]) -> list[dict[str, Any]]:
    """Return each algorithm's means and intervals, and whether another one dominates it."""
    lines: list[dict[str, Any]] = []
    points: dict[str, list[float]] = {}
    for (algorithm,), rows in groups(summary, "algorithm"):
        of = {str(row["metric"]): row for row in rows if row["n_seeds"]}
        numbers = {
            name: [rounded(of[name][column]) for column in ("mean", "ci_low", "ci_high")]
            for name in TRADED
            if name in of
        }
        if all(name in of for name in TRADE_OFF):
            points[algorithm] = [of[name]["mean"] for name in TRADE_OFF]
        lines.append({"algorithm": algorithm, "numbers": numbers})
    best = unbeaten(points)
    return [line | {"front": line["algorithm"] in best} for line in lines]
