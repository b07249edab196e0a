"""Sampler and training model: what is told and corrected of their difference, and imitation."""

import math

import pytest
import torch
from small_world import (
    annotated,
    sampled_batch,
    small_config,
    small_model,
    small_training,
)

from bakeoff.algorithms import make
from bakeoff.errors import UsageError
from bakeoff.training.learner import Learner
from bakeoff.training.ledger import Ledger
from bakeoff.training.meter import Meter
from bakeoff.types import Batch


def another_samplers(batch: Batch, gap: float) -> Batch:
    """The batch with log-probabilities that are ``gap`` higher where they count."""
    return batch._replace(logp_old_BT=batch.logp_old_BT + gap * batch.mask_BT)


def test_with_a_correction_the_ratio_is_to_the_training_models_own_probabilities() -> None:
    learner = Learner(
        small_model(1), make("grpo:mismatch=token_truncated"), small_config(), Ledger()
    )
    batch = sampled_batch(small_model(1))

    found = learner.annotate(another_samplers(batch, 0.5), Meter("cpu"))

    # sampler and training model are one model here, so its own are those of before the change
    torch.testing.assert_close(found.logp_old_BT, batch.logp_old_BT, rtol=0, atol=1e-5)
    assert found.correction_BT is not None
    # training / sampler = exp(-0.5), below the cap of 2
    expected_BT = torch.where(batch.mask_BT > 0, math.exp(-0.5), 1.0)
    torch.testing.assert_close(found.correction_BT, expected_BT, rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", ["grpo", "grpo:mismatch=token_truncated", "reinforce"])
def test_the_mismatch_is_that_of_sampler_and_training_model_before_the_first_step(
    name: str,
) -> None:
    learner = Learner(small_model(1), make(name), small_config(minibatches=3), Ledger())
    batch = annotated(learner, another_samplers(sampled_batch(small_model(1)), 0.25))

    metrics = learner.learn(batch, 0, 0, Meter("cpu"))

    assert metrics["logp_mismatch/max"] == pytest.approx(0.25, abs=1e-4)


def test_the_weights_against_a_mismatch_are_told() -> None:
    *_, with_one = small_training("grpo:mismatch=token_masked", updates=1).run()
    *_, without = small_training("grpo", updates=1).run()

    # one model samples and trains: every ratio is 1 but for rounding
    for name in ("mean", "min", "max"):
        assert with_one.metrics[f"mismatch/weight_{name}"] == pytest.approx(1, abs=1e-4)
    assert with_one.metrics.keys() - without.metrics.keys() == {
        f"mismatch/weight_{name}" for name in ("mean", "min", "max")
    }


def test_gold_replies_have_no_sampler_and_no_mismatch() -> None:
    *_, report = small_training("sft", updates=1).run()

    assert "logp_mismatch/max" not in report.metrics
    assert "loss/policy" in report.metrics
    with pytest.raises(UsageError, match="nobody sampled"):
        make("sft:mismatch=token_truncated")


def test_imitation_weights_are_made_for_each_minibatch() -> None:
    learner = Learner(small_model(1), make("grpo:epochs=2"), small_config(minibatches=3), Ledger())
    seen: list[int] = []

    def imitation(mini: Batch) -> torch.Tensor:
        seen.append(len(mini.reward_B))
        return mini.mask_BT

    def loss(micro: Batch, logp_BT: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        assert micro.imitation_BT is not None
        return -(micro.imitation_BT * logp_BT).sum(), {}

    batch = annotated(learner, sampled_batch(small_model(1)))
    learner.algorithm = learner.algorithm._replace(imitation=imitation, policy_loss=loss)
    learner.learn(batch, 0, 0, Meter("cpu"))

    # twelve completions in three minibatches, twice
    assert seen == [4] * 6
