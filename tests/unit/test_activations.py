"""Holding less of a forward pass changes no gradient."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from packed_world import model_of, random_batch
from small_world import small_training
from torch import Tensor
from transformers import PreTrainedModel

from bakeoff.training import adapters
from bakeoff.training.activations import recomputing, tokens_that_fit
from bakeoff.training.batch import micro_batches, prompts
from bakeoff.training.packing.packed import packed
from bakeoff.training.scoring import token_logps
from bakeoff.types import Batch, Metrics


def gradients(model: PreTrainedModel, batch: Batch, *, again: bool) -> list[Tensor]:
    with recomputing(model.base_model) if again else nullcontext():
        logp_BT, _ = token_logps(model, batch)
    logp_BT.sum().backward()
    found = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    model.zero_grad()
    return found


@pytest.mark.parametrize("make", ["llama", "gpt2", "gemma2"])
def test_layers_that_run_twice_give_the_same_gradients(make: str) -> None:
    # the same operations on the same numbers; gemma2 is read padded
    model, batch = model_of(make), random_batch(0)
    pairs = zip(
        gradients(model, batch, again=True), gradients(model, batch, again=False), strict=True
    )
    assert all(torch.equal(one, other) for one, other in pairs)


def test_the_second_run_has_the_adapter_of_the_first() -> None:
    # the adapter is switched off again before the backward pass, as a LoRA critic's is
    model, batch = model_of("llama"), random_batch(1)
    for name in ("policy", "critic"):
        adapters.add(model, name, rank=2, alpha=8)
    for weight in model.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.3)
    with adapters.using(model, "critic"):
        expected = gradients(model, batch, again=False)
    with adapters.using(model, "critic"), recomputing(model.base_model):
        logp_BT, _ = token_logps(model, batch)
    logp_BT.sum().backward()
    found = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def kept_bytes(model: PreTrainedModel, batch: Batch) -> int:
    """Bytes of what a forward pass keeps for the backward pass, weights not counted."""
    kept = dict[int, Tensor]()
    weights = {weight.data_ptr() for weight in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logp_BT, _ = token_logps(model, batch)
    assert logp_BT.requires_grad
    return sum(t.untyped_storage().nbytes() for at, t in kept.items() if at not in weights)


@pytest.mark.parametrize("make", ["llama", "gemma2"])
def test_what_a_token_takes_is_measured(make: str) -> None:
    # of two micro-batches, the one with as many tokens as fit keeps what was allowed
    model, batch = model_of(make), random_batch(2, prompts=8)
    tokens = len(packed(batch).token_N) if make == "llama" else batch_size(batch)
    budget = kept_bytes(model, batch)
    assert tokens_that_fit(model, batch, budget, again=False) == pytest.approx(tokens, rel=0.15)


def batch_size(batch: Batch) -> int:
    return batch.prompt_BP.numel() + batch.token_BT.numel()


@pytest.mark.parametrize("tokens", [1, 12, 30, 10_000])
def test_pieces_hold_no_more_tokens_than_they_may(tokens: int) -> None:
    batch = random_batch(3, prompts=6)
    pieces = list(micro_batches(batch, 5, tokens))
    for piece in pieces:
        rows = len(piece.reward_B)
        assert rows <= 5
        assert len(packed(piece, after=True).token_N) <= tokens or rows == 1
    assert sum(len(piece.reward_B) for piece in pieces) == len(batch.reward_B)
    sums = [row.sum().item() for piece in pieces for row in piece.token_BT * piece.mask_BT]
    assert sorted(sums) == sorted((batch.token_BT * batch.mask_BT).sum(1).tolist())


def test_rows_of_one_prompt_are_next_to_each_other() -> None:
    batch = random_batch(4, prompts=6)
    (whole,) = micro_batches(batch, 1000)
    changes = (prompts(whole).diff() != 0).sum()
    assert int(changes) == 5  # six prompts, five borders


@pytest.mark.parametrize("algorithm", ["grpo", "ppo", "ppo:critic=shared", "ppo:critic=lora"])
def test_a_run_that_holds_less_learns_the_same(algorithm: str) -> None:
    def weights(**knobs: object) -> list[Tensor]:
        training = small_training(algorithm, **knobs)
        list(training.run())
        return [weight.detach() for weight in training.learner.policy.parameters()]

    plain = weights()
    held = weights(recompute="layers", activation_gib=1e-4)
    # smaller pieces add up the same gradients in another order, which Adam may enlarge
    gaps = [float((one - other).abs().max()) for one, other in zip(plain, held, strict=True)]
    assert max(gaps) < 1e-3


def passes_of(**knobs: object) -> tuple[int, int]:
    """How often a loss is taken in an update, and its one layer is run with a gradient in mind."""
    training = small_training("reinforce", minibatches=1, updates=1, **knobs)
    learner, seen = training.learner, [0, 0]
    loss = learner.algorithm.policy_loss

    def watched(batch: Batch, logp_BT: Tensor) -> tuple[Tensor, Metrics]:
        seen[0] += 1
        return loss(batch, logp_BT)

    def run(*_: object) -> None:
        seen[1] += torch.is_grad_enabled()

    learner.algorithm = learner.algorithm._replace(policy_loss=watched)
    handle = learner.policy.base_model.layers[0].mlp.register_forward_pre_hook(run)
    list(training.run())
    handle.remove()
    return seen[0], seen[1]


def test_a_bound_makes_more_passes_and_recomputing_runs_layers_twice() -> None:
    # 16 completions in one piece; sampling and evaluation have no gradient in mind
    assert passes_of() == (1, 1)
    assert passes_of(recompute="layers") == (1, 2)
    # a bound that is below one completion makes a pass of each, after two that measured
    assert passes_of(activation_gib=1e-6) == (16, 18)
