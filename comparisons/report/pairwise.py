"""``pairwise.csv``: each algorithm against each other one, paired by seed.

Runs of one ``pair_id`` share environment, model, seed, items and initial weights, so that what is
compared are the differences within pairs. Bytes and seconds are compared as ratios, by their
logarithms; scores by differences. A verdict needs an exact sign-flip test at or below 0.05 after
Holm's correction over the pairs of algorithms of one metric, environment and model; where so few
seeds cannot get there, whatever they show, it is ``too_few_seeds``, not "no difference".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from bakeoff.comparisons import statistics
from bakeoff.comparisons.report.measures import COMPARED, MEASURES, run_values
from bakeoff.comparisons.report.summary import metric_values
from bakeoff.comparisons.results import Results, Row, groups
from bakeoff.comparisons.schema import PAIRWISE_COLUMNS

ALPHA = 0.05
"""Adjusted p-values up to this one make a verdict."""

SAME_MACHINE = ("device_name", "threads", "dtype")
"""What must be equal where seconds or bytes are compared."""


@dataclass(frozen=True)
class Pairing:
    """The runs of two algorithms on one environment with one model, matched by ``pair_id``.

    Attributes:
        a, b: the runs of the pairs in which both ended ok, in the same order.
        failures: one word for each run that failed, "ppo seed 2 diverged".
        unmatched: how many pairs lack one side.
    """

    a: Sequence[Row]
    b: Sequence[Row]
    failures: Sequence[str]
    unmatched: int


def pairwise_rows(results: Results) -> list[Row]:
    """Return the rows of ``pairwise.csv``.

    Args:
        results: the cells' rows.
    """
    values = run_values(results)
    rows: list[Row] = []
    for (environment, model), runs in groups(results.runs, "environment", "model"):
        of_algorithm = dict(groups(runs, "algorithm"))
        pairs = list(combinations(of_algorithm, 2))
        for metric in COMPARED:
            if not metric_values(values, runs, metric):
                continue
            where = {"environment": environment, "model": model, "metric": metric}
            at = {"at_axis": "update", "at_value": "last"}
            family = []
            for a, b in pairs:
                names = {"algorithm_a": a[0], "algorithm_b": b[0]}
                pairing = _pair(of_algorithm[a], of_algorithm[b])
                family.append({**where, **at, **names, **_compared(values, pairing, metric)})
            rows += _judged(family)
    return rows


def _pair(a: Sequence[Row], b: Sequence[Row]) -> Pairing:
    by_pair_a = {run["pair_id"]: run for run in a}
    by_pair_b = {run["pair_id"]: run for run in b}
    shared = [pair_id for pair_id in by_pair_a if pair_id in by_pair_b]
    both = [(by_pair_a[pair_id], by_pair_b[pair_id]) for pair_id in shared]
    failures = [
        f"{run['algorithm']} seed {run['seed']} {run['status']}"
        for run in (*a, *b)
        if run["status"] != "ok"
    ]
    ok = [pair for pair in both if all(run["status"] == "ok" for run in pair)]
    unmatched = len(by_pair_a.keys() ^ by_pair_b.keys())
    return Pairing([x for x, _ in ok], [y for _, y in ok], failures, unmatched)


def _compared(
    values: Mapping[str, Mapping[str, float]], pairing: Pairing, metric: str
) -> dict[str, Any]:
    """Return what one metric says of a pairing.

    Args:
        values: the metrics of each run.
        pairing: the runs.
        metric: its name.
    """
    sides = [
        (values.get(str(x["run_id"]), {}).get(metric), values.get(str(y["run_id"]), {}).get(metric))
        for x, y in zip(pairing.a, pairing.b, strict=True)
    ]
    numbers = [(x, y) for x, y in sides if x is not None and y is not None]
    a, b = [x for x, _ in numbers], [y for _, y in numbers]
    objections, remarks = _objections(pairing, metric), []
    if not numbers and not objections:
        objections.append("no two runs of one seed have this metric")
    if pairing.unmatched:
        remarks.append(f"{pairing.unmatched} runs without a partner of the same seed left out")
    if len(numbers) < len(sides):
        remarks.append(f"{len(sides) - len(numbers)} pairs lack this metric")
    row: dict[str, Any] = {"n_pairs": len(numbers)}
    if numbers:
        row |= _effect(a, b, metric)
    verdict = {"verdict": "not_comparable"} if objections else {}
    return {**row, **verdict, "note": "; ".join([*objections, *remarks])}


def _effect(a: Sequence[float], b: Sequence[float], metric: str) -> dict[str, Any]:
    """Return difference, ratio and test of the values of some pairs."""
    measure = MEASURES[metric]
    differences = statistics.paired_differences(a, b)
    interval = statistics.t_interval(differences)
    row: dict[str, Any] = {
        "mean_a": fmean(a),
        "mean_b": fmean(b),
        "difference": fmean(differences),
        "diff_ci_low": interval.low if interval else None,
        "diff_ci_high": interval.high if interval else None,
        "min_possible_p": statistics.min_possible_p(len(a)),
        "prob_b_better": statistics.share_better(
            differences, higher_is_better=measure.higher_is_better
        ),
        "seed_correlation": statistics.correlation(a, b),
    }
    logs = statistics.paired_log_ratios(a, b) if measure.unit != "score" else None
    tested = differences
    if interval:
        row["ci_method"] = "paired_t"
    if logs is not None:
        tested = logs
        ratio = statistics.ratio_interval(logs)
        row["ratio_b_over_a"] = statistics.geometric_mean(logs)
        if ratio:
            row |= {"ratio_ci_low": ratio.low, "ratio_ci_high": ratio.high}
            row["ci_method"] = "paired_t, ratio by logs"
    p_value = statistics.sign_flip_p(tested)
    row["test"] = "sign_flip"
    if p_value is None:
        p_value, row["test"] = statistics.paired_t_p(tested), "paired_t"
    row["p_value"] = p_value
    return row


def _objections(pairing: Pairing, metric: str) -> list[str]:
    """Return why the two sides may not be compared; nothing if they may."""
    runs = [*pairing.a, *pairing.b]
    objections = list(pairing.failures)
    columns = ["config_sha256"]
    if MEASURES[metric].needs_same_machine:
        columns += SAME_MACHINE
    for column in columns:
        found = sorted({str(run[column]) for run in runs})
        if len(found) > 1:
            objections.append(f"{column} differs ({', '.join(text[:24] for text in found)})")
    return objections


def _judged(family: Sequence[dict[str, Any]]) -> list[Row]:
    """Add Holm's p-values and the verdicts to the rows of one family of tests."""
    tested = [row for row in family if row.get("p_value") is not None and "verdict" not in row]
    adjusted = statistics.holm([row["p_value"] for row in tested])
    for row, p_value in zip(tested, adjusted, strict=True):
        row["p_value_holm"] = p_value
        floor = row["min_possible_p"] if row["test"] == "sign_flip" else 0.0
        row["verdict"] = _verdict(row, floor * len(tested))
        if row["verdict"] == "too_few_seeds":
            needed = seeds_needed(len(tested))
            why = f"at least {needed} pairs are needed for p <= {ALPHA:g} after correction"
            row["note"] = "; ".join(filter(None, [why, row["note"]]))
    for row in family:
        row.setdefault("verdict", "too_few_seeds")
    return [dict.fromkeys(PAIRWISE_COLUMNS) | row for row in family]


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


def _verdict(row: Mapping[str, Any], floor: float) -> str:
    if floor > ALPHA:
        return "too_few_seeds"
    if row["p_value_holm"] > ALPHA:
        return "no_difference_shown"
    ratio = row.get("ratio_b_over_a")
    b_is_higher = row["difference"] > 0 if ratio is None else ratio > 1
    return "b_better" if b_is_higher == MEASURES[row["metric"]].higher_is_better else "a_better"
