"""What a critic holds and stands on: bytes, parameters, and frozen weights that stay."""

import pytest
import torch
from small_critics import EVERY, awake, copies, equal, learner_with
from small_world import (
    EvenPrompts,
    EvenReplies,
    annotated,
    sampled_batch,
    small_model,
    small_training,
)

from bakeoff.training import adapters
from bakeoff.training.meter import Meter
from bakeoff.training.scoring import token_logps


@pytest.mark.parametrize(("kind", "knobs"), EVERY)
def test_what_a_critic_holds_is_what_is_predicted(kind: str, knobs: dict[str, object]) -> None:
    training = small_training(f"ppo:critic={kind}", environment=EvenReplies(), updates=1, **knobs)
    list(training.run())
    predicted, held = training.learner.predicted_bytes(), training.ledger.highest

    for part in ("weights", "grads", "optimizer"):
        # buffers of rotary frequencies, and AdamW's counters of steps, are not in the formula
        assert held[f"critic_{part}"] == pytest.approx(predicted[f"critic_{part}"], abs=200)


def parameters(kind: str, extra: str = "", **knobs: object) -> dict[str, int]:
    held = learner_with(kind, extra, **knobs).models.held()
    return {name: sum(p.numel() for p in weights) for name, weights in held.items()}


def test_a_shared_critic_is_a_head_and_nothing_else() -> None:
    # 32 weights and a bias
    assert parameters("shared")["critic"] == 33


def test_a_lora_critic_copies_frozen_weights_only_if_there_are_none() -> None:
    backbone = sum(p.numel() for p in small_model().model.base_model.parameters())
    alone, reference, lora = (
        parameters("lora"),
        parameters("lora", ":kl_coef=0.1"),
        parameters("lora", lora_rank=16),
    )

    assert alone["critic"] - reference["critic"] == backbone
    assert lora["critic"] == reference["critic"]
    assert alone["policy"] == reference["policy"] == reference["reference"]
    assert lora["policy"] - alone["policy"] == lora["critic"] - 33  # as large an adapter, no head


@pytest.mark.parametrize("extra", ["", ":kl_coef=0.1"])
@pytest.mark.parametrize("lora_rank", [0, 4])
def test_a_lora_critic_learns_without_moving_what_it_stands_on(extra: str, lora_rank: int) -> None:
    training = small_training(
        f"ppo:critic=lora{extra}", environment=EvenPrompts(), lora_rank=lora_rank
    )
    learner = training.learner
    assert learner.critic is not None
    base = learner.policy if lora_rank else learner.reference or learner.critic.backbone
    assert base is not None
    frozen = [p for name, p in base.named_parameters() if "lora_" not in name]
    before, adapter = copies(frozen), copies(learner.critic.adapter)

    list(training.run())

    assert equal(copies(frozen), before)
    assert not equal(copies(learner.critic.adapter), adapter)


@pytest.mark.parametrize("lora_rank", [0, 4])
def test_the_reference_is_the_initial_policy_beside_a_lora_critic(lora_rank: int) -> None:
    batch = sampled_batch(small_model(0))
    expected_BT = token_logps(small_model(0).model, batch)[0].detach()
    training = small_training(
        "ppo:critic=lora:kl_coef=0.1", environment=EvenReplies(), lora_rank=lora_rank
    )

    list(training.run())

    torch.testing.assert_close(training.learner.reference_logps(batch), expected_BT)
    assert not torch.allclose(token_logps(training.learner.policy, batch)[0], expected_BT)


def test_a_step_of_a_lora_critic_leaves_a_lora_policy_alone() -> None:
    learner = awake(learner_with("lora", ":critic_warmup=1", lora_rank=4))
    batch = annotated(learner, sampled_batch(small_model(1)))
    before_BT = token_logps(learner.policy, batch)[0].detach()
    policy = copies(adapters.parameters(learner.policy, "policy"))

    learner.learn(batch, 0, 0, Meter("cpu"))

    assert torch.equal(token_logps(learner.policy, batch)[0].detach(), before_BT)
    assert equal(copies(adapters.parameters(learner.policy, "policy")), policy)
