"""Where two expressions are compared: values of their variables, the same for the same names.

Some are negative, some large, and not all have one sign. Near the constants of an expression with
absolute values, roots or the like, where it may have a kink, there are further points.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from bakeoff.rewards.math.equality.exact import rational
from bakeoff.rewards.math.expressions.tree import ExpressionError, Node, variables, walk

MAX_KINKS = 8
_KINKED = {"abs", "max", "min", "floor", "ceil", "mod", "root"}
_STEPPED = {"floor", "ceil", "mod"}


class Point(NamedTuple):
    """The values of the variables, and whether to look there even if others agree."""

    values: dict[str, Fraction]
    always: bool = True


class _Band(NamedTuple):
    """An interval that the variables are drawn from.

    Attributes:
        low, high: its ends.
        alternating: whether every second variable is negative.
        whole: whether whole numbers are drawn.
        always: whether to look there even if other points agree.
    """

    low: float
    high: float
    alternating: bool = False
    whole: bool = False
    always: bool = True


_BANDS = (
    _Band(1, 2),
    _Band(0.1, 0.9),
    _Band(-0.9, -0.1),
    _Band(3, 7),
    _Band(-5, -2),
    _Band(0.1, 3, alternating=True),
    _Band(1e4, 1e6),
    _Band(-1e6, -1e4),
    _Band(20, 40, always=False),
    _Band(3, 9, whole=True, always=False),
    _Band(2, 20, whole=True, always=False),
    _Band(5, 12, whole=True, always=False),
)


def points(left: Node, right: Node) -> Iterator[Point]:
    """Yield the points to compare two expressions at; one, without values, for constants.

    Example:
        >>> from bakeoff.rewards.math.expressions.parsing import parse
        >>> [point.values for point in points(parse("sqrt(2)"), parse("1"))]
        [{}]
    """
    names = sorted(variables(left) | variables(right))
    if not names:
        yield Point({})
        return
    heads = {part.head for side in (left, right) for part in walk(side)}
    for band in _BANDS:
        values = {name: _drawn(band, name, k) for k, name in enumerate(names)}
        yield Point(values, band.always or (band.whole and bool(heads & _STEPPED)))
    if heads & _KINKED:
        yield from _near_kinks(left, right, names)


def _rational_or_none(node: Node) -> Fraction | None:
    try:
        return rational(node)
    except ExpressionError:
        return None


def _drawn(band: _Band, name: str, position: int) -> Fraction:
    drawn = random.Random(f"{band.low}/{band.high}/{band.whole}/{name}")
    if band.whole:
        return Fraction(drawn.randint(int(band.low), int(band.high)))
    value = Fraction(int(drawn.uniform(band.low, band.high) * 4096) * 2 + 1, 8192)
    return -value if band.alternating and position % 2 == 0 else value


def _near_kinks(left: Node, right: Node, names: list[str]) -> Iterator[Point]:
    """Yield points beside the constants, and with every choice of signs for few variables."""
    constants = {
        abs(value)
        for side in (left, right)
        for part in walk(side)
        if not variables(part) and (value := _rational_or_none(part))
    }
    offsets = (Fraction(381, 1024), Fraction(-381, 1024))
    for constant in sorted(constants, reverse=True)[:MAX_KINKS]:
        for sign, offset in itertools.product((1, -1), offsets):
            yield Point({n: sign * constant + offset / (k + 1) for k, n in enumerate(names)})
    if 1 < len(names) <= 3:
        for signs in itertools.product((1, -1), repeat=len(names)):
            band = _Band(0.1, 3)
            drawn = zip(names, signs, strict=True)
            yield Point({name: sign * _drawn(band, name, 0) for name, sign in drawn})
