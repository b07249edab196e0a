"""``pairwise.csv``: each algorithm against each other one, paired by seed.

What is compared are the differences within pairs. Bytes and seconds are compared as ratios, by
their logarithms; scores by differences. A verdict needs an exact sign-flip test at or below 0.05
after Holm's correction over the pairs of algorithms of one question: one metric, on one environment
with one model, at one place of one axis. Where so few seeds cannot get there, whatever they show,
it is ``too_few_seeds``, not "no difference". docs/statistics.md says why the family is that one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from bakeoff.comparisons import statistics
from bakeoff.comparisons.report.axes import Reading
from bakeoff.comparisons.report.measures import COMPARED, MEASURES
from bakeoff.comparisons.report.pairing import (
    Pairing,
    objections,
    pair_values,
    pairings,
    remarks,
)
from bakeoff.comparisons.report.readings import readings
from bakeoff.comparisons.report.summary import metric_values
from bakeoff.comparisons.results import Results, Row, groups
from bakeoff.comparisons.schema import PAIRWISE_COLUMNS

ALPHA = 0.05
"""Adjusted p-values up to this one make a verdict."""

FEWEST_FOR_POWER = 3
"""The spread of two pairs says nothing of how many would be needed."""


def pairwise_rows(results: Results) -> list[Row]:
    """Return the rows of ``pairwise.csv``.

    Args:
        results: the cells' rows.
    """
    found = readings(results)
    rows: list[dict[str, Any]] = []
    for (environment, model), runs in groups(results.runs, "environment", "model"):
        place = {"environment": environment, "model": model}
        pairs = pairings(runs)
        for metric in COMPARED:
            for reading in found[environment, model]:
                if metric_values(reading.values, runs, metric):
                    family = [_compared(reading, pairing, metric) for pairing in pairs]
                    rows += [{**place, **row} for row in judged(family)]
    _correct_over_table(rows)
    return [dict.fromkeys(PAIRWISE_COLUMNS) | row for row in rows]


def _compared(reading: Reading, pairing: Pairing, metric: str) -> dict[str, Any]:
    """Return what one metric, read somewhere, says of a pairing."""
    pairs = pair_values(reading.values, pairing, metric)
    against = objections(pairing, metric, reading)
    if not pairs and not against:
        against.append("no two runs of one seed have this metric")
    row: dict[str, Any] = {
        "metric": metric,
        "at_axis": reading.at_axis,
        "at_value": reading.at_value,
        "algorithm_a": pairing.names[0],
        "algorithm_b": pairing.names[1],
        "n_pairs": len(pairs),
        "note": "; ".join([*against, *remarks(pairing, metric, len(pairs))]),
    }
    if pairs:
        row |= effect([a for a, _ in pairs], [b for _, b in pairs], metric)
    return row | ({"verdict": "not_comparable"} if against else {})


def effect(a: Sequence[float], b: Sequence[float], metric: str) -> dict[str, Any]:
    """Return difference, ratio, intervals and test of the values of some pairs.

    Args:
        a: one value for each pair, of the first algorithm.
        b: those of the second.
        metric: what they are; its unit decides whether there is a ratio.

    Returns:
        Columns of ``pairwise.csv``.
    """
    measure = MEASURES[metric]
    differences = statistics.paired_differences(a, b)
    logs = statistics.paired_log_ratios(a, b) if measure.unit != "score" else None
    tested = differences if logs is None else logs
    share = statistics.share_better(differences, higher_is_better=measure.higher_is_better)
    assert share is not None
    won = statistics.share_interval(share, len(a))
    p_value, test = statistics.sign_flip_p(tested), "sign_flip"
    if p_value is None:
        p_value, test = statistics.paired_t_p(tested), "paired_t"
    return {
        "mean_a": fmean(a),
        "mean_b": fmean(b),
        "difference": fmean(differences),
        **_intervals(differences, logs),
        "p_value": p_value,
        "test": test,
        "min_possible_p": statistics.min_possible_p(len(a)),
        "prob_b_better": share,
        "prob_ci_low": won.low,
        "prob_ci_high": won.high,
        "seed_correlation": statistics.correlation(a, b),
        "effect_mean": fmean(tested),
        "effect_sd": statistics.standard_deviation(tested),
    }


def _intervals(differences: Sequence[float], logs: Sequence[float] | None) -> dict[str, Any]:
    """Return the intervals of the difference and, if there are logarithms, of the ratio."""
    row: dict[str, Any] = {}
    if interval := statistics.t_interval(differences):
        row |= {"diff_ci_low": interval.low, "diff_ci_high": interval.high, "ci_method": "paired_t"}
    boot = statistics.bootstrap_interval(differences if logs is None else logs)
    if logs is not None:
        row["ratio_b_over_a"] = statistics.geometric_mean(logs)
        if ratio := statistics.ratio_interval(logs):
            row |= {"ratio_ci_low": ratio.low, "ratio_ci_high": ratio.high}
            row["ci_method"] = "paired_t, ratio by logs"
        boot = boot and statistics.exponential(boot)
    return row | ({"boot_low": boot.low, "boot_high": boot.high} if boot else {})


def judged(family: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of one family of tests with Holm's p-values and verdicts.

    An A/A control is not in the family; how far its interval reaches from "no difference" is
    the smallest difference that the others may claim.

    Args:
        family: what ``effect`` returned for each pair of algorithms, with their names and notes.
    """
    controls = [row for row in family if row["algorithm_a"] == row["algorithm_b"]]
    others = [row for row in family if row["algorithm_a"] != row["algorithm_b"]]
    tested = [row for row in others if row.get("p_value") is not None and "verdict" not in row]
    adjusted = statistics.holm([row["p_value"] for row in tested])
    for row, p_value in zip(tested, adjusted, strict=True):
        floor = _floor(row, controls)
        row["p_value_holm"] = p_value
        row["pairs_needed"] = _pairs_needed(row, len(tested))
        row["aa_floor"] = None if floor is None else _in_its_unit(row, floor)
        row["verdict"] = _verdict(row, len(tested), floor)
        if row["verdict"] == "too_few_seeds":
            needed = seeds_needed(len(tested))
            _note(row, f"at least {needed} pairs are needed for p <= {ALPHA:g} after correction")
        elif row["verdict"] == "no_difference_shown" and p_value <= ALPHA:
            _note(row, "the difference is within that of an algorithm from itself (aa_floor)")
    for row in controls:
        if "verdict" not in row:
            floor = _floor(row, [row])
            row["aa_floor"] = None if floor is None else _in_its_unit(row, floor)
            row["verdict"] = _control_verdict(row)
    for row in others:
        row.setdefault("verdict", "too_few_seeds")
    return [{key: row[key] for key in PAIRWISE_COLUMNS if key in row} for row in family]


