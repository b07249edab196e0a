"""The gradients of an optimiser step, added up over ranks.

Each rank has added up those of its own micro-batches, whose weights have the denominators of the
whole step; so what is needed is their plain sum, once. torch's DistributedDataParallel would hook
the one forward pass of one module, and make a mean: here a step has several micro-batches, passes
that go by no module's forward, masters in the place of weights, and modules that two losses share.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from bakeoff.training.devices.shards import is_shard
from bakeoff.training.devices.world import World


def add_up(weights: Sequence[nn.Parameter], world: World) -> None:
    """Put the sum over all ranks into the gradient of each weight; shards have theirs already.

    A weight that has a gradient on no rank has none afterwards.

    Example:
        >>> weight = nn.Parameter(torch.ones(2))
        >>> add_up([weight], World())
        >>> weight.grad is None
        True
    """
    if world.size == 1 or any(map(is_shard, weights)):
        return
    found = [weight.grad is not None for weight in weights]
    held_N = torch.tensor(found, dtype=torch.int32, device=weights[0].device)
    world.total([held_N])
    moved = [w for w, held in zip(weights, held_N.tolist(), strict=True) if held]
    for weight in moved:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
    world.total([weight.grad for weight in moved if weight.grad is not None])
