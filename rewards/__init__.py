"""Rewards: how one reply is scored. Plain functions from (reply, item) to a number in [0, 1].

A reward function is total: any text comes in, a number comes out, in bounded time. One that cannot
tell raises, and the reply then counts as *not scored*; it is never a silent 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

# Of a reply and its item, or of many of both (``batched``). A reply is a text, or in an environment
# of several turns the tuple of all replies. The function may be async.
RewardFunction = Callable[[Any, Any], Any]

_Function = TypeVar("_Function", bound=RewardFunction)


class Malformed(ValueError):
    """A reply is badly formatted: the reward function that says so counts 0, with this reason."""


def batched(function: _Function) -> _Function:
    """Mark a reward function that takes lists of replies and items, and returns a list of numbers.

    An exception in the place of a number stands for a reply that the function could not score, or
    found ``Malformed``.

    Example:
        >>> @batched
        ... def exact(replies, items):
        ...     return [float(r == i.answer) for r, i in zip(replies, items, strict=True)]
    """
    function.batched = True  # type: ignore[attr-defined]
    return function


def overlapping(function: _Function) -> _Function:
    """Mark a reward function that may be called while other replies are still being sampled.

    It is then called in another thread than the main one, though never in two at once, and for some
    of an update's replies at a time: what it says of a reply may not depend on the others. It is
    worth it where the work is done elsewhere, in processes or by a service; an ``async def`` that
    is not ``batched`` is taken to be such a function and needs no mark.

    Example:
        >>> @overlapping
        ... def exact(reply, item):
        ...     return float(reply == item.answer)
    """
    function.overlapping = True  # type: ignore[attr-defined]
    return function
