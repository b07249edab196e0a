"""One optimiser step: gradients added up over micro-batches, clipped, and applied."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bakeoff.training.batch import cut, micro_rows
from bakeoff.training.devices.gradients import add_up
from bakeoff.training.devices.shards import full
from bakeoff.training.devices.world import World
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
    world: World | None = None,
    evenly: bool = False,
) -> Metrics:
    """Add up the gradients of an optimiser step's micro-batches; return its losses and metrics.

    Each rank has the gradients of its own share of them afterwards, and the losses and metrics of
    all.

    Args:
        mini: what the step learns from; those of ``silent_B`` make a forward pass alone.
        micro_batch: completions in one backward pass.
        losses_of: micro-batch -> losses by name ("policy", "value"), and sums over tokens.
        value_coef: the weight of the value loss beside the policy's.
        tokens: in one backward pass; see ``micro_rows``.
        world: ranks that share the micro-batches.
        evenly: whether all ranks make as many passes, some of them of weight 0.

    Returns:
        Each loss as ``loss/<name>``, without its weight, and the sums as means over tokens.

    Raises:
        Diverged: a loss is not finite.
    """
    world = world or World()
    totals, sums = defaultdict[str, float](float), defaultdict[str, float](float)
    coefs = {"value": value_coef}
    for micro, learns, counts in _passes(mini, micro_batch, tokens, world, evenly):
        with torch.set_grad_enabled(learns):
            losses, micro_sums = losses_of(micro)
        if learns:
            parts = [coefs.get(name, 1.0) * loss for name, loss in losses.items()]
            (counts * sum(parts[1:], parts[0])).backward()  # type: ignore[no-untyped-call]
        for name, loss in losses.items():
            totals[f"loss/{name}"] += loss.item() * counts
        for key, value in micro_sums.items():
            sums[key] += value * counts
    lost, summed = (_added(world.everyone(dict(some))) for some in (totals, sums))
    for name, total in lost.items():
        if not math.isfinite(total):  # seen when all ranks have passed: they fail together
            raise Diverged(f"the {name.removeprefix('loss/')} loss is {total}")
    counted = float(mini.mask_BT.sum())
    return {**lost, **{key: value / counted for key, value in summed.items()}}


def _added(of_ranks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in of_ranks for name in one)
    return {name: sum(one.get(name, 0.0) for one in of_ranks) for name in names}


def _passes(
    mini: Batch, micro_batch: int, tokens: float, world: World, evenly: bool
) -> Iterator[tuple[Batch, bool, int]]:
    """Yield this rank's micro-batches of a step, whether each makes a backward pass, its weight.

    The weight is 1, or 0 of what is there only so that all ranks make as many passes.
    """
    quiet_B = torch.zeros_like(mini.mask_BT[:, 0], dtype=torch.bool)
    if mini.silent_B is not None:
        quiet_B = mini.silent_B > 0
    if quiet_B.all():  # one completion leaves the zeros that the optimiser steps with
        quiet_B[mini.mask_BT.sum(1).argmin()] = False
    for rows_B, learns in ((~quiet_B, True), (quiet_B, False)):
        if not rows_B.any():
            continue
        part = mini.rows(rows_B)
        pieces = micro_rows(part, micro_batch, tokens, world)
        spare = max(world.everyone(len(pieces))) - len(pieces) if evenly else 0
        for rows in pieces:
            yield cut(part, rows), learns, 1
        for _ in range(spare):
            yield cut(part, [int(part.mask_BT.sum(1).argmin())]), learns, 0


def clipped(optimizer: Optimizer, max_norm: float, name: str, world: World | None = None) -> float:
    """Add up the gradient over ranks and shorten it; return its norm before that.

    Raises:
        Diverged: the norm is not finite; ``name`` is in the message.
    """
    weights = trained(optimizer)
    add_up(weights, world or World())
    norm = float(full(nn.utils.clip_grad_norm_(weights, max_norm)))
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
