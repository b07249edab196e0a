"""Ranges of an algorithm's arguments, checked where they enter."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from bakeoff.errors import unknown


def require(**bounds: tuple[float, float, float | None]) -> None:
    """Check ``name=(value, low, high)``; ``high`` is None where any finite number may be.

    Raises:
        ValueError: a value is not a number in its range.

    Example:
        >>> require(clip=(0.2, 0, 1))
        >>> require(clip=(2, 0, 1))
        Traceback (most recent call last):
        ValueError: clip must be a number from 0 to 1, not 2
    """
    for name, (value, low, high) in bounds.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        top = sys.float_info.max if high is None else high
        if not number or not low <= value <= top:  # nan fails every comparison
            span = f"from {low:g} to {high:g}" if high is not None else f"of at least {low:g}"
            raise ValueError(f"{name} must be a number {span}, not {value!r}")


def require_whole(name: str, value: int, low: int) -> None:
    """Check that a value is a whole number of at least ``low``.

    Raises:
        ValueError: it is not.

    Example:
        >>> require_whole("epochs", 1.5, 1)
        Traceback (most recent call last):
        ValueError: epochs must be a whole number of at least 1, not 1.5
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise ValueError(f"{name} must be a whole number of at least {low}, not {value!r}")


def require_flag(name: str, value: bool) -> None:
    """Check that a value is true or false; a word such as ``none`` would count as true.

    Raises:
        ValueError: it is neither.

    Example:
        >>> require_flag("scale_by_std", "none")
        Traceback (most recent call last):
        ValueError: scale_by_std must be true or false, not 'none'
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, not {value!r}")


def require_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Check that a value is one of some words.

    Raises:
        UsageError: it is not; the nearest is in the message.

    Example:
        >>> require_choice("critic", "lroa", ["lora"])
        Traceback (most recent call last):
        bakeoff.errors.UsageError: unknown critic 'lroa'; did you mean 'lora'? (known: lora)
    """
    if not isinstance(value, str) or value not in choices:
        raise unknown(name, str(value), choices)
