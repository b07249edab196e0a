"""The rows of ``pairwise.csv`` as tables to read: at the end, at equal axes, to the target, A/A."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.comparisons.report.measures import MEASURES
from bakeoff.comparisons.report.verdicts import NOUNS, PLACES
from bakeoff.comparisons.results import Row
from bakeoff.comparisons.wording import MISSING, amount, markdown_table, short, signed, times

HEADER = ["what", "pair", "means", "effect", "pairs", "p", "verdict", "note"]

AXES = ("update", "completion_tokens", "total_tokens", "train_wall_s", "train_flops")


def at_the_end(pairs: Sequence[Row]) -> str:
    """Return the table of what was read at the end of the runs, or why there is none.

    Args:
        pairs: the rows of ``pairwise.csv`` for one environment and model; of all functions here.
    """
    rows = [row for row in pairs if row["at_value"] == "last" and not _is_control(row)]
    if not rows:
        return "There is nothing to compare: one algorithm, or no run that ended ok."
    return markdown_table(HEADER, [_line(row, NOUNS[row["metric"]]) for row in rows])


def at_equal_axes(pairs: Sequence[Row]) -> str:
    """Return the table of held-out scores at equal values of the axes; empty if there is none."""
    rows = [
        row
        for row in pairs
        if row["metric"] == "score" and row["at_axis"] in AXES and not _is_control(row)
    ]
    lines = [_line(row, PLACES[row["at_axis"]].format(float(row["at_value"]))) for row in rows]
    return markdown_table(["held-out score at", *HEADER[1:]], lines) if lines else ""


def to_the_target(pairs: Sequence[Row]) -> str:
    """Return the table of what it took to reach the target score; empty if there is no target."""
    rows = [row for row in pairs if row["at_axis"] == "score" and not _is_control(row)]
    if not rows:
        return ""
    target = PLACES["score"].format(float(rows[0]["at_value"]))
    lines = [_line(row, NOUNS[row["metric"]].removesuffix(" to the target")) for row in rows]
    return markdown_table([f"to {target}", *HEADER[1:]], lines)


def control(pairs: Sequence[Row]) -> str:
    """Return the table of what one algorithm differs from itself by; empty if it ran once."""
    rows = [row for row in pairs if row["at_value"] == "last" and _is_control(row)]
    lines = [
        [NOUNS[row["metric"]], short(row["algorithm_a"]), effect(row), str(row["n_pairs"])]
        for row in rows
    ]
    return markdown_table(["what", "algorithm", "effect", "pairs"], lines) if lines else ""


def effect(row: Row) -> str:
    """Return a ratio or a difference with its interval; a dash if there is none.

    Args:
        row: of ``pairwise.csv``.
    """
    if row["ratio_b_over_a"] is not None:
        low, high = row["ratio_ci_low"], row["ratio_ci_high"]
        interval = "" if low is None else f" [{times(low)}, {times(high)}]"
        return f"{times(row['ratio_b_over_a'])}x{interval}"
    if row["difference"] is None:
        return MISSING
    if MEASURES[row["metric"]].unit != "score":
        return amount(row["difference"], MEASURES[row["metric"]].unit)
    low, high = row["diff_ci_low"], row["diff_ci_high"]
    interval = "" if low is None else f" [{signed(low)}, {signed(high)}]"
    return f"{signed(row['difference'])}{interval}"


def _line(row: Row, what: str) -> list[str]:
    unit = MEASURES[row["metric"]].unit
    means = [amount(row[key], unit) for key in ("mean_b", "mean_a")]
    return [
        what,
        f"{short(row['algorithm_b'])} to {short(row['algorithm_a'])}",
        " to ".join(means),
        effect(row),
        str(row["n_pairs"]),
        MISSING if row["p_value_holm"] is None else f"{row['p_value_holm']:.3f}",
        f"`{row['verdict']}`",
        row["note"] or "",
    ]


def _is_control(row: Row) -> bool:
    return bool(row["algorithm_a"] == row["algorithm_b"])
