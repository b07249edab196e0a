"""Which items an update asks: the same for every algorithm of a seed."""

from __future__ import annotations

import functools

from bakeoff.streams import stream

SHUFFLED = 1_000_000


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
