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
