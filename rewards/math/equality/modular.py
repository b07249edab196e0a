"""Values of expressions modulo a large prime: equal expressions have equal ones.

An expression of +, -, *, / and whole powers over rationals, variables and i is a rational function,
and so it is with pi and e in it: as transcendental numbers they take part as variables do. Two of
them are equal if they agree modulo a 61-bit prime at points drawn at random: a difference of degree
d that is not 0 vanishes there with a probability of at most d / 2**60 a point
(Schwartz, https://doi.org/10.1145/322217.322225), however large its coefficients are.

A root or another function of something takes part as a variable that belongs to its argument. If
two expressions agree then, they are equal; if they do not, that is no proof, for sin and cos are
related and the square of a root is rational.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from hashlib import blake2b
from typing import NamedTuple

from bakeoff.rewards.math.equality.exact import rational
from bakeoff.rewards.math.equality.towers import tower
from bakeoff.rewards.math.expressions.tree import ExpressionError, Node, OverBudget

PRIME = 2305843009213693921  # 2**61 - 31, 1 modulo 4, so that -1 has a square root
POINTS = 2


class Residues(NamedTuple):
    """The values at the points, and whether other values prove that expressions differ."""

    values: tuple[int, ...]
    is_rational: bool


def residues(node: Node) -> Residues:
    """Return the values of an expression at the points, modulo the prime.

    Raises:
        ExpressionError: it divides by zero whatever the variables are.
        OverBudget: a power is too large to be reduced.

    Example:
        >>> from bakeoff.rewards.math.expressions.parsing import parse
        >>> residues(parse("(a+b)^2")) == residues(parse("a^2 + 2ab + b^2"))
        True
        >>> residues(parse("x/(1+i)")) == residues(parse("x(1-i)/2"))
        True
        >>> residues(parse("sqrt(2)+1")) == residues(parse("1+sqrt(2)"))
        True
    """
    reductions = [_Reduction(point) for point in range(POINTS)]
    values = tuple(reduction.of(node) for reduction in reductions)
    return Residues(values, all(reduction.is_rational for reduction in reductions))


class _Reduction:
    """One point: what the variables are there, and whether there was anything but them."""

    def __init__(self, point: int) -> None:
        self.point = point
        self.is_rational = True

    def of(self, node: Node) -> int:
        head, args = node.head, node.args
        if head == "number":
            value = Fraction(node.value or 0)
            if value.denominator == 1:
                return value.numerator % PRIME
            return value.numerator * _inverse(value.denominator) % PRIME
        if head == "symbol":
            if node.value == "infinity":
                raise ExpressionError("infinity is no number")
            return _UNIT if node.value == "i" else self.drawn("symbol", str(node.value))
        if head == "+":
            return sum(map(self.of, args)) % PRIME
        if head == "-":
            return -self.of(args[0]) % PRIME
        if head == "*":
            return functools.reduce(lambda one, other: one * other % PRIME, map(self.of, args))
        if head == "/":
            return self.of(args[0]) * _inverse(self.of(args[1])) % PRIME
        if head == "%":
            return self.of(args[0]) * _inverse(100) % PRIME
        if head == "^":
            return self.power(args[0], args[1])
        return self.function(node)

    def power(self, base_node: Node, exponent_node: Node) -> int:
        base = self.of(base_node)
        try:
            exponent = rational(exponent_node)
        except OverBudget:
            return pow(base, tower(exponent_node, PRIME - 1), PRIME)
        if exponent is None or exponent.denominator != 1:
            self.is_rational = False
            return self.drawn("^", base, self.of(exponent_node))
        if base == 0 and exponent <= 0:
            raise ExpressionError("0 to a power that is not positive")
        return pow(base, int(exponent), PRIME)

    def function(self, node: Node) -> int:
        value = rational(node)
        if value is not None:
            return self.of(Node("number", (), value))
        self.is_rational = False
        if node.head == "root":
            return self.drawn("^", self.of(node.args[0]), _inverse(self.of(node.args[1])))
        return self.drawn(node.head, *map(self.of, node.args))

    def drawn(self, *key: str | int) -> int:
        """Return what a variable or a function's value is: always the same for the same key."""
        return _drawn(self.point, key)


@functools.lru_cache(maxsize=10_000)
def _drawn(point: int, key: tuple[str | int, ...]) -> int:
    digest = blake2b(repr((point, key)).encode("utf-8", "backslashreplace"), digest_size=16)
    return 2 + int.from_bytes(digest.digest()) % (PRIME - 2)


def _inverse(value: int) -> int:
    if value % PRIME == 0:
        raise ExpressionError("divides by zero")
    return pow(value, -1, PRIME)


def _root_of_minus_one() -> int:
    for base in range(2, 100):
        root = pow(base, (PRIME - 1) // 4, PRIME)
        if root * root % PRIME == PRIME - 1:
            return root
    raise AssertionError("the prime is not 1 modulo 4")


_UNIT = _root_of_minus_one()
