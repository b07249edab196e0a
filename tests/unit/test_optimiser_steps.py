"""The optimiser steps of an update: how many there are, and whose weights they have."""

from __future__ import annotations

import pytest
from small_world import small_training
from torch import Tensor

from bakeoff.types import Batch, Metrics


def weight_sums(name: str, minibatches: int) -> list[float]:
    """The sum of the weights in each step of one update."""
    training = small_training(name, updates=1, minibatches=minibatches)
    learner = training.learner
    policy_loss, sums = learner.algorithm.policy_loss, []

    def watched(batch: Batch, logp_BT: Tensor) -> tuple[Tensor, Metrics]:
        assert batch.weight_BT is not None
        sums.append(float(batch.weight_BT.sum()))
        return policy_loss(batch, logp_BT)

    learner.algorithm = learner.algorithm._replace(policy_loss=watched)
    list(training.run())
    return sums


@pytest.mark.parametrize("name", ["grpo", "reinforce"])
def test_the_weights_of_each_step_are_of_its_own_completions(name: str) -> None:
    # a mean over tokens, or over completions, is of weights that sum to 1: in each of two steps
    assert weight_sums(name, minibatches=2) == pytest.approx([1.0, 1.0])


def test_each_epoch_is_a_pass_over_all_minibatches() -> None:
    assert len(weight_sums("grpo:epochs=3", minibatches=2)) == 3 * 2


def test_the_policy_learns_at_the_temperature_at_which_it_samples() -> None:
    *_, report = small_training("grpo", updates=1, temperature=0.5).run()

    # at another temperature the two would differ by a large part of a nat
    assert report.metrics["logp_mismatch/max"] < 1e-4
