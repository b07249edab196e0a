"""Checkpoints: weights, optimiser states and position of a run, from which it goes on to the bit.

Random streams need no place in a checkpoint: each is derived from the seed, its purpose and the
update, so the position says it all, with what a curriculum has seen of the items. The tensors are
safetensors files and the rest is JSON; nothing is unpickled. Of several processes rank 0 writes;
those that hold shards write them themselves. Any number of processes goes on from either, in shards
or whole (``bakeoff.training.devices.storage``).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from bakeoff.errors import UsageError
from bakeoff.training.devices.replicas import check_replicas
from bakeoff.training.devices.shares import alike
from bakeoff.training.devices.storage import read, read_states, write
from bakeoff.training.devices.world import World
from bakeoff.training.masters import publish, rounded
from bakeoff.training.optimizer import restore, states, trained
from bakeoff.training.reports import Counters

if TYPE_CHECKING:
    from bakeoff.training.learner import Learner

NAME = "checkpoint"
POSITION = "position.json"
SHARED = "give them a folder that all of them share"


def save_checkpoint(
    folder: Path, learner: Learner, counters: Counters, order: Mapping[str, Any]
) -> None:
    """Write the run's state to ``folder/checkpoint``, in place of an earlier one.

    ``order`` is the state of the order of items, which may depend on what came of them.

    The new one is complete before the old one goes, so a kill at any moment leaves one of the two.
    """
    new, final, old = (folder / f"{NAME}{suffix}" for suffix in (".new", "", ".old"))
    world = learner.world
    if world.rank == 0:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
    world.wait()
    position = {**counters.as_dict(), "order": order, "semantics": _semantics(learner)}

    def written() -> None:
        for name, module, optimizer in _parts(learner):
            write(new / name, _weights(module, optimizer), world)
            write(new / f"{name}_optimizer", states(optimizer), world)
        if world.rank == 0:
            (new / POSITION).write_text(json.dumps(position))

    try:
        alike(world, written)
    except Exception:  # on a full disk, what is half written keeps others from writing
        shutil.rmtree(new, ignore_errors=True)
        raise
    if world.rank == 0:
        if final.exists():  # if it does not, the old one is the only one until the rename
            shutil.rmtree(old, ignore_errors=True)
            os.rename(final, old)
        os.rename(new, final)
        shutil.rmtree(old, ignore_errors=True)
    world.wait()


def saved_updates(folder: Path) -> int | None:
    """Return how many updates the folder's checkpoint has behind it; None if there is none."""
    position = _position(folder)
    return int(position["updates"]) if position is not None else None


def load_checkpoint(folder: Path, learner: Learner, counters: Counters) -> dict[str, Any] | None:
    """Put the state of the folder's checkpoint into a run.

    Every process reads it: the folder is one that all of them see.

    Returns:
        The state of the order of items, or ``None`` if there is no checkpoint.

    Raises:
        UsageError: the checkpoint was made with another formula under the same name, or the ranks
            do not see the same one.
    """
    position = alike(learner.world, lambda: _position(folder))
    _check_seen(folder, position, learner.world)
    if position is None:
        return None
    semantics, final = position.pop("semantics"), _final(folder)

    def put_back() -> None:
        _same_formula(semantics, _semantics(learner))
        for name, module, optimizer in _parts(learner):
            read(final / name, _weights(module, optimizer))
            publish(trained(optimizer))
            restore(optimizer, read_states(final / f"{name}_optimizer", trained(optimizer)))

    alike(learner.world, put_back)
    _check_read(learner)
    order: dict[str, Any] = position.pop("order")
    for key, value in position.items():
        setattr(counters, key, value)
    return order


def _check_seen(folder: Path, position: Mapping[str, Any] | None, world: World) -> None:
    """Refuse to go on where ranks see different checkpoints: each would go its own way."""
    seen = "none" if position is None else f"one of {position['updates']} updates"
    of_ranks = world.everyone(seen)
    if len(set(of_ranks)) > 1:
        said = ", ".join(f"rank {rank} {one}" for rank, one in enumerate(of_ranks))
        raise UsageError(
            f"the processes see different checkpoints in {world.first(str(folder))} ({said}): "
            f"{SHARED}"
        )


def _check_read(learner: Learner) -> None:
    held = {
        name: [*_weights(module, optimizer).values(), *states(optimizer).values()]
        for name, module, optimizer in _parts(learner)
    }
    check_replicas(held, learner.world, "another checkpoint", SHARED)


def _semantics(learner: Learner) -> dict[str, str]:
    return {key: str(value) for key, value in learner.algorithm.semantics.items()}


def _same_formula(saved: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuse to go on with a formula that has changed, as an algorithm of one's own may."""
    changed = [key for key in {**saved, **now} if saved.get(key) != now.get(key)]
    if changed:
        key = changed[0]
        raise UsageError(
            f"the algorithm is not that of the checkpoint: its {key} was '{saved.get(key)}' and is "
            f"'{now.get(key)}'; give another folder with --out, or the algorithm another name"
        )


def _final(folder: Path) -> Path:
    final, old = folder / NAME, folder / f"{NAME}.old"
    return final if final.exists() else old  # killed between the two renames


def _position(folder: Path) -> dict[str, Any] | None:
    try:
        position: dict[str, Any] = json.loads((_final(folder) / POSITION).read_text())
    except FileNotFoundError:
        return None
    return position


def _parts(learner: Learner) -> list[tuple[str, torch.nn.Module, Optimizer]]:
    parts: list[tuple[str, torch.nn.Module, Optimizer]] = [
        ("policy", learner.policy, learner.optimizer)
    ]
    if learner.critic is not None and learner.critic_optimizer is not None:
        parts.append(("critic", learner.critic, learner.critic_optimizer))
    # the reference model is not saved: a new run copies it from the same initial weights
    return parts


def _weights(module: torch.nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the parameters that the optimiser moves and the buffers, by name, tied ones once.

    Where it moves masters, these stand in the place of the weights, which are no more than that
    rounded. The others are what the run started from: the base of an adapter is read again, not
    saved.
    """
    moved = {id(rounded(weight)): weight for weight in trained(optimizer)}
    weights = ((name, moved.get(id(own))) for name, own in module.named_parameters())
    return {
        **{name: weight for name, weight in weights if weight is not None},
        **{name: buffer for name, buffer in module.named_buffers() if buffer.numel()},
    }
