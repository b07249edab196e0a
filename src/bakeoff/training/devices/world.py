"""The processes of a run, each of which is a rank: what they tell each other.

A run has one process unless it was launched as several, by ``torchrun``, ``accelerate launch`` or
whatever else sets ``RANK`` and ``WORLD_SIZE``. accelerate sets these up; here is only what the
training asks of them. Of one process everything is trivial, and ``torch.distributed`` is not
touched.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from bakeoff.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

Value = TypeVar("Value")

BUCKET = 2**24
"""Numbers that are added up over ranks in one go, at most, unless one tensor has more."""

PATIENCE = timedelta(hours=2)
"""How long ranks wait for one that is alive: for its texts, or for those of a server that it starts
and asks. Of one that has died they are told by the launcher, which ends them."""


class World:
    """The only process of a run.

    Attributes:
        rank: which one this is, from 0.
        size: how many there are.
        device: the kind of device that each computes on, ``cpu`` or ``cuda``.

    Example:
        >>> alone = World()
        >>> alone.everyone("here"), alone.first(3), alone.rank, alone.size
        (['here'], 3, 0, 1)
    """

    rank, size, device = 0, 1, "cpu"

    def everyone(self, value: Value) -> list[Value]:
        """Return the values that all ranks have come with, in the order of ranks."""
        return [value]

    def first(self, value: Value) -> Value:
        """Return the value that rank 0 has come with."""
        return value

    def total(self, tensors: Iterable[Tensor]) -> None:
        """Put the sum over all ranks into each tensor; all ranks get the same bits."""

    def fill(self, tensor: Tensor) -> None:
        """Put the numbers that rank 0 has into a tensor, which has one shape and type on all."""

    def wait(self) -> None:
        """Wait until all ranks are here."""


class Ranks(World):
    """One of several processes that are connected."""

    def __init__(self, rank: int, size: int, device: str = "cpu") -> None:
        """Be a rank of a process group that has been set up."""
        self.rank, self.size, self.device = rank, size, device

    def everyone(self, value: Value) -> list[Value]:
        """Return the values that all ranks have come with, in the order of ranks."""
        found: list[Any] = [None] * self.size
        _distributed().all_gather_object(found, value)
        return found

    def first(self, value: Value) -> Value:
        """Return the value that rank 0 has come with."""
        found = [value]
        _distributed().broadcast_object_list(found, src=0)
        return found[0]

    def total(self, tensors: Iterable[Tensor]) -> None:
        """Put the sum over all ranks into each tensor; all ranks get the same bits."""
        import torch

        with torch.no_grad():
            for some in _buckets(tensors):
                flat = torch.cat([tensor.flatten() for tensor in some])
                _distributed().all_reduce(flat)
                parts = torch.split(flat, [tensor.numel() for tensor in some])
                for tensor, part in zip(some, parts, strict=True):
                    tensor.copy_(part.view_as(tensor))

    def fill(self, tensor: Tensor) -> None:
        """Put the numbers that rank 0 has into a tensor, which has one shape and type on all."""
        _distributed().broadcast(tensor, src=0)

    def wait(self) -> None:
        """Wait until all ranks are here."""
        self.everyone(None)  # a barrier of NCCL would have to know of the device


def launched_size(environ: Mapping[str, str] = os.environ) -> int:
    """Return how many processes this one was launched as one of; 1 if it is alone.

    Example:
        >>> launched_size({}), launched_size({"RANK": "0", "WORLD_SIZE": "2"})
        (1, 2)
    """
    return int(environ.get("WORLD_SIZE", "1")) if "RANK" in environ else 1


def require_accelerate(what: str) -> None:
    """Accept that ``what`` needs accelerate if it is installed; it is not imported.

    Raises:
        UsageError: it is not; the text says how to get it.
    """
    if importlib.util.find_spec("accelerate") is None:
        raise UsageError(f"{what} needs accelerate: pip install 'bakeoff[accelerate]'")


@functools.cache
def world(device: str = "auto") -> World:
    """Return the world that this process is in; its ranks meet when it is asked for first.

    Args:
        device: where the run computes, ``cpu``, ``cuda`` or ``auto``; each rank of a machine has a
            GPU of its own, which is torch's current one from then on.

    Raises:
        UsageError: the process is one of several, and accelerate is not installed, or there are
            fewer GPUs than ranks.
    """
    if (size := launched_size()) == 1:
        return World()
    import torch

    require_accelerate(f"a run of {size} processes")
    from accelerate import PartialState

    cpu = device == "cpu" or not torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", 0))
    if not cpu and local >= torch.cuda.device_count():
        raise UsageError(
            f"{local + 1} or more processes on a machine with {torch.cuda.device_count()} GPUs: "
            "each needs one of its own, or --device cpu"
        )
    connected = torch.distributed.is_initialized()
    where: dict[str, Any] = {"cpu": True} if cpu else {"backend": "cpu:gloo,cuda:nccl"}
    state = PartialState(**where, timeout=PATIENCE)
    if not connected:
        atexit.register(state.destroy_process_group)
    return Ranks(state.process_index, state.num_processes, "cpu" if cpu else "cuda")


def _distributed() -> Any:
    import torch

    return torch.distributed


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Yield tensors of one kind and device that follow each other, some at a time."""
    some: list[Tensor] = []
    held = 0
    for tensor in tensors:
        kind = (tensor.dtype, tensor.device)
        full = some and (kind != (some[0].dtype, some[0].device) or held + tensor.numel() > BUCKET)
        if full:
            yield some
            some, held = [], 0
        some.append(tensor)
        held += tensor.numel()
    if some:
        yield some