def seeds_needed(n_tests: int) -> int:
    """Return how many pairs a family of sign-flip tests needs for any verdict at all.

    Example:
        >>> seeds_needed(1), seeds_needed(3)  # 2 / 2**6 = 0.031; 3 * 2 / 2**7 = 0.047
        (6, 7)
    """
    n_pairs = 1
    while n_tests * 2.0 ** (1 - n_pairs) > ALPHA:
        n_pairs += 1
    return n_pairs


def _floor(row: Mapping[str, Any], controls: Sequence[Mapping[str, Any]]) -> float | None:
    """Return how far the A/A interval reaches from no difference, on the scale of a row's test."""
    kind = "diff" if row.get("ratio_b_over_a") is None else "ratio"
    for control in controls:
        low, high = control.get(f"{kind}_ci_low"), control.get(f"{kind}_ci_high")
        if low is not None and high is not None and "verdict" not in control:  # no objections
            ends = (low, high) if kind == "diff" else (math.log(low), math.log(high))
            return float(max(map(abs, ends)))
    return None


def _in_its_unit(row: Mapping[str, Any], floor: float) -> float:
    """Return the floor as a ratio above 1 if the row is of ratios, else as a difference."""
    return floor if row.get("ratio_b_over_a") is None else math.exp(floor)


def _verdict(row: Mapping[str, Any], n_tests: int, floor: float | None) -> str:
    if row["p_value_holm"] > ALPHA:
        possible = row["min_possible_p"] if row["test"] == "sign_flip" else 0.0
        return "too_few_seeds" if possible * n_tests > ALPHA else "no_difference_shown"
    if abs(row["effect_mean"]) <= (floor or 0.0):
        return "no_difference_shown"
    b_is_higher = row["effect_mean"] > 0
    return "b_better" if b_is_higher == MEASURES[row["metric"]].higher_is_better else "a_better"


def _control_verdict(row: dict[str, Any]) -> str:
    """Return the verdict on an algorithm beside itself, of which there can be no better one."""
    if row.get("p_value") is None or row["min_possible_p"] > ALPHA:
        return "too_few_seeds"
    if row["p_value"] <= ALPHA:
        _note(row, "the same algorithm differs from itself: noise or drift of the machine")
        return "not_comparable"
    return "no_difference_shown"


def _pairs_needed(row: Mapping[str, Any], n_tests: int) -> int | None:
    if row["n_pairs"] < FEWEST_FOR_POWER:
        return None
    return statistics.pairs_needed(row["effect_mean"], row["effect_sd"], ALPHA / n_tests)


def _correct_over_table(rows: Sequence[dict[str, Any]]) -> None:
    """Add the p-values after Holm's correction over every test of the table."""
    tested = [row for row in rows if row.get("p_value_holm") is not None]
    adjusted = statistics.holm([row["p_value"] for row in tested])
    for row, p_value in zip(tested, adjusted, strict=True):
        row["p_value_table"] = p_value


def _note(row: dict[str, Any], text: str) -> None:
    row["note"] = "; ".join(filter(None, [text, row["note"]]))
