"""Log-probabilities from hidden states are exact and hold few logits at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bakeoff.training.packing import logps
from bakeoff.training.packing.logps import chosen_logps


def inputs(tokens: int, vocabulary: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden_MH = torch.randn(tokens, 5, generator=generator).requires_grad_()
    head_VH = torch.randn(vocabulary, 5, generator=generator).requires_grad_()
    token_M = torch.randint(vocabulary, (tokens,), generator=generator)
    return hidden_MH, head_VH, token_M, torch.randn(tokens, generator=generator)


@settings(max_examples=30, deadline=None)
@given(
    tokens=st.integers(0, 9),
    vocabulary=st.integers(1, 40),
    temperature=st.sampled_from([0.3, 1.0, 2.0]),
    at_once=st.integers(1, 200),
)
def test_values_and_gradients_are_those_of_log_softmax(
    tokens: int, vocabulary: int, temperature: float, at_once: int
) -> None:
    hidden_MH, head_VH, token_M, weight_M = inputs(tokens, vocabulary)
    exact_MV = (hidden_MH.double() @ head_VH.double().T / temperature).log_softmax(-1)
    exact_M = exact_MV.gather(1, token_M[:, None])[:, 0]
    expected = torch.autograd.grad((exact_M * weight_M).sum(), (hidden_MH, head_VH))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(logps, "LOGITS", at_once)
        logp_M, entropy_M = chosen_logps(hidden_MH, head_VH, token_M, temperature=temperature)
        found = torch.autograd.grad((logp_M * weight_M).sum(), (hidden_MH, head_VH))
    assert torch.allclose(logp_M.double(), exact_M, atol=1e-5)
    assert torch.allclose(entropy_M.double(), -(exact_MV.exp() * exact_MV).sum(1), atol=1e-5)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


class Largest(TorchDispatchMode):
    """Sees every tensor that an operation makes, in the backward pass too."""

    elements = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        out = func(*args, **(kwargs or {}))
        made = [t.numel() for t in tree_leaves(out) if isinstance(t, Tensor)]
        self.elements = max([self.elements, *made])
        return out


@pytest.mark.parametrize("tokens", [100, 400])
def test_no_tensor_grows_with_tokens_times_vocabulary(
    tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden_MH, head_VH, token_M, _ = inputs(tokens, 60)
    monkeypatch.setattr(logps, "LOGITS", 10 * 60)
    with Largest() as seen:
        chosen_logps(hidden_MH, head_VH, token_M)[0].sum().backward()
    # ten tokens' logits; more are the hidden states of 400 tokens, of 5 numbers each
    assert seen.elements == max(10 * 60, 5 * tokens)


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden_MH, head_VH, token_M, _ = inputs(4, 6)
    head_VH.requires_grad_(False)
    chosen_logps(hidden_MH, head_VH, token_M)[0].sum().backward()
    assert head_VH.grad is None and hidden_MH.grad is not None


def test_logits_far_apart_neither_overflow_nor_lose_the_entropy() -> None:
    head_VH = torch.tensor([[1e4], [0.0]])
    logp_M, entropy_M = chosen_logps(torch.ones(1, 1), head_VH, torch.tensor([1]))
    assert (logp_M.item(), entropy_M.item()) == (-1e4, 0.0)


def test_infinite_logits_are_seen_as_nan_and_not_as_a_number() -> None:
    logp_M, _ = chosen_logps(torch.full((1, 1), torch.inf), torch.ones(2, 1), torch.tensor([0]))
    assert torch.isnan(logp_M).all()
