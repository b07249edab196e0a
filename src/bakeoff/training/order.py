"""Which items an update asks; without a curriculum, the same for every algorithm of a seed."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Any

from bakeoff.streams import stream
from bakeoff.training.reports import Sample
from bakeoff.types import Environment, Item

SHUFFLED = 1_000_000


class Order:
    """The items of each update in a fixed order, whatever came of them (``item_indices``).

    Attributes:
        asked: the items of this update, by their place in it, each with its index.
    """

    def __init__(self, environment: Environment, seed: int) -> None:
        self.environment, self.seed = environment, seed
        self.asked: list[tuple[int, Item]] = []

    def items(self, update: int, n: int) -> list[Item]:
        """Return the ``n`` items of an update; updates are asked for one after the other."""
        self.asked = self._items(item_indices(self.seed, update, n, self.size))
        return [item for _, item in self.asked]

    def further(self, update: int, number: int, n: int) -> list[Item]:
        """Return ``n`` more items of the same update, in its ``number``-th further round.

        They come from a stream of their own, so that the items of later updates stay those that
        they are without further rounds. None is asked twice in one update if there are enough.
        """
        more = self._items(self._further_indices(update, number, n))
        self.asked += more
        return [item for _, item in more]

    @property
    def size(self) -> int:
        """How many items there are to train on."""
        return self.environment.size("train")

    def _further_indices(self, update: int, number: int, n: int) -> list[int]:
        asked = {index for index, _ in self.asked}
        return further_indices((self.seed, update, number), n, self.size, asked)

    def _items(self, indices: Sequence[int]) -> list[tuple[int, Item]]:
        return [(index, self.environment.item(index, "train")) for index in indices]

    def learn(self, samples: Sequence[Sample]) -> None:
        """Take in what came of the items of the update: all its samples, of all its rounds."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold, as JSON has it."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""


def item_indices(seed: int, update: int, n: int, size: int) -> list[int]:
    """Return the indices of the ``n`` items of an update, out of ``size``.

    Up to a million items are shuffled anew for each pass over them, so that none comes twice
    before all have come once. Larger sets are drawn from at random, with replacement.

    Args:
        seed: the experiment's seed; nothing else but ``update`` decides the result.
        update: 0 for the first.
        n: items per update, at least 1.
        size: items in the split, at least 1.

    Example:
        >>> sorted(item_indices(0, 0, 2, 4) + item_indices(0, 1, 2, 4))
        [0, 1, 2, 3]
    """
    if size > SHUFFLED:
        rng = stream("items", seed, update)
        return [rng.randrange(size) for _ in range(n)]
    indices: list[int] = []
    position = update * n
    while len(indices) < n:
        passes, start = divmod(position + len(indices), size)
        indices += _shuffled(seed, passes, size)[start : start + n - len(indices)]
    return indices


def further_indices(
    keys: tuple[int, int, int], n: int, size: int, asked: Collection[int]
) -> list[int]:
    """Return the indices of ``n`` further items, those that were not asked yet first.

    Args:
        keys: seed, update and round; they alone and ``asked`` decide the result.
        n: how many.
        size: items in the split, at least 1.
        asked: the indices that the update has asked already.

    Example:
        >>> sorted(further_indices((0, 0, 1), 2, 4, {1, 3}))
        [0, 2]
    """
    drawn = stream("further items", *keys).sample(range(size), min(size, n + len(asked)))
    drawn.sort(key=lambda index: index in asked)  # stable: a shuffled order stays one
    return [drawn[place % len(drawn)] for place in range(n)]


@functools.lru_cache(maxsize=2)  # an update may end one pass over the items and begin the next
def _shuffled(seed: int, passes: int, size: int) -> list[int]:
    return stream("item order", seed, passes).sample(range(size), size)
