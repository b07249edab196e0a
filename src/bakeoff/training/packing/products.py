"""Products of matrices on a CPU by oneDNN, whose kernels suit more processors than the default.

torch multiplies fp32 matrices by MKL. On an AMD processor oneDNN, which comes with torch as well,
was a quarter faster at it, and twice for a few rows if the weights had been put into its own
order before: see docs/passes.md. The numbers differ by their rounding. Where torch was built
without oneDNN, and on other devices, the default is used.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

ONEDNN = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]

BF16 = ONEDNN and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
"""Whether oneDNN takes weights in bf16: not on processors without AVX-512 or its like."""

SMALLEST = 100_000
"""Weights of fewer numbers than this are left alone: a call costs more than their product."""


def product(x_MK: Tensor, weight_NK: Tensor) -> Tensor:
    """Return ``x @ weight.T``, ``MN``, of which no gradient is asked.

    Example:
        >>> product(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]])).tolist()
        [[11.0, 17.0]]
    """
    if ONEDNN and x_MK.device.type == "cpu" and x_MK.dtype == torch.float32:
        return _linear(x_MK, weight_NK, None)
    return torch.mm(x_MK, weight_NK.T)


@contextmanager
def fast_products(*models: nn.Module) -> Iterator[None]:
    """Have the linear layers of some models multiply by oneDNN, forward and backward.

    Only in fp32, and not under autocast: bf16 goes to oneDNN anyway.
    """
    layers = [layer for model in models for layer in _large_layers(model)]
    try:
        for layer in layers:
            vars(layer)["forward"] = functools.partial(_differentiable, layer)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


@contextmanager
def reordered_weights(model: nn.Module) -> Iterator[int]:
    """Have a model's linear layers multiply with copies of their weights in oneDNN's own order.

    For many passes of few rows, without gradient, during which the weights stay. Under autocast the
    copies are of its precision.

    Args:
        model: on any device; on others than a CPU nothing is done.

    Yields:
        The bytes of the copies.
    """
    layers = [layer for layer in _large_layers(model) if BF16 or _type(layer) == torch.float32]
    n_bytes = 0
    try:
        for layer in layers:
            vars(layer)["forward"], copied = _with_copy(layer)
            n_bytes += copied
        yield n_bytes
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _large_layers(model: nn.Module) -> list[nn.Linear]:
    """Return the linear layers of a model, on a CPU, that multiply as they always do."""
    return [
        layer
        for layer in model.modules()
        if type(layer) is nn.Linear
        and ONEDNN
        and "forward" not in vars(layer)
        and layer.weight.device.type == "cpu"
        and layer.weight.dtype in (torch.float32, torch.bfloat16)
        and layer.weight.numel() >= SMALLEST
    ]


def _type(layer: nn.Linear) -> torch.dtype:
    """Return what a layer's products are in."""
    autocast = torch.is_autocast_enabled("cpu")
    return torch.get_autocast_dtype("cpu") if autocast else layer.weight.dtype


def _with_copy(layer: nn.Linear) -> tuple[Callable[[Tensor], Tensor], int]:
    """Return a layer's forward pass with a copy of its weights, and the bytes of the copy."""
    dtype = _type(layer)
    bias = None if layer.bias is None else layer.bias.detach().to(dtype)
    weight_NK = layer.weight.detach().to(dtype)
    copy_NK = torch.ops.mkldnn._reorder_linear_weight(weight_NK)

    def forward(x: Tensor) -> Tensor:
        return _linear(x.to(dtype), copy_NK, bias)

    return forward, weight_NK.nbytes


def _differentiable(layer: nn.Linear, x: Tensor) -> Tensor:
    if x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return nn.functional.linear(x, layer.weight, layer.bias)
    arguments = x, layer.weight, layer.bias
    out: Tensor = _Linear.apply(*arguments)  # type: ignore[no-untyped-call]
    return out


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_NK: Tensor, bias_N: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight_NK)
        return _linear(x, weight_NK, bias_N)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_NK = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        grad_MN = grad.flatten(0, -2)
        return (
            _linear(grad, weight_NK.T, None) if needs_x else None,
            # of a tall matrix and a wide one: here the default is the faster
            torch.mm(grad_MN.T, x.flatten(0, -2)) if needs_weight else None,
            grad_MN.sum(0) if needs_bias else None,
        )


def _linear(x: Tensor, weight_NK: Tensor, bias_N: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight_NK, bias_N, "none", [], "")
    return out
