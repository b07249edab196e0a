"""Every algorithm that ships learns, in the one loop, with a transformer."""

from __future__ import annotations

import pytest
from small_world import small_training

from bakeoff.algorithms import ALGORITHMS

LONG = ("dapo", "remax", "vapo")  # fast for them: the bandit of test_algorithms_contract.py
CASES = [
    pytest.param(name, seed, marks=[pytest.mark.slow] if seed or name in LONG else [])
    for name in (*ALGORITHMS, "reinforce:baseline=leave_one_out")
    for seed in (0, 1, 2)
]


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_every_algorithm_learns_the_smallest_environment(name: str, seed: int) -> None:
    training = small_training(
        name,
        seed=seed,
        updates=150,
        prompts_per_update=10,
        group_size=8,
        learning_rate=2e-3,
        eval_every=10,
        # of two tokens, a right reply takes both: DAPO's penalty of the last fifth would be all
        max_new_tokens=3 if name == "dapo" else 2,
    )

    scores = (r.eval_metrics["score/mean"] for r in training.run() if r.eval_metrics)
    start = next(scores)

    # guessing among 16 tokens is right once in 16, and then the end is to be guessed too
    assert start <= 0.1
    assert any(score >= 0.8 for score in scores)
