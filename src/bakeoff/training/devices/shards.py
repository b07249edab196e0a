"""Tensors of which each rank holds a part: what of them is here, and how they become whole."""

from __future__ import annotations

import sys
from typing import Any

from torch import Tensor


def is_shard(tensor: Tensor) -> bool:
    """Tell whether a tensor is a part of one that all ranks hold together.

    Example:
        >>> import torch
        >>> is_shard(torch.ones(1))
        False
    """
    loaded: Any = sys.modules.get("torch.distributed.tensor")  # no shard before that
    return loaded is not None and isinstance(tensor, loaded.DTensor)


def here(tensor: Tensor) -> Tensor:
    """Return the part of a tensor that this rank holds, in the same memory."""
    shard: Any = tensor
    return shard.to_local() if is_shard(tensor) else tensor


def full(tensor: Tensor) -> Tensor:
    """Return the whole of a tensor; all ranks call it at the same point."""
    shard: Any = tensor
    return shard.full_tensor() if is_shard(tensor) else tensor


def cut_like(tensor: Tensor, other: Tensor) -> Tensor:
    """Return a whole tensor as this rank's shard, if another one of its shape is a shard.

    Example:
        >>> import torch
        >>> cut_like(torch.ones(2), torch.zeros(2)).tolist()
        [1.0, 1.0]
    """
    if not is_shard(other) or tensor.shape != other.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    shard: Any = other
    # no rank sends anything: each cuts its part out of the same numbers
    cut = distribute_tensor(tensor, shard.device_mesh, shard.placements, src_data_rank=None)
    return cut
