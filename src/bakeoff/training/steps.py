"""One optimiser step: gradients added up over micro-batches, clipped, and applied."""

from __future__ import annotations

import math
from collections.abc import Callable

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
) -> Metrics:
    """Add up the gradients of an optimiser step's micro-batches; return its losses and metrics.

    Args:
        mini: what the step learns from.
        micro_batch: completions in one backward pass.
        losses_of: micro-batch -> losses by name ("policy", "value"), and sums over tokens.
        value_coef: the weight of the value loss beside the policy's.

    Returns:
        Each loss as ``loss/<name>``, without its weight, and the sums as means over tokens.

    Raises:
        Diverged: a loss is not finite.
    """
    totals, sums = dict[str, float](), dict[str, float]()
    coefs = {"value": value_coef}
    for micro in micro_batches(mini, micro_batch):
        losses, micro_sums = losses_of(micro)
        for name, loss in losses.items():
            if not math.isfinite(loss.item()):
                raise Diverged(f"the {name} loss is {loss.item()}")
            totals[f"loss/{name}"] = totals.get(f"loss/{name}", 0.0) + loss.item()
        parts = [coefs.get(name, 1.0) * loss for name, loss in losses.items()]
        sum(parts[1:], parts[0]).backward()  # type: ignore[no-untyped-call]
        for key, value in micro_sums.items():
            sums[key] = sums.get(key, 0.0) + value
    tokens = float(mini.mask_BT.sum())
    return {**totals, **{key: value / tokens for key, value in sums.items()}}


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
