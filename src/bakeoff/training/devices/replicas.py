"""Whether ranks that should hold the same hold the same, to the bit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from bakeoff.errors import UsageError
from bakeoff.training.devices.shards import is_shard
from bakeoff.training.devices.world import World

PIECE = 2**20
"""Numbers that are read at a time: what else is held meanwhile is 16 bytes for each."""

_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def check_replicas(
    parts: Mapping[str, Iterable[Tensor]], world: World, other: str, instead: str
) -> None:
    """Check that all ranks hold the same tensors, to the bit.

    Args:
        parts: tensors by what they are of; those that are shards are left out.
        world: the ranks, all of which call this at the same point.
        other: what a rank has if it has others.
        instead: what to do then.

    Raises:
        UsageError: one has others than rank 0.

    Example:
        >>> check_replicas({"policy": [torch.ones(2)]}, World(), "other weights", "look again")
    """
    if world.size == 1:
        return
    own = {name: fingerprint(tensors) for name, tensors in parts.items()}
    found = world.everyone(own)
    for rank, theirs in enumerate(found):
        for name, expected in found[0].items():
            if theirs.get(name) != expected:
                raise UsageError(f"rank {rank} has {other} of the {name} than rank 0: {instead}")


@torch.no_grad()
def fingerprint(tensors: Iterable[Tensor]) -> int:
    """Return a number that one other bit in tensors changes for sure, and any change but by chance.

    It is a sum of their bits as integers, modulo ``2**64``, each times an odd number of its place:
    a sum alone, or torch's ``hash_tensor`` (exclusive or), says the same of the same numbers in
    another order, and the latter of any number that is there an even number of times.

    Example:
        >>> fingerprint([torch.tensor([1.0, 2.0])]) == fingerprint([torch.tensor([2.0, 1.0])])
        False
    """
    total = 0
    for tensor in tensors:
        if is_shard(tensor):
            continue
        bits_N = tensor.detach().reshape(-1).view(_BITS[tensor.dtype.itemsize])
        odd_N = torch.arange(1, 2 * min(PIECE, len(bits_N)) + 1, 2, device=tensor.device)
        total = total * 31 + len(bits_N)
        for piece_M in torch.split(bits_N, PIECE):
            summed = (piece_M * odd_N[: len(piece_M)]).sum()
            total = (total * 31 + int(summed)) % 2**64
    return total
