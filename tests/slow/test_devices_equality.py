"""A run of two processes, or more, is the run of one: the same losses, advantages and weights.

Five prompts of three completions of unequal lengths go into two optimiser steps, four at a time: no
rank, step or micro-batch has as much as another.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from ranked_world import Result, Run, alone, check_equal, ranked

pytest.importorskip("accelerate", reason="processes meet by accelerate: bakeoff[accelerate]")
pytestmark = pytest.mark.slow

ALGORITHMS = {
    "grpo": Run("grpo"),
    "ppo": Run("ppo", "ppo"),
    "ppo, shared critic": Run("ppo, shared critic", "ppo:critic=shared"),
    "a critic alone at first": Run("a critic alone at first", "vapo"),
    "reinforce": Run("reinforce", "reinforce"),
    "KL to a reference": Run("KL to a reference", "reinforce++:kl_coef=0.1"),
    "greedy baselines": Run("greedy baselines", "remax"),
    "further rounds": Run("further rounds", "dapo"),
    "corrected": Run("corrected", "grpo:mismatch=token_truncated"),
    "several turns": Run("several turns", environment="HigherLower"),
    "old samples": Run(
        "old samples",
        "ppo:mismatch=token_truncated",
        {"staleness": 1, "curriculum": "adaptive", "updates": 4},
    ),
    "fewer items than ranks": Run(
        "fewer items than ranks", "remax", {"prompts_per_update": 1, "eval_items": 1}
    ),
    "recomputed": Run("recomputed", knobs={"recompute": "layers"}),
}
WHOLE = {
    "matched": Run("matched", knobs={"match": "kl", "match_target": 1e-3}),
    "lora": Run("lora", knobs={"lora_rank": 4}),
    "programs": Run("programs", environment="Programs"),
}
"""Those that do not go with shards, or have nothing to do with them."""

Results = Mapping[str, list[Result]]


def sharded(run: Run) -> Run:
    return Run(f"{run.name}, shards", run.algorithm, {**run.knobs, "sharding": "full"})


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Results:
    plain = [*ALGORITHMS.values(), *WHOLE.values()]
    shards = [sharded(run) for run in ALGORITHMS.values() if run.name != "several turns"]
    return ranked([*plain, *shards], 2, tmp_path_factory.mktemp("two"))


@pytest.mark.parametrize("name", [*ALGORITHMS, *WHOLE])
def test_two_processes_make_the_run_of_one(name: str, two: Results) -> None:
    one = alone({**ALGORITHMS, **WHOLE}[name])

    for found in two[name]:
        check_equal(found, one)


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "several turns"])
def test_two_processes_with_shards_make_the_run_of_one(name: str, two: Results) -> None:
    one = alone(ALGORITHMS[name])

    for found in two[f"{name}, shards"]:
        check_equal(found, one)


def test_scores_of_programs_that_two_processes_run_are_those_of_any_other_score(
    two: Results,
) -> None:
    for programs, plain in zip(two["programs"], two["grpo"], strict=True):
        assert programs.metrics == plain.metrics  # to the bit: the programs say what is even
        assert programs.error == plain.error == ""


def test_both_processes_have_the_same_weights_to_the_bit(two: Results) -> None:
    first, second = two["grpo"]

    assert all(bool((first.tensors[name] == t).all()) for name, t in second.tensors.items())


@pytest.mark.parametrize("size", [3, 4])
def test_more_processes_make_the_run_of_one(size: int, tmp_path: Path) -> None:
    runs = [ALGORITHMS["ppo"], sharded(ALGORITHMS["ppo"])]
    one = alone(ALGORITHMS["ppo"])

    for results in ranked(runs, size, tmp_path).values():
        for found in results:
            check_equal(found, one)
