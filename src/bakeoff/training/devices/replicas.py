"""Whether the ranks of a run begin alike."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from bakeoff.errors import UsageError
from bakeoff.training.devices.world import World


def check_replicas(weights: Iterable[Tensor], world: World) -> None:
    """Check that all ranks have the same weights, to the bit.

    Raises:
        UsageError: one has others than rank 0.
    """
    if world.size == 1:
        return
    hashes = [int(torch.hash_tensor(weight.detach()).view(torch.int64)) for weight in weights]
    found = world.everyone(hashes)
    others = [rank for rank, theirs in enumerate(found) if theirs != found[0]]
    if others:
        raise UsageError(
            f"rank {others[0]} has other initial weights than rank 0: give all processes the same "
            "model"
        )
