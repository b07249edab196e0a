"""Functions of whole numbers in words, as code and as what they compute: parts of the families."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

Numbers = Callable[..., int]

SUM, PRODUCT, ATOM = 0, 1, 2  # how tightly an expression binds


class Expression(NamedTuple):
    """An expression of ``x``, or of ``x`` and ``y``, and what it computes.

    Attributes:
        words, code: how it is said and written.
        function: what it computes.
        binds: how tightly its last operation binds.
        rivals: functions that are nearly the same.
    """

    words: str
    code: str
    function: Numbers
    binds: int = ATOM
    rivals: tuple[Numbers, ...] = ()


class Operation(NamedTuple):
    """A step with a number ``n``: how it is said and written, and what it does."""

    words: str
    sign: str
    function: Callable[[int, int], int]
    binds: int


PLUS = Operation("plus {n}", "+", lambda value, n: value + n, SUM)
MINUS = Operation("minus {n}", "-", lambda value, n: value - n, SUM)
TIMES = Operation("times {n}", "*", lambda value, n: value * n, PRODUCT)
DIVIDED = Operation("divided by {n} and rounded down", "//", lambda value, n: value // n, PRODUCT)
MODULO = Operation("modulo {n}", "%", lambda value, n: value % n, PRODUCT)

X = Expression("x", "x", lambda x: x)
PAIRS = (
    Expression("the larger of x and y", "max(x, y)", lambda x, y: max(x, y)),
    Expression("the smaller of x and y", "min(x, y)", lambda x, y: min(x, y)),
    Expression("the distance between x and y", "abs(x - y)", lambda x, y: abs(x - y)),
    Expression("the sum of x and y", "x + y", lambda x, y: x + y, SUM),
    Expression("the product of x and y", "x * y", lambda x, y: x * y, PRODUCT),
)


class Condition(NamedTuple):
    """A condition on ``x``, in words and as code, whether it holds, and one that is nearly it."""

    words: str
    code: str
    holds: Callable[[int], bool]
    rival: Callable[[int], bool]


def after(inner: Expression, operation: Operation, n: int) -> Expression:
    """Return the expression with one step more.

    Example:
        >>> after(after(X, PLUS, 3), TIMES, 2)[:2]
        ('x plus 3, then times 2', '(x + 3) * 2')
    """
    joint = " " if inner.words == "x" else ", then "
    code = f"({inner.code})" if inner.binds < operation.binds else inner.code
    return Expression(
        f"{inner.words}{joint}{operation.words.format(n=n)}",
        f"{code} {operation.sign} {n}",
        lambda *values: operation.function(inner.function(*values), n),
        operation.binds,
    )


def two_steps(first: tuple[Operation, int], second: tuple[Operation, int]) -> Expression:
    """Return two steps on ``x``, one after the other."""
    return after(after(X, *first), *second)


def drawn_steps(rng: random.Random) -> list[tuple[Operation, int]]:
    """Return two different steps that never divide what may be below 0, nor undo each other."""
    first, second = rng.sample((PLUS, MINUS, TIMES, DIVIDED, MODULO), 2)
    if {first, second} in ({PLUS, MINUS}, {MINUS, DIVIDED}, {MINUS, MODULO}):
        first, second = TIMES, rng.choice((PLUS, MINUS))
    return [(operation, rng.randrange(2, 10)) for operation in (first, second)]


def condition(rng: random.Random) -> Condition:
    """Return a condition that holds for some numbers from 0 to 30 and not for others."""
    kind, n = rng.randrange(4), rng.randrange(5, 26)
    if kind == 0:
        return Condition("x is even", "x % 2 == 0", lambda x: x % 2 == 0, lambda x: x % 2 == 1)
    if kind == 1:
        return Condition("x is odd", "x % 2 == 1", lambda x: x % 2 == 1, lambda x: x % 2 == 0)
    if kind == 2:
        return Condition(f"x is above {n}", f"x > {n}", lambda x: x > n, lambda x: x >= n)
    return Condition(f"x is below {n}", f"x < {n}", lambda x: x < n, lambda x: x <= n)


def either(condition: Condition, one: Expression, other: Expression) -> Expression:
    """Return one expression where the condition holds, and the other where it does not.

    Example:
        >>> even = Condition("x is even", "x % 2 == 0", lambda x: x % 2 == 0, bool)
        >>> either(even, after(X, PLUS, 3), X)[:2]
        ('if x is even, x plus 3; else x', 'x + 3 if x % 2 == 0 else x')
    """

    def function(x: int, *more: int) -> int:
        return (one if condition.holds(x) else other).function(x, *more)

    def rival(x: int, *more: int) -> int:
        return (one if condition.rival(x) else other).function(x, *more)

    return Expression(
        f"if {condition.words}, {one.words}; else {other.words}",
        f"{one.code} if {condition.code} else {other.code}",
        function,
        rivals=(rival, one.function, other.function),
    )


def drawn_branches(rng: random.Random) -> tuple[Expression, Expression]:
    """Return two different steps on ``x``."""
    one, other = rng.sample((PLUS, MINUS, TIMES), 2)
    return after(X, one, rng.randrange(2, 10)), after(X, other, rng.randrange(2, 10))


def of_pairs(rng: random.Random) -> Expression:
    """Return a step on an expression of ``x`` and ``y``, or another where a condition fails."""
    one, other = rng.sample(PAIRS, 2)
    stepped = after(one, rng.choice((PLUS, MINUS, TIMES)), rng.randrange(2, 10))
    return stepped if rng.random() < 0.5 else either(condition(rng), stepped, other)
