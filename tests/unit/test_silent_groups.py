"""Groups without an advantage: no backward pass, and nothing else is different."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_world import (
    EvenPrompts,
    annotated,
    sampled_batch,
    small_config,
    small_model,
    small_training,
)
from torch import Tensor

from bakeoff.algorithms import ALGORITHMS, make
from bakeoff.algorithms.manifest import spares_the_silent
from bakeoff.algorithms.stages import silent, weighted
from bakeoff.training.flops import Passes, passes
from bakeoff.training.learner import Learner
from bakeoff.training.ledger import Ledger
from bakeoff.training.meter import Meter
from bakeoff.training.optimizer import trained
from bakeoff.training.steps import Losses, backward
from bakeoff.types import Batch, Metrics

SPARING = [name for name in ALGORITHMS if spares_the_silent(make(name))]

FORMS = ["reinforce", "grpo", "gspo", "cispo", "sapo", "ppo"]
"""One for each surrogate, a ratio of whole completions, and a critic.

``bakeoff.algorithms.checking.silence`` tries all presets, in ``test_algorithms_contract.py``.
"""


def test_what_spares_the_silent_says_so_in_its_manifest_and_the_others_say_all() -> None:
    said = {name: make(name).semantics["backward"] for name in ALGORITHMS}

    # imitation pulls on groups without an advantage too, and cross-entropy knows of none
    assert {name for name, text in said.items() if text == "all"} == {"vapo", "sft"}
    assert {text for name, text in said.items() if name in SPARING} == {"groups with an advantage"}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("grpo:kl_coef=0.1", "all"),
        ("reinforce++-baseline:kl_coef=0.01", "all"),
        ("ppo:critic=shared", "all"),
        ("ppo:critic=lora", "groups with an advantage"),
        ("vapo:imitation_coef=0", "groups with an advantage"),
        ("rloo:kl_coef=0.1", "groups with an advantage"),  # the term is in the reward
        ("grpo:mismatch=token_masked", "groups with an advantage"),
    ],
)
def test_a_term_that_is_not_the_advantages_needs_all_of_them(spec: str, text: str) -> None:
    assert make(spec).semantics["backward"] == text


def test_a_loss_of_ones_own_makes_a_backward_pass_of_everything() -> None:
    def own(batch: Batch, logp_BT: Tensor) -> tuple[Tensor, Metrics]:
        assert batch.weight_BT is not None and batch.adv_BT is not None
        return -(batch.weight_BT * batch.adv_BT * logp_BT).sum(), {}

    assert not spares_the_silent(make("grpo")._replace(policy_loss=own))


def test_a_group_is_silent_only_as_a_whole() -> None:
    batch = sampled_batch(small_model(1))  # three groups of four
    adv_B = torch.zeros(12)
    adv_B[5] = -1.0

    silent_B = silent(batch._replace(adv_BT=adv_B[:, None] * batch.mask_BT))

    assert silent_B.tolist() == [1.0] * 4 + [0.0] * 4 + [1.0] * 4


def test_an_advantage_where_nothing_counts_is_none() -> None:
    batch = sampled_batch(small_model(1))

    silent_B = silent(batch._replace(adv_BT=1 - batch.mask_BT))

    assert silent_B.all()


@pytest.mark.parametrize("spec", [*FORMS, "vapo:imitation_coef=0"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), spread=st.sampled_from([0.0, 0.1, 3.0, 50.0]))
def test_what_has_no_advantage_has_a_gradient_of_exactly_zero(
    spec: str, seed: int, spread: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows, tokens = 6, 5
    mask_BT = (torch.rand(rows, tokens, generator=generator) < 0.8).float()
    logp_BT = (-6 * torch.rand(rows, tokens, generator=generator)).requires_grad_()
    shift_BT = spread * torch.randn(rows, tokens, generator=generator)
    adv_BT = torch.randn(rows, tokens, generator=generator) * mask_BT
    adv_BT[::2] = 0.0
    batch = Batch(
        prompt_BP=torch.ones(rows, 1),
        prompt_mask_BP=torch.ones(rows, 1),
        token_BT=torch.ones(rows, tokens),
        mask_BT=mask_BT,
        logp_old_BT=logp_BT.detach() + shift_BT,
        reward_B=torch.zeros(rows),
        group_B=torch.arange(rows),
        truncated_B=torch.zeros(rows),
        limit_B=torch.full((rows,), 8.0),
        adv_BT=adv_BT,
    )
    algorithm = make(spec)

    loss, _ = algorithm.policy_loss(weighted(algorithm, batch), logp_BT)
    (grad_BT,) = torch.autograd.grad(loss, [logp_BT])

    assert (grad_BT[::2] == 0).all()


class Step(NamedTuple):
    """What one update of a learner makes."""

    gradients: list[Tensor]
    metrics: Metrics


def step_of(spec: str, *, sparing: bool, **knobs: object) -> Step:
    """One step in which the first and the last of three groups have no advantage."""
    model = small_model(1)
    config = small_config(minibatches=1, max_grad_norm=1e9, **knobs)
    learner = Learner(model, make(spec), config, Ledger())
    gradients: list[Tensor] = []
    for optimizer in filter(None, (learner.optimizer, learner.critic_optimizer)):
        optimizer.step = lambda o=optimizer: gradients.extend(  # type: ignore[method-assign,misc]
            weight.grad.clone() for weight in trained(o) if weight.grad is not None
        )
    batch = annotated(learner, sampled_batch(model))
    assert batch.adv_BT is not None
    batch = batch._replace(adv_BT=batch.adv_BT * (batch.group_B == 1)[:, None])
    batch = batch._replace(silent_B=silent(batch) if sparing else None)
    return Step(gradients, learner.learn(batch, 0, 0, Meter("cpu")))


@pytest.mark.parametrize(
    ("spec", "micro_batch"),
    [*((spec, 3) for spec in FORMS), ("ppo:critic=lora", 3), ("grpo", 64)],
)
def test_gradients_and_metrics_are_those_of_passes_over_everything(
    spec: str, micro_batch: int
) -> None:
    spared, whole = (
        step_of(spec, sparing=sparing, micro_batch=micro_batch) for sparing in (True, False)
    )

    torch.testing.assert_close(spared.gradients, whole.gradients, rtol=1e-5, atol=1e-7)
    assert any(gradient.any() for gradient in whole.gradients)
    assert spared.metrics == pytest.approx(whole.metrics, rel=1e-5, abs=1e-6)


def passes_of(batch: Batch, micro_batch: int) -> list[tuple[bool, int]]:
    """Whether each micro-batch of a step makes a backward pass, and how many rows it has."""
    weight = torch.ones((), requires_grad=True)
    seen: list[tuple[bool, int]] = []

    def losses_of(micro: Batch) -> tuple[Losses, Metrics]:
        seen.append((torch.is_grad_enabled(), len(micro.reward_B)))
        return {"policy": weight * micro.mask_BT.sum()}, {}

    backward(batch, micro_batch, losses_of)
    return seen


def test_only_groups_with_an_advantage_make_a_backward_pass() -> None:
    batch = sampled_batch(small_model(1))
    batch = batch._replace(silent_B=torch.tensor([1.0] * 4 + [0.0] * 4 + [1.0] * 4))

    seen = passes_of(batch, 3)

    # 4 of 12 completions, three at a time; then the other 8, forward
    assert seen == [(True, 3), (True, 1), (False, 3), (False, 3), (False, 2)]


def test_with_a_loss_that_spares_nobody_all_do() -> None:
    assert passes_of(sampled_batch(small_model(1)), 6) == [(True, 6), (True, 6)]


def test_a_step_of_silent_groups_alone_makes_a_backward_pass_of_one_completion() -> None:
    batch = sampled_batch(small_model(1))._replace(silent_B=torch.ones(12))

    assert passes_of(batch, 64) == [(True, 1), (False, 11)]


@pytest.mark.parametrize("spec", ["grpo", "ppo", "grpo:epochs=2"])
def test_an_update_without_any_advantage_moves_by_momentum_as_before(spec: str) -> None:
    weights = []
    for sparing in (True, False):
        model = small_model(1)
        learner = Learner(model, make(spec), small_config(weight_decay=0.1), Ledger())
        batch = annotated(learner, sampled_batch(model))
        learner.learn(batch._replace(silent_B=None), 0, 0, Meter("cpu"))
        before = [weight.detach().clone() for weight in trained(learner.optimizer)]
        assert batch.adv_BT is not None
        batch = batch._replace(adv_BT=torch.zeros_like(batch.adv_BT))
        batch = batch._replace(silent_B=silent(batch) if sparing else None)
        metrics = learner.learn(batch, 0, 1, Meter("cpu"))
        weights.append([weight.detach() for weight in trained(learner.optimizer)])

        assert metrics["grad_norm"] == 0.0
        assert not all(map(torch.equal, before, weights[-1]))  # AdamW goes on without a gradient

    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)


def test_silent_completions_cost_one_pass_and_are_counted() -> None:
    flops, fractions = [], []
    for spec in ("grpo", "grpo:kl_coef=0.1"):
        # each reward is its prompt's: no group has a spread
        training = small_training(spec, environment=EvenPrompts(), updates=1, samples_per_update=16)
        *_, report = training.run()
        flops.append(report.counters.train_flops)
        fractions.append(report.metrics.get("silent_frac"))
    lengths = [len(sample.completion.token_ids) for sample in report.samples]

    # of 3 passes of the update one is left; of a prompt's four readings two are counted, one for
    # each minibatch, and so two less of each of the four prompts. There is no reference model
    # either, which reads each prompt once
    forward = training.flops.forward
    alone = sum(forward(2, t - 1, t) for t in lengths)
    update, reference = (alone - 4 * spared * forward(2, 0, 0) for spared in (2, 3))
    assert flops[1] - flops[0] == (3 - 1) * update + reference
    assert fractions == [1.0, None]


def test_an_adapter_of_a_silent_completion_costs_one_pass_too() -> None:
    # frozen weights: forward and one backward pass, and three of the adapter; or one of each
    algorithm = make("grpo:epochs=2")
    assert passes(algorithm, 0, rank=8) == {"update_policy": Passes(4, 0, 8 * 6)}
    assert passes(algorithm, 0, rank=8, silent=True) == {"update_policy": Passes(2, 0, 8 * 2)}
