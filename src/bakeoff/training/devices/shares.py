"""Which part of the work is whose, and how the parts come together again."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from bakeoff.training.devices.world import World
from bakeoff.training.sampling.protocol import Decoding, Finished, Sampler
from bakeoff.types import Completion

if TYPE_CHECKING:
    from torch import Tensor

Part = TypeVar("Part")


class RankError(RuntimeError):
    """What another rank has raised and could not send."""


def share(n: int, world: World) -> slice:
    """Return which of ``n`` things this rank has: as many as the others or one less.

    Example:
        >>> list(range(5))[share(5, World())]
        [0, 1, 2, 3, 4]
    """
    return slice(n * world.rank // world.size, n * (world.rank + 1) // world.size)


class Writing:
    """Who writes the replies to some items: each rank to its share, or rank 0 to all of them.

    Each rank judges its share either way.
    """

    def __init__(self, world: World, *, driven: bool) -> None:
        """Have all ranks write, or rank 0 alone if it drives a server (``driven``)."""
        self.world, self.alone = world, driven and world.size > 1

    @property
    def together(self) -> World:
        """The ranks that make calls of a sampler with this one."""
        return World() if self.alone else self.world

    def asked(self, n: int) -> slice:
        """Return which of ``n`` items this rank writes replies to.

        Example:
            >>> Writing(World(), driven=True).asked(3)
            slice(0, 3, None)
        """
        if not self.alone:
            return share(n, self.world)
        return slice(0, 0 if self.world.rank else n)

    def handed(
        self, write: Callable[[], list[Part]], n: int, *, greedy: bool = False
    ) -> list[Part]:
        """Return what this rank judges of what is written, once all of it is; all ranks call it.

        Args:
            write: writes the replies to the items that this rank was ``asked``: ``n`` to each, one
                item after the other; before these one to each, if there are ``greedy`` ones.
            n: see there.
            greedy: see there.

        Raises:
            Exception: what the first rank that failed has raised, on all ranks alike.

        Example:
            >>> Writing(World(), driven=True).handed(lambda: ["a", "b"], 2)
            ['a', 'b']
        """
        found = alike(self.world, write)
        if not self.alone:
            return found
        found = self.world.first(found)
        items = len(found) // (n + greedy)
        own, before = share(items, self.world), items * greedy
        return found[:before][own] + found[before + own.start * n : before + own.stop * n]


def dealt(rows: Sequence[int], lengths: Sequence[int], world: World) -> list[int]:
    """Return this rank's part of some rows: neighbours, with about as many tokens as the others'.

    Args:
        rows: in the order in which they are dealt.
        lengths: the tokens of each row, by its number.
        world: the ranks.

    Example:
        >>> dealt([2, 0, 1], [5, 5, 90], World())
        [2, 0, 1]
    """
    weights = [lengths[row] + 1 for row in rows]
    total, before = sum(weights), 0
    mine = []
    for row, weight in zip(rows, weights, strict=True):
        if (2 * before + weight) * world.size // (2 * total) == world.rank:
            mine.append(row)
        before += weight
    return mine


def whole(world: World, n: int, own: slice, columns: Sequence[Tensor]) -> list[Tensor]:
    """Return columns of ``n`` rows, of which each rank has its own.

    Example:
        >>> import torch
        >>> whole(World(), 2, slice(0, 2), [torch.tensor([3.0, 4.0])])
        [tensor([3., 4.])]
    """
    if world.size == 1:
        return list(columns)
    found = [column.new_zeros((n, *column.shape[1:])) for column in columns]
    for full, column in zip(found, columns, strict=True):
        full[own] = column
    world.total(found)
    return found


def alike(world: World, do: Callable[[], Part]) -> Part:
    """Return what this rank does, once all have done theirs.

    Args:
        world: the ranks, all of which call this at the same point.
        do: does this rank's part.

    Raises:
        Exception: what the first rank that failed has raised, on all ranks alike; with a note of
            which it was if others did well.

    Example:
        >>> alike(World(), lambda: "done")
        'done'
    """
    if world.size == 1:
        return do()
    part: list[Part] = []
    error: Exception | None = None
    try:
        part.append(do())
    except Exception as caught:
        error = caught
    everyone = world.everyone(_portable(error))
    for rank, raised in enumerate(everyone):
        if raised is not None:
            if None in everyone:
                raised.add_note(f"on rank {rank}")
            raise raised from (error if rank == world.rank else None)
    return part[0]


def _portable(error: Exception | None) -> Exception | None:
    """Return an error that other processes can read."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - of this very process
    except Exception:
        return RankError(f"{type(error).__name__}: {error}")
    return error


class SharedSampler:
    """A sampler whose calls are made by all ranks, each for prompts of its own.

    Each completion has the random numbers that it would have if one process sampled the prompts of
    all ranks in one call.

    Attributes:
        kv_cache_bytes: the most bytes that the keys and values of the last call took here.
    """

    def __init__(self, sampler: Sampler, world: World) -> None:
        """Sample with ``sampler`` here, as all ranks of ``world`` do."""
        self.sampler, self.world = sampler, world
        self.kv_cache_bytes = self._calls = 0

    @contextmanager
    def calls(self, most: int) -> Iterator[None]:
        """Have all ranks make as many calls, ``most``; those that are not made within are empty."""
        self._calls = 0
        try:
            yield
        finally:
            for _ in range(self._calls, most):
                self.world.everyone(0)

    def sample(
        self,
        prompts: Sequence[tuple[int, ...]],
        n: int,
        decoding: Decoding,
        seed: int,
        finished: Finished | None = None,
        *,
        first: int = 0,
    ) -> list[Completion]:
        """Return ``n`` completions of each of this rank's prompts; see ``Sampler``."""
        self._calls += 1
        counts = self.world.everyone(len(prompts) * n)
        before = first + sum(counts[: self.world.rank])
        found = self.sampler.sample(prompts, n, decoding, seed, finished, first=before)
        self.kv_cache_bytes = self.sampler.kv_cache_bytes
        return found
