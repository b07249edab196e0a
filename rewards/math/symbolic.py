"""Equality of expressions with roots and pi, by sympy, in bounded time.

The difference is worked out to so many digits that it would show if it were not zero: an
expression E over integers with + - * / and roots is 0, or

    |E| >= 1 / (u(E)**(D - 1) * l(E))

with u and l bounds that follow E's structure and D the product of the degrees of its roots
(Burnikel, Funke, Mehlhorn, Schirra and Schmitt, https://doi.org/10.1007/s00453-007-9132-4). With
pi in it this is no theorem, and eight times as many digits are taken.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

from bakeoff.rewards.math.expression import (
    Binary,
    ExpressionError,
    Negative,
    Node,
    Number,
    OverBudget,
    Pi,
    Root,
    rational,
)

MAX_BITS = 20_000  # of the precision that telling two values apart may take
MAX_DEGREE = 12  # of one root
MAX_RADICAND_BITS = 1_000  # sympy looks for factors of what stands under a root


class _Bounds(NamedTuple):
    """Base-2 logarithms of u and l, the radicals below the expression, and whether pi is."""

    u: int
    l: int  # noqa: E741 (the paper's name)
    radicals: frozenset[tuple[Node, int]]
    has_pi: bool


def same_value(left: Node, right: Node) -> bool | None:
    """Tell whether two expressions have the same value; ``None`` if that takes too long to tell.

    Raises:
        ExpressionError: one of them has no value.

    Example:
        >>> from bakeoff.rewards.math.parsing import parse
        >>> same_value(parse(r"\\frac{1}{\\sqrt{2}}"), parse(r"\\frac{\\sqrt{2}}{2}"))
        True
        >>> same_value(parse("3pi/2"), parse("4.712"))
        False
    """
    try:
        precision = _precision(_bounds(Binary("-", left, right)))
        difference = _expression(left, precision) - _expression(right, precision)
        return _vanishes(difference, precision)
    except OverBudget:
        return None


def _precision(bounds: _Bounds) -> int:
    """Return the bits after the point in which a value other than 0 shows."""
    degree = math.prod(order for _, order in bounds.radicals)
    bits = (degree - 1) * bounds.u + bounds.l + 64
    if bounds.has_pi:
        bits *= 8
    if bits + bounds.u + bounds.l > MAX_BITS:
        raise OverBudget("more digits than may be worked out")
    return bits + bounds.u + bounds.l


def _bounds(node: Node) -> _Bounds:
    match node:
        case Number(value):
            u, l = value.numerator.bit_length(), value.denominator.bit_length()  # noqa: E741
            return _Bounds(u, l if value.denominator > 1 else 0, frozenset(), False)
        case Pi():
            return _Bounds(2, 0, frozenset(), True)
        case Negative(operand):
            return _bounds(operand)
        case Root(operand):
            return _power_bounds(operand, Fraction(1, 2))
        case Binary("^", base, exponent_node):
            exponent = rational(exponent_node)
            if exponent is None:
                raise OverBudget("an exponent that is not rational")
            return _power_bounds(base, exponent)
        case Binary(operator, left_node, right_node):
            left, right = _bounds(left_node), _bounds(right_node)
            radicals = left.radicals | right.radicals
            has_pi = left.has_pi or right.has_pi
            if operator == "/":
                right = right._replace(u=right.l, l=right.u)
            if operator in ("*", "/"):
                bounds = _Bounds(left.u + right.u, left.l + right.l, radicals, has_pi)
            else:
                u = max(left.u + right.l, right.u + left.l) + 1
                bounds = _Bounds(u, left.l + right.l, radicals, has_pi)
            return _affordable(bounds)


def _power_bounds(base_node: Node, exponent: Fraction) -> _Bounds:
    base = _bounds(base_node)
    if exponent < 0:
        base = base._replace(u=base.l, l=base.u)
    if exponent.denominator > MAX_DEGREE:
        raise OverBudget("a root of too high a degree")
    times, order = abs(exponent.numerator), exponent.denominator
    if order > 1 and base.u + base.l > MAX_RADICAND_BITS:
        raise OverBudget("a root of too large a number")
    if order > 1:  # the root of U/L is the root of U L**(order - 1), over L
        u = -(-(base.u + (order - 1) * base.l) // order)
        base = base._replace(u=u, radicals=base.radicals | {(base_node, order)})
    return _affordable(base._replace(u=base.u * times, l=base.l * times))


def _affordable(bounds: _Bounds) -> _Bounds:
    if bounds.u + bounds.l > MAX_BITS or len(bounds.radicals) > MAX_DEGREE:
        raise OverBudget("a number too large to work out")
    return bounds


def _expression(node: Node, precision: int) -> Any:
    """Return the sympy expression of a tree, built by constructors: sympy reads no text."""
    import sympy

    match node:
        case Number(value):
            return sympy.Rational(value.numerator, value.denominator)
        case Pi():
            return sympy.pi
        case Negative(operand):
            return -_expression(operand, precision)
        case Root(operand):
            return _power(_expression(operand, precision), Fraction(1, 2), precision)
        case Binary("^", base, exponent_node):
            exponent = rational(exponent_node)
            assert exponent is not None, "checked when the bounds were taken"
            return _power(_expression(base, precision), exponent, precision)
        case Binary(operator, left_node, right_node):
            left, right = _expression(left_node, precision), _expression(right_node, precision)
            if operator == "/" and _vanishes(right, precision):
                raise ExpressionError("divides by zero")
            return {
                "+": lambda: left + right,
                "-": lambda: left - right,
                "*": lambda: left * right,
                "/": lambda: left / right,
            }[operator]()


def _power(base: Any, exponent: Fraction, precision: int) -> Any:
    import sympy

    if exponent <= 0 and _vanishes(base, precision):
        raise ExpressionError("0 to a power that is not positive")
    root = exponent.denominator > 1 and not _vanishes(base, precision)
    if root and not base.evalf(15, maxn=_digits(precision)) > 0:
        raise ExpressionError("a root of a negative number")
    return base ** sympy.Rational(exponent.numerator, exponent.denominator)


def _vanishes(expression: Any, precision: int) -> bool:
    """Tell whether a value is 0: whether nothing shows of it in ``precision`` bits."""
    import sympy

    if expression.is_Rational:
        return bool(expression == 0)
    value = expression.evalf(15, maxn=_digits(precision))
    return bool(abs(value) < sympy.Float(2, 15) ** -precision)


def _digits(precision: int) -> int:
    return int(precision * 0.30103) + 30
