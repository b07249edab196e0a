"""fp32 masters of bf16 weights: small steps and gradients add up, the model has them rounded."""

import gc
import weakref

import pytest
import torch
from small_world import annotated, sampled_batch, small_config, small_model
from torch import nn

from bakeoff.algorithms import make
from bakeoff.training.batch import micro_batches
from bakeoff.training.config import OptimizerConfig
from bakeoff.training.learner import Learner
from bakeoff.training.ledger import Ledger, optimizer_bytes
from bakeoff.training.masters import Master, masters, publish, rounded
from bakeoff.training.matching import Step
from bakeoff.training.meter import Meter
from bakeoff.training.optimizer import adamw, trained


def one(dtype: torch.dtype = torch.bfloat16) -> nn.Parameter:
    return nn.Parameter(torch.ones(1, dtype=dtype))


def learner_of(name: str = "grpo", **knobs: object) -> Learner:
    config = small_config(minibatches=1, precision="bf16", **knobs)
    return Learner(small_model(1), make(name), config, Ledger())


def after_steps(weight: nn.Parameter, optimizer: torch.optim.Optimizer, n: int) -> float:
    for _ in range(n):
        weight.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return weight.item()


def test_steps_below_the_resolution_of_bf16_add_up_in_masters() -> None:
    weight = one()
    optimizer = adamw([weight], 2**-11, OptimizerConfig())

    # a constant gradient of 1 makes steps of the learning rate: 1 - 64 * 2^-11 = 0.96875, in bf16
    assert after_steps(weight, optimizer, 64) == 0.96875


def test_without_masters_the_same_steps_vanish() -> None:
    weight = one()

    # below 1 the numbers of bf16 are 2^-8 apart: 1 - 2^-11 is nearest to 1
    assert after_steps(weight, torch.optim.AdamW([weight], lr=2**-11, weight_decay=0), 64) == 1.0


def test_gradients_of_micro_batches_are_added_in_fp32() -> None:
    weight = one()
    (master,) = masters([weight])
    for _ in range(300):
        weight.sum().backward()

    # above 256 the numbers of bf16 are 2 apart: in bf16 the sum would stay at 256
    assert master.grad is not None
    assert master.grad.item() == 300.0


def test_a_weight_below_fp32_holds_no_gradient_after_a_backward_pass() -> None:
    learner = learner_of()
    batch = annotated(learner, sampled_batch(small_model(1)))

    learner.passing.policy_logps(batch)[0].sum().backward()

    assert all(weight.grad is None for weight in learner.policy.parameters())
    assert all(master.grad is not None for master in trained(learner.optimizer))


def test_micro_batches_give_the_gradient_of_the_batch_to_the_rounding_of_their_parts() -> None:
    learner = learner_of()
    batch = annotated(learner, sampled_batch(small_model(1)))
    weights = list(learner.policy.parameters())

    def gradients(size: int) -> list[list[torch.Tensor]]:
        learner.optimizer.zero_grad()
        parts = []
        for micro in micro_batches(batch, size):
            before = [m.grad.clone() if m.grad is not None else 0.0 for m in masters_of(learner)]
            learner.passing.policy_logps(micro)[0].sum().backward()
            after = [m.grad for m in masters_of(learner)]
            parts.append([new - old for new, old in zip(after, before, strict=True)])  # type: ignore[operator]
        return parts

    (whole,), parts = gradients(12), gradients(4)
    assert len(parts) == 3
    for index, weight in enumerate(weights):
        total = sum(part[index] for part in parts)
        size = sum(part[index].norm() for part in parts) + whole[index].norm()
        # each of the four is a product of the same numbers, of bf16, rounded to 8 bits: by 2^-9 of
        # it at most; twice that for sums within it, which depend on who is in a micro-batch
        assert (total - whole[index]).norm() <= 2 * 2**-9 * size, weight.shape


def masters_of(learner: Learner) -> list[nn.Parameter]:
    return trained(learner.optimizer)


def is_rounded(learner: Learner) -> bool:
    moved = trained(learner.optimizer)
    return all(torch.equal(rounded(m), m.to(torch.bfloat16)) for m in moved)


@pytest.mark.parametrize(
    "knobs",
    [{}, {"match": "norm", "match_target": 0.05}, {"match": "kl", "match_target": 0.001}],
)
def test_after_an_update_the_model_is_its_masters_rounded(knobs: dict[str, object]) -> None:
    learner = learner_of(**knobs)
    before = [weight.detach().clone() for weight in learner.policy.parameters()]

    learner.learn(annotated(learner, sampled_batch(small_model(1))), 0, 0, Meter("cpu"))

    assert is_rounded(learner)
    pairs = zip(before, learner.policy.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in pairs)


def test_a_matched_norm_is_that_of_the_masters_change() -> None:
    learner = learner_of(match="norm", match_target=0.05)
    before = [master.detach().clone() for master in trained(learner.optimizer)]

    learner.learn(annotated(learner, sampled_batch(small_model(1))), 0, 0, Meter("cpu"))

    pairs = zip(before, trained(learner.optimizer), strict=True)
    change = torch.cat([(new - old).flatten() for old, new in pairs])
    assert change.norm().item() == pytest.approx(0.05, rel=1e-4)


def test_a_rescaled_step_is_rounded_into_the_model() -> None:
    weight = one()
    (master,) = masters([weight])
    step = Step([master])
    with torch.no_grad():
        master += 0.25
    publish([master])

    step.rescale(2.0)

    assert weight.item() == 1.5


def test_the_last_master_of_a_weight_has_its_gradient() -> None:
    weight = one()
    (first,), (second,) = masters([weight]), masters([weight])

    weight.sum().backward()

    assert first.grad is None
    assert second.grad is not None


def test_a_weight_outlives_no_one_through_its_master() -> None:
    weight = one()
    held = masters([weight])
    gone = [weakref.ref(weight), weakref.ref(held[0])]

    del weight, held
    gc.collect()

    assert [reference() for reference in gone] == [None, None]


def test_weights_in_fp32_are_their_own_masters() -> None:
    half, full = one(), one(torch.float32)

    first, second = masters([half, full])

    assert isinstance(first, Master)
    assert second is full


def test_masters_count_as_the_optimisers() -> None:
    weight = nn.Parameter(torch.ones(1000, dtype=torch.bfloat16))
    optimizer = adamw([weight], 0.1, OptimizerConfig())

    # 4 bytes of each, and no averages before the first step
    assert optimizer_bytes(optimizer) == 4000


def test_a_value_head_has_no_master_and_its_backbone_has() -> None:
    learner = learner_of("ppo")
    assert learner.critic is not None and learner.critic_optimizer is not None
    kinds = [isinstance(weight, Master) for weight in trained(learner.critic_optimizer)]
    backbone = len(list(learner.policy.base_model.parameters()))

    assert kinds.count(True) == backbone
    assert kinds.count(False) == 2  # the head's weights and its bias


def test_the_reference_holds_what_the_policy_began_with() -> None:
    learner = learner_of("grpo:kl_coef=0.1")
    assert learner.reference is not None
    began = [weight.to(torch.bfloat16) for weight in small_model(1).model.parameters()]

    learner.learn(annotated(learner, sampled_batch(small_model(1))), 0, 0, Meter("cpu"))

    assert all(map(torch.equal, learner.reference.parameters(), began))
