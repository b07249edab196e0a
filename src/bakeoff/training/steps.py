"""One optimiser step: gradients added up over micro-batches, clipped, and applied."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bakeoff.training.batch import micro_batches
from bakeoff.training.ledger import Ledger, optimizer_bytes, tensor_bytes
from bakeoff.training.optimizer import trained
from bakeoff.types import Batch, Metrics

Losses = dict[str, Tensor]


class Diverged(ArithmeticError):
    """A loss, a gradient or a model's output is no longer finite."""


def backward(
    mini: Batch,
    micro_batch: int,
    losses_of: Callable[[Batch], tuple[Losses, Metrics]],
    *,
    value_coef: float = 1.0,
    tokens: float = math.inf,
) -> Metrics:
    """Add up the gradients of an optimiser step's micro-batches; return its losses and metrics.

    Args:
        mini: what the step learns from; those of ``silent_B`` make a forward pass alone.
        micro_batch: completions in one backward pass.
        losses_of: micro-batch -> losses by name ("policy", "value"), and sums over tokens.
        value_coef: the weight of the value loss beside the policy's.
        tokens: in one backward pass; see ``micro_batches``.

    Returns:
        Each loss as ``loss/<name>``, without its weight, and the sums as means over tokens.

    Raises:
        Diverged: a loss is not finite.
    """
    totals, sums = dict[str, float](), dict[str, float]()
    coefs = {"value": value_coef}
    for micro, learns in _passes(mini, micro_batch, tokens):
        with torch.set_grad_enabled(learns):
            losses, micro_sums = losses_of(micro)
        for name, loss in losses.items():
            if not math.isfinite(loss.item()):
                raise Diverged(f"the {name} loss is {loss.item()}")
            totals[f"loss/{name}"] = totals.get(f"loss/{name}", 0.0) + loss.item()
        if learns:
            parts = [coefs.get(name, 1.0) * loss for name, loss in losses.items()]
            sum(parts[1:], parts[0]).backward()  # type: ignore[no-untyped-call]
        for key, value in micro_sums.items():
            sums[key] = sums.get(key, 0.0) + value
    counted = float(mini.mask_BT.sum())
    return {**totals, **{key: value / counted for key, value in sums.items()}}


def _passes(mini: Batch, micro_batch: int, tokens: float) -> Iterator[tuple[Batch, bool]]:
    """Yield the micro-batches of a step, and whether each of them makes a backward pass."""
    quiet_B = torch.zeros_like(mini.mask_BT[:, 0], dtype=torch.bool)
    if mini.silent_B is not None:
        quiet_B = mini.silent_B > 0
    if quiet_B.all():  # one completion leaves the zeros that the optimiser steps with
        quiet_B[mini.mask_BT.sum(1).argmin()] = False
    for rows_B, learns in ((~quiet_B, True), (quiet_B, False)):
        if rows_B.any():
            for micro in micro_batches(mini.rows(rows_B), micro_batch, tokens):
                yield micro, learns


def clipped(optimizer: Optimizer, max_norm: float, name: str) -> float:
    """Shorten the gradient that an optimiser will follow; return its norm before that.

    Raises:
        Diverged: the norm is not finite; ``name`` is in the message.
    """
    norm = nn.utils.clip_grad_norm_(trained(optimizer), max_norm).item()
    if not math.isfinite(norm):
        raise Diverged(f"the gradient norm of the {name} is {norm}")
    return norm


def apply(optimizer: Optimizer, rate: float, ledger: Ledger, name: str) -> None:
    """Make an optimiser's step at a learning rate and clear its gradients."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    ledger.set(f"{name}_grads", tensor_bytes(weight.grad for weight in trained(optimizer)))
    ledger.set(f"{name}_optimizer", optimizer_bytes(optimizer))
    optimizer.zero_grad(set_to_none=True)
