"""Values of expressions, exactly: as fractions, and modulo a large prime.

An expression of +, -, *, / and whole powers over rationals, variables and i is a rational function,
and so it is with pi and e in it: as transcendental numbers they take part as variables do.
Two of them are equal if they agree modulo a 61-bit prime at points drawn at random: a difference of
degree d that is not 0 vanishes there with a probability of at most d / 2**60 a point
(Schwartz, https://doi.org/10.1145/322217.322225), however large its coefficients are.
"""

from __future__ import annotations

import math
import random
from fractions import Fraction

from bakeoff.rewards.math.equality.budget import spend
from bakeoff.rewards.math.equality.towers import tower
from bakeoff.rewards.math.expressions.tree import ExpressionError, Node, OverBudget

MAX_BITS = 80_000  # of numerator and denominator together, of any value on the way
MAX_FACTORIAL = 20_000
PRIME = 2305843009213693921  # 2**61 - 31, 1 modulo 4, so that -1 has a square root
POINTS = 2


class NotRational(Exception):
    """An expression is no rational function; it takes other means to compare it."""


def rational(node: Node) -> Fraction | None:
    """Return the exact value, or ``None`` where it takes more than rational arithmetic to tell.

    Raises:
        ExpressionError: there is no value, as for 1/0.
        OverBudget: a number on the way has more than ``MAX_BITS`` bits.

    Example:
        >>> from bakeoff.rewards.math.expressions.parsing import parse
        >>> rational(parse("sqrt(9/4) + 1/12"))
        Fraction(19, 12)
        >>> rational(parse("sqrt(2)")) is None
        True
    """
    if node.head == "number":
        return node.value  # type: ignore[return-value]
    if node.head in ("symbol", "sum", "prod", "pm", "mp"):
        return None
    values = [rational(part) for part in node.args]
    if node.head == "/" and values[1] == 0:
        raise ExpressionError("divides by zero")
    if any(value is None for value in values):
        return None
    result = _applied(node.head, values)  # type: ignore[arg-type]
    if result is not None and (size := bits(result)) > 64:
        spend(1 + size // 256)
        if size > MAX_BITS:
            raise OverBudget("a number too large to work out")
    return result


def bits(value: Fraction) -> int:
    """Return the bits of numerator and denominator together."""
    return value.numerator.bit_length() + value.denominator.bit_length()


def _applied(head: str, values: list[Fraction]) -> Fraction | None:
    first = values[0]
    match head:
        case "+":
            return sum(values, Fraction(0))
        case "-":
            return -first
        case "*":
            return math.prod(values, start=Fraction(1))
        case "/":
            return first / values[1]
        case "^":
            return _power(first, values[1])
        case "root":
            return _root(first, values[1])
        case "%":
            return first / 100
        case "abs":
            return abs(first)
        case "floor":
            return Fraction(math.floor(first))
        case "ceil":
            return Fraction(math.ceil(first))
        case "max":
            return max(values)
        case "min":
            return min(values)
    if all(value.denominator == 1 for value in values):
        return _whole(head, [int(value) for value in values])
    return None


def _whole(head: str, values: list[int]) -> Fraction | None:
    """Return the value of a function of whole numbers."""
    if head in ("gcd", "lcm"):
        return Fraction(math.gcd(*values) if head == "gcd" else math.lcm(*values))
    if head in ("!", "!!"):
        n = values[0]
        if n < 0:
            raise ExpressionError("the factorial of a negative number")
        if n > MAX_FACTORIAL:
            raise OverBudget("a factorial too large to work out")
        return Fraction(math.factorial(n) if head == "!" else math.prod(range(n, 0, -2)))
    if head == "binom":
        n, k = values
        if n < 0 or max(n, k) > MAX_FACTORIAL:
            raise OverBudget("a binomial too large to work out")
        return Fraction(math.comb(n, k) if k >= 0 else 0)
    return None


def _power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator != 1:
        root = _root(base, Fraction(exponent.denominator))
        return None if root is None else _power(root, Fraction(exponent.numerator))
    if base == 0 and exponent <= 0:
        raise ExpressionError("0 to a power that is not positive")
    if abs(base) == 1:
        return base ** (int(exponent) % 2)
    if bits(base) * abs(exponent) > MAX_BITS:
        raise OverBudget("a power too large to work out")
    return base ** int(exponent)


def _root(value: Fraction, order: Fraction) -> Fraction | None:
    """Return a root that is rational, real for an odd order; ``None`` if it is not."""
    if order.denominator != 1 or not 1 <= order <= 64:
        return None
    degree = int(order)
    if value < 0:
        inner = _root(-value, order) if degree % 2 else None
        return None if inner is None else -inner
    root = Fraction(_whole_root(value.numerator, degree), _whole_root(value.denominator, degree))
    return root if root**degree == value else None


def _whole_root(value: int, degree: int) -> int:
    """Return the largest whole number whose power is at most the value."""
    if degree == 2:
        return math.isqrt(value)
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
    return low


def residues(node: Node) -> tuple[int, ...]:
    """Return the values of a rational function at the points, modulo the prime.

    Raises:
        ExpressionError: it divides by zero whatever the variables are.
        NotRational: it is no rational function.

    Example:
        >>> from bakeoff.rewards.math.expressions.parsing import parse
        >>> residues(parse("(a+b)^2")) == residues(parse("a^2 + 2ab + b^2"))
        True
        >>> residues(parse("x/(1+i)")) == residues(parse("x(1-i)/2"))
        True
    """
    return tuple(_residue(node, point) for point in range(POINTS))


def _residue(node: Node, point: int) -> int:
    match node.head:
        case "number":
            value: Fraction = node.value  # type: ignore[assignment]
            if value.denominator == 1:
                return value.numerator % PRIME
            return value.numerator * pow(value.denominator, -1, PRIME) % PRIME
        case "symbol":
            return _coordinate(str(node.value), point)
        case "+":
            return sum(_residue(part, point) for part in node.args) % PRIME
        case "-":
            return -_residue(node.args[0], point) % PRIME
        case "*":
            product = 1
            for part in node.args:
                product = product * _residue(part, point) % PRIME
            return product
        case "/":
            below = _residue(node.args[1], point)
            if below == 0:
                raise ExpressionError("divides by zero")
            return _residue(node.args[0], point) * pow(below, -1, PRIME) % PRIME
        case "%":
            return _residue(node.args[0], point) * pow(100, -1, PRIME) % PRIME
        case "^":
            return _residue_power(node, point)
    value_or_none = rational(node) if _is_constant(node) else None
    if value_or_none is None:
        raise NotRational(node.head)
    return _residue(Node("number", (), value_or_none), point)


def _residue_power(node: Node, point: int) -> int:
    base = _residue(node.args[0], point)
    try:
        exponent = rational(node.args[1])
    except OverBudget:
        return pow(base, tower(node.args[1], PRIME - 1), PRIME)
    if exponent is None or exponent.denominator != 1:
        raise NotRational("a power")
    if base == 0 and exponent <= 0:
        raise ExpressionError("0 to a power that is not positive")
    return pow(base, int(exponent), PRIME)


def _is_constant(node: Node) -> bool:
    return node.head != "symbol" and all(_is_constant(part) for part in node.args)


def _square_root_of_minus_one() -> int:
    for base in range(2, 100):
        root = pow(base, (PRIME - 1) // 4, PRIME)
        if root * root % PRIME == PRIME - 1:
            return root
    raise AssertionError("the prime is not 1 modulo 4")


_UNIT = _square_root_of_minus_one()
_coordinates: dict[tuple[str, int], int] = {}


def _coordinate(name: str, point: int) -> int:
    """Return what a variable is at a point: always the same, drawn by its name."""
    if name == "i":
        return _UNIT
    if name == "infinity":
        raise NotRational(name)
    if (name, point) not in _coordinates:
        if len(_coordinates) > 10_000:
            _coordinates.clear()
        drawn = random.Random(f"coordinate/{point}/{name}").randrange(2, PRIME)
        _coordinates[name, point] = drawn
    return _coordinates[name, point]
