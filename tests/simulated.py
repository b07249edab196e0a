"""Comparisons with known answers: rows as cells leave them, from numbers that a test has drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakeoff.comparisons.results import Results
from bakeoff.comparisons.schema import RAW_TABLES, RUNS_COLUMNS

Numbers = Mapping[str, Sequence[float]]
"""Of one algorithm, for each seed: ``score``, ``train_s`` or ``peak_rss_bytes``."""


def simulated(
    algorithms: Mapping[str, Numbers], *, control: Numbers | None = None, environment: str = "env"
) -> Results:
    """Return a comparison in which every run ended ok with the numbers given.

    Args:
        algorithms: the numbers of each, seed by seed.
        control: those of the first algorithm's second runs.
        environment: the name of the environment.
    """
    lanes = [(name, 0, numbers) for name, numbers in algorithms.items()]
    if control is not None:
        lanes.append((next(iter(algorithms)), 1, control))
    runs, curves = [], []
    for name, repeat, numbers in lanes:
        for seed in range(len(next(iter(numbers.values())))):
            run = _run(name, seed, repeat, environment)
            runs.append(run | {k: v[seed] for k, v in numbers.items() if k in RUNS_COLUMNS})
            if "score" in numbers:
                curves.append(_point(run, numbers["score"][seed]))
    raw: dict[str, Any] = dict.fromkeys(RAW_TABLES, ())
    return Results(Path("/nowhere"), runs, {**raw, "curves.csv": curves}, (), ())


def merged(*results: Results) -> Results:
    """Return several simulated comparisons as one."""
    curves = [row for one in results for row in one.raw["curves.csv"]]
    runs = [run for one in results for run in one.runs]
    return Results(Path("/nowhere"), runs, {**results[0].raw, "curves.csv": curves}, (), ())


def _run(name: str, seed: int, repeat: int, environment: str) -> dict[str, Any]:
    return dict.fromkeys(RUNS_COLUMNS) | {
        "run_id": f"{name} {seed} {repeat} {environment}",
        "algorithm": name,
        "environment": environment,
        "model": "tiny",
        "seed": seed,
        "repeat": repeat,
        "config_sha256": "c0ffee",
        "config_json": "{}",
        "own_json": "{}",
        "status": "ok",
    }


def _point(run: Mapping[str, Any], score: float) -> dict[str, str]:
    point = dict.fromkeys(RAW_TABLES["curves.csv"], "")
    point |= {key: str(run[key]) for key in ("run_id", "algorithm", "environment", "seed")}
    where = {"split": "eval", "metric": "score/mean", "update": "1", "value": repr(score)}
    return {**point, **where}
