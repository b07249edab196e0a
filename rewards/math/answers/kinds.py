"""What an answer can be: a value, several, a region, a matrix, a relation, a choice, or words."""

from __future__ import annotations

from typing import NamedTuple

from bakeoff.rewards.math.expressions.tree import Node, ParseError, number, symbol

INFINITY = symbol("infinity")
MINUS_INFINITY = Node("-", (INFINITY,))


class Unit(NamedTuple):
    """A unit: how often it holds one of its base, and what that base is.

    Attributes:
        factor: the base units in one of it, a number.
        base: names and powers, sorted, as ``(("metre", 2),)``; nothing for "units".
    """

    factor: Node
    base: tuple[tuple[str, int], ...]


class Value(NamedTuple):
    """One value.

    Attributes:
        node: the expression.
        digits: significant digits if it is written as a decimal, else 0.
        unit: its unit, if one is given.
        name: what it is the value of, as x in ``x = 3``; may be empty.
    """

    node: Node
    digits: int = 0
    unit: Unit | None = None
    name: str = ""


class Collection(NamedTuple):
    """Several answers: an ordered "tuple", or a "set" in braces or a "list" without brackets."""

    kind: str
    items: tuple[Answer, ...]


class Interval(NamedTuple):
    """The real numbers between two end points, with the digits of those that are decimals."""

    low: Node
    high: Node
    low_closed: bool
    high_closed: bool
    digits: tuple[int, int] = (0, 0)


class Region(NamedTuple):
    """A union of intervals, and of points as closed intervals; the name of its variable or ""."""

    intervals: tuple[Interval, ...]
    name: str = ""


class Matrix(NamedTuple):
    """A rectangle of answers; ``kind`` is "matrix", or "cases" for the rows of a piecewise one."""

    rows: tuple[tuple[Answer, ...], ...]
    kind: str = "matrix"


class Relation(NamedTuple):
    """An equation or an inequality that is not solved: ``left - right`` compared with 0."""

    sign: str
    left: Node
    right: Node


class Choice(NamedTuple):
    """A letter of multiple choice."""

    letter: str


class Words(NamedTuple):
    """Words, without case, punctuation, spaces and articles."""

    text: str


Answer = Value | Collection | Region | Matrix | Relation | Choice | Words

EMPTY = Region(())
REALS = Region((Interval(MINUS_INFINITY, INFINITY, False, False),))


def point(node: Node) -> Interval:
    """Return the interval that holds one value."""
    return Interval(node, node, True, True)


def ratio(parts: tuple[Node, ...]) -> Answer:
    """Return a ratio: of two numbers their quotient, of more of them the parts over the last."""
    if parts[-1] == number(0):
        raise ParseError("a ratio to nothing")
    quotients = tuple(Value(Node("/", (part, parts[-1]))) for part in parts[:-1])
    if len(quotients) == 1:
        return quotients[0]
    return Collection("tuple", (*quotients, Value(number(1))))
