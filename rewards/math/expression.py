"""Arithmetic expressions as immutable trees, evaluated exactly and within a budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

MAX_BITS = 20_000  # of numerator and denominator together, of any value on the way


class ExpressionError(ValueError):
    """The text is not an expression of this grammar, or has no value."""


class OverBudget(ExpressionError):
    """The value is too large to work out."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written: integer, decimal, percentage or mixed number."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Pi:
    """The ratio of a circle's circumference to its diameter."""


@dataclass(frozen=True, slots=True)
class Negative:
    """Minus its operand."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Root:
    """The non-negative square root of its operand."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands joined by ``+``, ``-``, ``*``, ``/`` or ``^``."""

    operator: str
    left: Node
    right: Node


Node = Number | Pi | Negative | Root | Binary


def rational(node: Node) -> Fraction | None:
    """Return the exact value, or ``None`` where it takes more than rational arithmetic to tell.

    Raises:
        ExpressionError: there is no value, as for 1/0.
        OverBudget: a number on the way has more than ``MAX_BITS`` bits.

    Example:
        >>> from bakeoff.rewards.math.parsing import parse
        >>> rational(parse("sqrt(9/4) + 1/12"))
        Fraction(19, 12)
        >>> rational(parse("sqrt(2)")) is None
        True
    """
    match node:
        case Number(value):
            return value
        case Pi():
            return None
        case Negative(operand):
            inner = rational(operand)
            return None if inner is None else -inner
        case Root(operand):
            inner = rational(operand)
            return None if inner is None else _root(inner)
        case Binary(operator, left_node, right_node):
            left, right = rational(left_node), rational(right_node)
            if right == 0 and operator == "/":
                raise ExpressionError("divides by zero")
            if left is None or right is None:
                return None
            return _within_budget(_apply(operator, left, right))


def is_written_out(node: Node) -> bool:
    """Tell whether this is a result, not a calculation: a number, or a fraction in lowest terms.

    Example:
        >>> from bakeoff.rewards.math.parsing import parse
        >>> [is_written_out(parse(text)) for text in ("-85", "7/12", "47+38", "84/7", "12/1")]
        [True, True, False, False, False]
    """
    if isinstance(node, Negative):
        node = node.operand
    match node:
        case Number():
            return True
        case Binary("/", Number(above) | Negative(Number(above)), Number(below)):
            whole = above.denominator == below.denominator == 1
            return whole and below > 1 and math.gcd(above.numerator, below.numerator) == 1
    return False


def _apply(operator: str, left: Fraction, right: Fraction) -> Fraction | None:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
    if right.denominator != 1:
        return None
    if left == 0 and right <= 0:
        raise ExpressionError("0 to a power that is not positive")
    if bits(left) * abs(right) > MAX_BITS and abs(left) != 1:
        raise OverBudget("a power too large to work out")
    return left ** (int(right) % 2 if abs(left) == 1 else int(right))


def bits(value: Fraction) -> int:
    """Return the bits of numerator and denominator together."""
    return value.numerator.bit_length() + value.denominator.bit_length()


def _within_budget(value: Fraction | None) -> Fraction | None:
    if value is not None and bits(value) > MAX_BITS:
        raise OverBudget("a number too large to work out")
    return value


def _root(value: Fraction) -> Fraction | None:
    if value < 0:
        raise ExpressionError("the square root of a negative number")
    root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    return root if root * root == value else None
