"""Tensors on a disk: in one file by rank 0, or each rank's shards in a file of its own.

Shards are written and read by ``torch.distributed.checkpoint`` as safetensors, with their offsets
in the files' headers: nothing is pickled, and no other processes are needed to read them. So what
was written in either way, by however many ranks, is read into whole tensors or into shards of any
number of ranks.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from bakeoff.training.devices.shards import cut_like, is_shard
from bakeoff.training.devices.world import World

if TYPE_CHECKING:
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader


def write(path: Path, tensors: Mapping[str, Tensor], world: World) -> None:
    """Write tensors to a file, or a folder of shards; all ranks do so together.

    Args:
        path: without the suffix that the file gets.
        tensors: by name; none shares memory with another. Those that are no shards are the same on
            all ranks.
        world: the ranks.
    """
    if any(map(is_shard, tensors.values())):
        from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
        from torch.distributed.checkpoint.state_dict_saver import save

        writer = HuggingFaceStorageWriter(str(path), save_distributed=True)
        with _own_errors(world.size):
            save(dict(tensors), storage_writer=writer)
    elif world.rank == 0:
        save_file(dict(tensors), _file(path))


@torch.no_grad()
def read(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Put what was written under the names of some tensors into these.

    Args:
        path: as for ``write``.
        tensors: whole ones or shards, whichever they were when they were written.
    """
    if _file(path).exists():
        with safe_open(_file(path), "pt") as file:
            for name, tensor in tensors.items():
                tensor.copy_(cut_like(file.get_tensor(name), tensor))
        return
    from torch.distributed.checkpoint.state_dict_loader import load

    with warnings.catch_warnings(), _own_errors(1):
        # of each rank reading by itself, which is what is meant
        warnings.simplefilter("ignore", UserWarning)
        load(dict(tensors), storage_reader=_reader(path), no_dist=True)


def read_states(path: Path, weights: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return all that was written of an optimiser's states.

    Args:
        path: as for ``write``.
        weights: what the optimiser moves: states of a weight's shape are cut as it is.
    """
    if _file(path).exists():
        with safe_open(_file(path), "pt") as file:
            return {
                name: cut_like(file.get_tensor(name), _owner(name, weights))
                for name in file.keys()  # noqa: SIM118 - a file is no mapping
            }
    stored: Mapping[str, Any] = _reader(path).read_metadata().state_dict_metadata
    found = {
        name: cut_like(torch.zeros(one.size, dtype=one.properties.dtype), _owner(name, weights))
        for name, one in stored.items()
    }
    read(path, found)
    return found


@contextmanager
def _own_errors(size: int) -> Iterator[None]:
    """Raise what the first of ``size`` ranks has met, not torch's collection of it all.

    That is a ``BaseException``, which nobody who handles errors would see.
    """
    from torch.distributed.checkpoint.api import CheckpointException

    try:
        yield
    except CheckpointException as collected:
        rank, (error, _) = min(collected.failures.items(), key=lambda one: one[0])
        if len(collected.failures) < size:
            error.add_note(f"on rank {rank}")
        raise error from None


def _owner(name: str, weights: Sequence[Tensor]) -> Tensor:
    return weights[int(name.partition(".")[0])]


def _file(path: Path) -> Path:
    return path.with_name(f"{path.name}.safetensors")


def _reader(path: Path) -> HuggingFaceStorageReader:
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader

    return HuggingFaceStorageReader(str(path))
