"""Short programs with a line to get wrong: in words, as code, and what right and wrong ones do."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from bakeoff.envs.code.shapes import letters, numbers

WIDE = range(2, 31)
Numbered = Callable[..., Any]  # of n and the arguments


class Program(NamedTuple):
    """A program of several lines, of which one can be wrong.

    Attributes:
        words: what it returns, with ``{n}`` where its number stands.
        head: its first line, without ``def``.
        code: its other lines, with ``{n}``, and ``_`` in place of the line that can be wrong.
        line: that line as it should be, also with ``{n}``.
        function: what it computes from ``n`` and its arguments.
        bugs: wrong lines, each with what the program computes then; an error is no value.
        arguments: draws the arguments of a call.
        fills: the values of ``n``.
    """

    words: str
    head: str
    code: str
    line: str
    function: Numbered
    bugs: tuple[tuple[str, Numbered], ...]
    arguments: Callable[[random.Random], tuple[object, ...]]
    fills: range = range(2, 10)


def one_list(rng: random.Random) -> tuple[object, ...]:
    """Draw a list of numbers."""
    return (numbers(rng),)


def one_string(rng: random.Random) -> tuple[object, ...]:
    """Draw a string."""
    return (letters(rng),)


def one_number(rng: random.Random) -> tuple[object, ...]:
    """Draw a number from 2 to 12."""
    return (rng.randrange(2, 13),)


def one_large(rng: random.Random) -> tuple[object, ...]:
    """Draw a number of two or three digits."""
    return (rng.randrange(10, 1000),)


def two_numbers(rng: random.Random) -> tuple[object, ...]:
    """Draw two numbers with a common divisor."""
    divisor = rng.randrange(2, 10)
    return divisor * rng.randrange(1, 10), divisor * rng.randrange(1, 10)
