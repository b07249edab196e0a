"""Products by oneDNN are those of torch, and leave nothing behind."""

from __future__ import annotations

import copy

import pytest
import torch
from packed_world import model_of, random_batch
from small_world import small_training
from torch import nn

from bakeoff.training.packing import products
from bakeoff.training.packing.products import fast_products, product, reordered_weights
from bakeoff.training.scoring import token_logps


@pytest.fixture(autouse=True)
def every_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layers of small models are too small to gain anything: have them all changed."""
    monkeypatch.setattr(products, "SMALLEST", 1)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_product_is_that_of_torch(transposed: bool) -> None:
    x_MK, weight_NK = torch.randn(7, 5), torch.randn(3, 5)
    weight_NK = weight_NK.T.contiguous().T if transposed else weight_NK
    assert torch.allclose(product(x_MK, weight_NK), x_MK @ weight_NK.T, atol=1e-5)


def test_a_product_of_nothing_is_nothing() -> None:
    assert product(torch.zeros(0, 5), torch.randn(3, 5)).shape == (0, 3)


@pytest.mark.parametrize("make", ["llama", "qwen2", "gpt2"])  # without biases, with, and of Conv1D
@torch.no_grad()
def test_a_model_says_the_same_with_its_weights_in_another_order(make: str) -> None:
    model, batch = model_of(make), random_batch(0)
    expected_BT, _ = token_logps(model, batch)
    with reordered_weights(model):
        found_BT, _ = token_logps(model, batch)
    assert torch.allclose(found_BT, expected_BT, atol=1e-5)


@torch.no_grad()
def test_under_autocast_layers_answer_in_its_precision() -> None:
    layer = nn.Sequential(nn.Linear(8, 8))
    with torch.autocast("cpu", torch.bfloat16), reordered_weights(layer):
        assert layer(torch.ones(1, 8)).dtype == torch.bfloat16


def test_the_copies_bytes_are_those_of_the_weights() -> None:
    model = nn.Sequential(nn.Linear(8, 4, bias=False), nn.Linear(4, 2))
    with torch.no_grad(), reordered_weights(model) as n_bytes:
        assert n_bytes == (8 * 4 + 4 * 2) * 4


def test_weights_that_move_afterwards_are_the_ones_that_count() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False))
    with pytest.raises(KeyboardInterrupt), torch.no_grad(), reordered_weights(model):
        raise KeyboardInterrupt
    with torch.no_grad():
        model[0].weight.zero_()
    for one in (model, copy.deepcopy(model)):
        assert not one(torch.ones(1, 4)).any()


@pytest.mark.parametrize("make", ["llama", "qwen2"])
@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_are_those_of_torch(make: str, frozen: bool) -> None:
    model, batch = model_of(make), random_batch(1)
    if frozen:  # as a LoRA's base is: only what comes before it gets a gradient
        for weight in model.base_model.layers.parameters():
            weight.requires_grad_(False)

    def gradients() -> list[torch.Tensor]:
        logp_BT, _ = token_logps(model, batch)
        logp_BT.sum().backward()
        found = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
        model.zero_grad()
        return found

    expected = gradients()
    with fast_products(model):
        found = gradients()
    largest = max(float(grad.abs().max()) for grad in expected)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-5 * largest)


def test_an_update_multiplies_fast_and_leaves_the_layers_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used = []
    fast = products._linear
    monkeypatch.setattr(products, "_linear", lambda *a: used.append(len(a)) or fast(*a))
    training = small_training("ppo", updates=1)
    list(training.run())
    layers = [m for m in training.learner.policy.modules() if isinstance(m, nn.Linear)]
    assert used and not any("forward" in vars(layer) for layer in layers)


@torch.no_grad()
def test_a_processor_without_products_in_bf16_has_no_copies_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # oneDNN's own error there: "bf16 path needs the cpu support avx512bw, avx512vl and avx512dq"
    monkeypatch.setattr(products, "BF16", False)
    model = nn.Sequential(nn.Linear(8, 8))
    with torch.autocast("cpu", torch.bfloat16), reordered_weights(model) as n_bytes:
        assert n_bytes == 0
