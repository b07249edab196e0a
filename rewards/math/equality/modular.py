"""Values of expressions modulo a large prime: equal expressions have equal ones.

An expression of +, -, *, / and whole powers over rationals, variables and i is a rational function,
and so it is with pi and e in it: as transcendental numbers they take part as variables do. Two of
them are equal if they agree modulo a 62-bit prime at points drawn at random: a difference of degree
d that is not 0 vanishes there with a probability of at most d / 2**60 a point
(Schwartz, https://doi.org/10.1145/322217.322225), however large its coefficients are.

A root or another function of something takes part as a variable that belongs to its argument. If
two expressions agree then, they are equal; if they do not, that is no proof, for sin and cos are
related and the square of a root is rational.
"""

from __future__ import annotations

import functools
import random
from fractions import Fraction
from hashlib import blake2b
from typing import NamedTuple, cast

from bakeoff.rewards.math.equality.exact import rational
from bakeoff.rewards.math.equality.towers import tower
from bakeoff.rewards.math.expressions.tree import ExpressionError, Node, OverBudget

POINTS = 2


def _is_prime(number: int) -> bool:
    """Tell whether a number below 3.3e24 is prime (Miller-Rabin with the first twelve primes).

    ``sympy.isprime`` would do, but this runs at import, where sympy is half a second.
    """
    if number < 2 or any(number % small == 0 for small in _SMALL):
        return number in _SMALL
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in _SMALL:
        powers = [pow(base, odd * 2**k, number) for k in range(twos)]
        if powers[0] != 1 and number - 1 not in powers:
            return False
    return True


_SMALL = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


def _drawn_prime() -> int:
    """Return a prime p = 4q + 1 of 62 bits with q prime, drawn anew in every process.

    Then -1 has a square root, nobody can write an answer for the prime, and exponents that differ
    repeat only if their difference is a multiple of q.
    """
    source = random.SystemRandom()
    while True:
        q = source.randrange(2**59, 2**60) | 1
        if _is_prime(q) and _is_prime(4 * q + 1):
            return 4 * q + 1


PRIME = _drawn_prime()
TOWER_PRIME = 2305843009213693921  # 2**61 - 31, whose totients all have small factors


class Congruence(NamedTuple):
    """What residues prove: whether two expressions are equal, ``None`` if they do not tell.

    Attributes:
        equal: true, false or ``None``.
        has_functions: whether there are roots or functions in them.
    """

    equal: bool | None
    has_functions: bool


class _Tower(Exception):
    """An exponent that is too large to be worked out."""


def congruent(left: Node, right: Node) -> Congruence:
    """Compare two expressions at the points, modulo a prime.

    Raises:
        ExpressionError: one divides by zero whatever the variables are.
        OverBudget: a power is too large to be reduced.

    Example:
        >>> from bakeoff.rewards.math.expressions.parsing import parse
        >>> congruent(parse("(a+b)^2"), parse("a^2 + 2ab + b^2")).equal
        True
        >>> congruent(parse("x/(1+i)"), parse("x(1-i)/2")).equal
        True
        >>> congruent(parse("sqrt(2)+1"), parse("1+sqrt(2)")).equal
        True
        >>> congruent(parse("9^9^9^9"), parse("9^9^9^8")).equal
        False
    """
    try:
        same, has_functions = _compared(left, right, PRIME)
        return Congruence(same or (None if has_functions else False), has_functions)
    except _Tower:  # all towers of a base become the same in the end, modulo whatever
        same, has_functions = _compared(left, right, TOWER_PRIME)
        if same or has_functions:
            raise OverBudget("a power too large to work out") from None
        return Congruence(False, False)


def _compared(left: Node, right: Node, prime: int) -> tuple[bool, bool]:
    reductions = [_Reduction(point, prime) for point in range(POINTS)]
    same = all([reduction.of(left) == reduction.of(right) for reduction in reductions])
    return same, any(reduction.has_functions for reduction in reductions)


class _Reduction:
    """One point: what the variables are there, and whether there was anything but them."""

    def __init__(self, point: int, prime: int) -> None:
        self.point = point
        self.prime = prime
        self.has_functions = False

    def of(self, node: Node) -> int:
        head, args = node.head, node.args
        if head == "number":
            value = cast(Fraction, node.value)
            if value.denominator == 1:
                return value.numerator % self.prime
            return value.numerator * self.inverse(value.denominator) % self.prime
        if head == "symbol":
            if node.value == "infinity":
                raise ExpressionError("infinity is no number")
            if node.value == "i":
                return _root_of_minus_one(self.prime)
            return self.drawn("symbol", str(node.value))
        if head == "+":
            return sum(map(self.of, args)) % self.prime
        if head == "-":
            return -self.of(args[0]) % self.prime
        if head == "*":
            return functools.reduce(lambda one, other: one * other % self.prime, map(self.of, args))
        if head == "/":
            return self.of(args[0]) * self.inverse(self.of(args[1])) % self.prime
        if head == "%":
            return self.of(args[0]) * self.inverse(100) % self.prime
        if head == "^":
            return self.power(args[0], args[1])
        return self.function(node)

    def power(self, base_node: Node, exponent_node: Node) -> int:
        base = self.of(base_node)
        try:
            exponent = rational(exponent_node)
        except OverBudget:
            if self.prime != TOWER_PRIME:
                raise _Tower from None
            return pow(base, tower(exponent_node, self.prime - 1), self.prime)
        if exponent is None or exponent.denominator != 1:
            self.has_functions = True
            return self.drawn("^", base, self.of(exponent_node))
        if base == 0 and exponent <= 0:
            raise ExpressionError("0 to a power that is not positive")
        return pow(base, int(exponent), self.prime)

    def function(self, node: Node) -> int:
        value = rational(node)
        if value is not None:
            return self.of(Node("number", (), value))
        self.has_functions = True
        if node.head == "root":
            return self.drawn("^", self.of(node.args[0]), self.inverse(self.of(node.args[1])))
        return self.drawn(node.head, *map(self.of, node.args))

    def drawn(self, *key: str | int) -> int:
        """Return what a variable or a function's value is: always the same for the same key."""
        return 2 + _hashed(self.point, key) % (self.prime - 2)

    def inverse(self, value: int) -> int:
        if value % self.prime == 0:
            raise ExpressionError("divides by zero")
        return pow(value, -1, self.prime)


@functools.lru_cache(maxsize=10_000)
def _hashed(point: int, key: tuple[str | int, ...]) -> int:
    digest = blake2b(repr((point, key)).encode("utf-8", "backslashreplace"), digest_size=16)
    return int.from_bytes(digest.digest())


@functools.cache
def _root_of_minus_one(prime: int) -> int:
    """Return a number whose square is -1; the prime is 1 modulo 4."""
    bases = range(2, 100)
    roots = (pow(base, (prime - 1) // 4, prime) for base in bases)
    return next(root for root in roots if root * root % prime == prime - 1)
