"""Critics of every kind: values, gradients, warm-up, rates, memory, and going on to the bit."""

from pathlib import Path

import pytest
import torch
from small_critics import EVERY, KINDS, awake, copies, equal, learner_with
from small_world import (
    EvenPrompts,
    EvenReplies,
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
from bakeoff.training.loop import Training
from bakeoff.training.meter import Meter
from bakeoff.training.scoring import token_logps
from bakeoff.training.statistics import critic_metrics
from bakeoff.types import Batch


@pytest.mark.parametrize(("kind", "knobs"), EVERY)
def test_the_first_values_are_zero(kind: str, knobs: dict[str, object]) -> None:
    batch = learner_with(kind, **knobs).annotate(sampled_batch(small_model(1)), Meter("cpu"))

    assert batch.value_BT is not None and batch.value_end_B is not None
    assert not batch.value_BT.any()
    assert not batch.value_end_B.any()


@pytest.mark.parametrize(("kind", "knobs"), EVERY)
def test_the_value_at_the_end_is_that_before_a_token_that_would_follow(
    kind: str, knobs: dict[str, object]
) -> None:
    learner = awake(learner_with(kind, **knobs))
    batch = sampled_batch(small_model(1))
    length_B = batch.mask_BT.sum(1).long()
    rows = torch.arange(len(length_B))
    longer = {  # every completion with one more token, right after its last
        name: torch.nn.functional.pad(field, (0, 1))
        for name, field in zip(batch._fields, batch, strict=True)
        if field is not None and name.endswith("_BT")
    }
    longer["token_BT"][rows, length_B] = 5
    longer["mask_BT"][rows, length_B] = 1.0

    value_end_B = learner.annotate(batch, Meter("cpu")).value_end_B
    value_BT = learner.annotate(batch._replace(**longer), Meter("cpu")).value_BT

    assert value_BT is not None and value_end_B is not None
    assert value_end_B.unique().numel() > 1
    torch.testing.assert_close(value_end_B, value_BT[rows, length_B])


def test_the_value_at_the_end_follows_the_last_token_that_counts() -> None:
    learner = awake(learner_with("separate"))
    batch = sampled_batch(small_model(1))
    mask_BT = torch.zeros_like(batch.mask_BT)
    mask_BT[:, :2] = torch.tensor([1.0, 0.0])  # a reply, then an observation: cut there

    found = learner.annotate(batch._replace(mask_BT=mask_BT), Meter("cpu")).value_end_B
    # after the first token is before the second
    mask_BT[:, 1] = 1.0
    before_second_B = learner.annotate(batch._replace(mask_BT=mask_BT), Meter("cpu")).value_BT

    assert found is not None and before_second_B is not None
    torch.testing.assert_close(found, before_second_B[:, 1])


@pytest.mark.parametrize("critic", ["separate", "shared:value_coef=1", "lora"])
def test_a_critic_learns_to_tell_the_prompts_that_pay(critic: str) -> None:
    training = small_training(
        f"ppo:critic={critic}",
        environment=EvenPrompts(),
        updates=16,
        eval_items=1,
        prompts_per_update=10,
        group_size=2,
        learning_rate=3e-3,
        critic_learning_rate=1e-2,
    )

    *_, last = training.run()

    # the reward is a function of the prompt, so all of its variance can be explained
    assert last.metrics["explained_variance"] > 0.5


def test_returns_that_differ_by_rounding_only_are_no_variance_to_explain() -> None:
    learner = awake(learner_with("separate"))
    batch = sampled_batch(small_model(1))

    batch = annotated(learner, batch._replace(reward_B=torch.zeros_like(batch.reward_B)))

    assert batch.return_BT is not None
    assert batch.return_BT.unique().numel() > 1  # R = (0 - V) + V is not quite 0
    assert critic_metrics(batch) == {}


@pytest.mark.parametrize("lora_rank", [0, 4])
def test_a_shared_critic_leaves_the_log_probabilities_as_they_were(lora_rank: int) -> None:
    learner = awake(learner_with("shared", lora_rank=lora_rank))
    batch = annotated(learner, sampled_batch(small_model(1)))
    same: list[bool] = []

    def loss(micro: Batch, logp_BT: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        same.append(torch.equal(logp_BT, token_logps(learner.policy, micro)[0]))
        return logp_BT.sum(), {}

    learner.algorithm = learner.algorithm._replace(policy_loss=loss)
    learner.learn(batch, 0, 0, Meter("cpu"))

    assert same == [True]


def backbone_gradient(coef: float) -> torch.Tensor:
    learner = awake(learner_with("shared", f":value_coef={coef}", max_grad_norm=1e9))
    batch = annotated(learner, sampled_batch(small_model(1)))
    found: list[torch.Tensor] = []
    learner.optimizer.step = lambda: found.extend(  # type: ignore[method-assign,assignment]
        p.grad.flatten() for p in learner.policy.parameters() if p.grad is not None
    )
    learner.learn(batch, 0, 0, Meter("cpu"))
    return torch.cat(found)


def test_a_shared_backbone_follows_both_losses_in_proportion_to_the_coefficient() -> None:
    # grad(L + c L_V) is linear in c: that of 1 is the mean of those of 1/2 and 3/2
    low, one, high = (backbone_gradient(coef) for coef in (0.5, 1.0, 1.5))

    torch.testing.assert_close(one, (low + high) / 2, rtol=1e-4, atol=1e-7)
    assert (high - low).norm() > 0.1 * low.norm()


def test_the_head_of_a_shared_critic_has_the_critics_learning_rate() -> None:
    training = small_training(
        "ppo:critic=shared", environment=EvenReplies(), critic_learning_rate=0.0
    )
    before = copies(training.learner.policy.parameters())

    list(training.run())

    assert training.learner.critic is not None
    assert not training.learner.critic.head.weight.any()
    assert not equal(before, copies(training.learner.policy.parameters()))


@pytest.mark.parametrize(("kind", "knobs"), EVERY)
def test_in_the_warm_up_only_the_critic_moves(kind: str, knobs: dict[str, object]) -> None:
    training = small_training(
        f"ppo:critic={kind}:critic_warmup=2",
        environment=EvenPrompts(),
        weight_decay=0.1,
        **knobs,
    )
    learner = training.learner
    policy, critic = learner.models.held()["policy"], learner.models.held()["critic"]
    before, critic_before = copies(policy), copies(critic)
    reports = training.run()
    warm = [next(reports) for _ in range(3)]

    assert equal(copies(policy), before)
    assert not equal(copies(critic), critic_before)
    assert not {"loss/policy", "grad_norm", "kl", "entropy", "lr"} & warm[2].metrics.keys()
    assert "loss/value" in warm[2].metrics

    after = next(reports)

    assert not equal(copies(policy), before)
    assert "loss/policy" in after.metrics


@pytest.mark.parametrize("kind", KINDS)
def test_the_warm_up_costs_no_passes_of_the_policy(kind: str) -> None:
    learner = learner_with(kind, ":critic_warmup=1:epochs=2")

    # one pass for the values before the update, and in each of two epochs: forward and backward
    # (3), only through activations (2), or forward alone, for the head's gradient costs nothing
    first, second = learner.passes(0), learner.passes(1)
    assert first["values"].critic == second["values"].critic == 1
    assert "update_policy" not in first
    assert first["update_critic"].critic == 2 * {"separate": 3, "shared": 1, "lora": 2}[kind]
    assert second["update_policy"].policy == 6
    assert second["update_critic"].critic == 2 * {"separate": 3, "shared": 0, "lora": 2}[kind]


@pytest.mark.parametrize(("kind", "knobs"), EVERY)
def test_a_resumed_run_with_a_critic_is_the_same_to_the_bit(
    kind: str, knobs: dict[str, object], tmp_path: Path
) -> None:
    def run() -> Training:
        return small_training(
            f"ppo:critic={kind}:critic_warmup=1",
            environment=EvenReplies(),
            updates=3,
            checkpoint_every=1,
            eval_items=1,
            **knobs,
        )

    whole, stopped, resumed = run(), run(), run()
    list(whole.run())
    for report in stopped.run(tmp_path):
        if report.update == 3:  # the checkpoint has two updates behind it
            break
    assert [report.update for report in resumed.run(tmp_path)] == [3]

    expected, found = whole.learner.models.held(), resumed.learner.models.held()
    assert equal(copies(found["policy"]), copies(expected["policy"]))
    assert equal(copies(found["critic"]), copies(expected["critic"]))


@pytest.mark.parametrize("kind", KINDS)
def test_values_of_a_bf16_model_are_fp32(kind: str) -> None:
    model = small_model(1)
    model.model.to(torch.bfloat16)
    learner = Learner(model, make(f"ppo:critic={kind}"), small_config(), Ledger())
    assert learner.critic is not None
    with torch.no_grad():
        learner.critic.head.bias.fill_(1.001)  # bf16 has 1 and 1.0078 and nothing in between

    batch = learner.annotate(sampled_batch(small_model(1)), Meter("cpu"))

    assert batch.value_BT is not None
    assert batch.value_BT.max().item() == pytest.approx(1.001, abs=1e-6)


def test_a_critic_of_an_unknown_kind_is_refused_by_name() -> None:
    algorithm = make("ppo")
    assert algorithm.critic is not None
    odd = algorithm._replace(critic=algorithm.critic._replace(kind="shard"))

    with pytest.raises(UsageError, match="shared"):
        Learner(small_model(), odd, small_config(), Ledger())
