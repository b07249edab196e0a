"""The largest number that fits, where larger ones never fit better."""

from __future__ import annotations

import math
from collections.abc import Callable

MOST = 2**24
"""Nothing that a run has so many of is looked for beyond this."""


def largest(
    fits: Callable[[int], bool], *, first: int = 1, step: int = 1, most: int = MOST
) -> int | None:
    """Return the largest of ``first``, ``first + step``, ... that fits; ``None``: not even that.

    It is asked of few numbers: twice the distance each time, and then the half.

    Args:
        fits: whether a number does; if one does not, no larger one does.
        first: the smallest.
        step: from each to the next.
        most: none is larger than this.

    Example:
        >>> largest(lambda n: n * n <= 2000), largest(lambda n: n * n <= 2000, first=4, step=8)
        (44, 44)
        >>> largest(lambda n: n <= 3, first=4) is None
        True
    """
    if first > most or not fits(first):
        return None
    above, end = 1, (most - first) // step
    while above <= end and fits(first + above * step):
        above *= 2
    low, high = above // 2, min(above, end + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if fits(first + middle * step):
            low = middle
        else:
            high = middle
    return first + low * step


def even_step(count: int, parts: int) -> int:
    """Return the least number of which every multiple, times ``count``, divides into ``parts``.

    Example:
        >>> even_step(16, 2), even_step(3, 4)
        (1, 4)
    """
    return parts // math.gcd(count, parts)
