"""Values of expressions as fractions, exactly and within a budget."""

from __future__ import annotations

import math
from fractions import Fraction

from bakeoff.rewards.math.equality.budget import spend
from bakeoff.rewards.math.expressions.tree import ExpressionError, Node, OverBudget, bits

MAX_BITS = 80_000  # of numerator and denominator together, of any value on the way
MAX_FACTORIAL = 20_000


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
    if node.head in ("symbol", "sum", "prod", "apply", "pm", "mp"):
        return None
    values = [rational(part) for part in node.args]
    if node.head == "/" and values[1] == 0:
        raise ExpressionError("divides by zero")
    if any(value is None for value in values):
        return None
    result = _applied(node.head, values)  # type: ignore[arg-type]
    return None if result is None else _within(result)


def _within(value: Fraction) -> Fraction:
    """Return a value whose size is within the budget, which it is taken from."""
    size = bits(value)
    if size > MAX_BITS:
        raise OverBudget("a number too large to work out")
    if size > 512:
        spend(1 + (size // 1024) ** 2 // 2)
    return value


def _applied(head: str, values: list[Fraction]) -> Fraction | None:
    first = values[0]
    match head:
        case "+" | "*":
            for value in values[1:]:
                first = _within(first + value if head == "+" else first * value)
            return first
        case "-":
            return -first
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
        case "conj":
            return first
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
        spend(1 + (n // 100) ** 2 // 40)
        return Fraction(math.factorial(n) if head == "!" else math.prod(range(n, 0, -2)))
    if head == "mod" and values[1] != 0:
        return Fraction(values[0] % values[1])
    if head == "binom":
        n, k = values
        if n < 0 or max(n, k) > MAX_FACTORIAL:
            raise OverBudget("a binomial too large to work out")
        spend(1 + n * max(min(k, n - k), 0) // 200_000)
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
    """Return the largest whole number whose power is at most the value, by Newton's method."""
    if degree == 2 or value == 0:
        return math.isqrt(value)
    spend(1 + value.bit_length() // 64)
    root = 1 << (value.bit_length() // degree + 1)
    while True:
        lower = ((degree - 1) * root + value // root ** (degree - 1)) // degree
        if lower >= root:
            return root
        root = lower
