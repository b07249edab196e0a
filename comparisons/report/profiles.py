"""``profiles.csv``: algorithms over many environments at once, from four environments on.

Interquartile mean, performance profile and probability of improvement of the final held-out score,
each with a stratified bootstrap interval (https://arxiv.org/abs/2108.13264). With fewer
environments there are no rows: each of them can be shown by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

from bakeoff.comparisons import statistics
from bakeoff.comparisons.report.measures import run_values
from bakeoff.comparisons.report.summary import counted
from bakeoff.comparisons.results import Results, Row, groups
from bakeoff.comparisons.schema import PROFILES_COLUMNS
from bakeoff.comparisons.wording import short

METRIC = "score_final"

THRESHOLDS = tuple(step / 20 for step in range(20))
"""Where the performance profile is read: 0, 0.05, ..., 0.95; nothing scores above 1."""

Board = dict[str, dict[str, dict[int, float]]]
"""Scores by algorithm, environment and seed."""


def profile_rows(results: Results) -> list[Row]:
    """Return the rows of ``profiles.csv``; none for a model with fewer than four environments.

    An algorithm needs a score in every environment to be in it.

    Args:
        results: the cells' rows.
    """
    values = run_values(results)
    rows: list[Row] = []
    for (model,), runs in groups(counted(results.runs), "model"):
        environments = list(dict.fromkeys(str(run["environment"]) for run in runs))
        if len(environments) < statistics.FEWEST_ENVIRONMENTS:
            continue
        board: Board = {}
        for run in runs:
            score = values.get(str(run["run_id"]), {}).get(METRIC)
            if score is not None:
                of_algorithm = board.setdefault(str(run["algorithm"]), {})
                of_algorithm.setdefault(str(run["environment"]), {})[int(run["seed"])] = score
        whole = {name: own for name, own in board.items() if len(own) == len(environments)}
        for row in [*_singles(whole), *_pairs(whole)]:
            rows.append(
                dict.fromkeys(PROFILES_COLUMNS)
                | {"model": model, "metric": METRIC, "n_environments": len(environments)}
                | {"ci_level": statistics.LEVEL}
                | row
            )
    return rows


def over_environments(results: Results) -> list[str]:
    """Return what the algorithms come to over all environments, or why that is not said.

    Args:
        results: the cells' rows.
    """
    rows = profile_rows(results)
    if not rows:
        most = max(
            len(dict(groups(own, "environment"))) for _, own in groups(results.runs, "model")
        )
        return [
            f"No aggregate over environments (interquartile mean, performance profile, "
            f"probability of improvement): it takes {statistics.FEWEST_ENVIRONMENTS} environments, "
            f"here {'is' if most == 1 else 'are'} {most}."
        ]
    return [_said(row) for row in rows if row["statistic"] != "profile"]


def _said(row: Row) -> str:
    interval = f"95 % CI {row['ci_low']:.3f} to {row['ci_high']:.3f}"
    over = f"{row['n_environments']} environments, {row['n_runs']} runs, {short(row['model'])}"
    a = short(str(row["algorithm_a"]))
    if row["statistic"] == "iqm":
        what = f"{a}: interquartile mean of the held-out score {row['value']:.3f}"
    else:
        b = short(str(row["algorithm_b"]))
        what = f"a run of {b} ends above one of {a} with probability {row['value']:.3f}"
    return f"{what} ({interval}; {over})"


def _singles(board: Board) -> Iterable[dict[str, Any]]:
    for name, own in board.items():
        scores = [list(by_seed.values()) for by_seed in own.values()]
        shared = {"algorithm_a": name, "n_runs": sum(map(len, scores))}
        iqm = {"statistic": "iqm", "value": float(statistics.pooled_iqm(scores))}
        yield {
            **shared,
            **iqm,
            **_ends(statistics.stratified_estimates(statistics.pooled_iqm, scores)[0]),
        }
        values = statistics.performance_profile(scores, THRESHOLDS)
        estimates = statistics.stratified_estimates(_at_thresholds, scores)
        for threshold, value, found in zip(THRESHOLDS, values, estimates, strict=True):
            point = {"statistic": "profile", "threshold": threshold, "value": float(value)}
            yield {**shared, **point, **_ends(found)}


def _at_thresholds(scores: statistics.Rows) -> Any:
    return statistics.performance_profile(scores, THRESHOLDS)


def _pairs(board: Board) -> Iterable[dict[str, Any]]:
    for a, b in combinations(board, 2):
        left, right = [], []
        for environment, of_a in board[a].items():
            of_b = board[b][environment]
            seeds = [seed for seed in of_a if seed in of_b]
            left.append([of_a[seed] for seed in seeds])
            right.append([of_b[seed] for seed in seeds])
        if not all(left):
            continue  # an environment in which they share no seed
        improvement = statistics.improvement_probability
        yield {
            "algorithm_a": a,
            "algorithm_b": b,
            "statistic": "prob_b_better",
            "value": float(improvement(left, right)),
            "n_runs": 2 * sum(map(len, left)),
            **_ends(statistics.stratified_estimates(improvement, left, right)[0]),
        }


def _ends(found: statistics.Estimate) -> dict[str, Any]:
    low, high = found.interval
    return {"ci_low": low, "ci_high": high, "ci_method": found.method}
