"""Which items an update asks; without a curriculum, the same for every algorithm of a seed."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from bakeoff.streams import stream
from bakeoff.training.reports import Sample
from bakeoff.types import Environment, Item

SHUFFLED = 1_000_000


class Order:
    """The items of each update in a fixed order, whatever came of them (``item_indices``)."""

    def __init__(self, environment: Environment, seed: int) -> None:
        self.environment, self.seed = environment, seed

    def items(self, update: int, n: int) -> list[Item]:
        """Return the ``n`` items of an update; updates are asked for one after the other."""
        indices = item_indices(self.seed, update, n, self.environment.size("train"))
        return [self.environment.item(index, "train") for index in indices]

    def learn(self, samples: Sequence[Sample]) -> None:
        """Take in what came of the items: the samples of the update, group by group."""

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


@functools.lru_cache(maxsize=2)  # an update may end one pass over the items and begin the next
def _shuffled(seed: int, passes: int, size: int) -> list[int]:
    return stream("item order", seed, passes).sample(range(size), size)
