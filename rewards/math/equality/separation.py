"""How many digits tell an expression over roots from zero: the bound of Burnikel and others.

An expression E over integers with + - * / and roots is 0, or

    |E| >= 1 / (u(E)**(D - 1) * l(E))

with u and l bounds that follow E's structure and D the product of the degrees of its roots
(Burnikel, Funke, Mehlhorn, Schirra and Schmitt, https://doi.org/10.1007/s00453-007-9132-4). With
other functions in it there is no such theorem.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

from bakeoff.rewards.math.equality.exact import rational
from bakeoff.rewards.math.expressions.tree import ExpressionError, Node

MAX_DEGREE = 12  # of one root
MAX_BITS = 1 << 20


class _Bounds(NamedTuple):
    """Base-2 logarithms of u and l, and the radicals below the expression."""

    u: int
    l: int  # noqa: E741 (the paper's name)
    radicals: frozenset[tuple[Node, int]]


class _NoTheorem(Exception):
    """The expression is not one over integers and roots."""


def separation_bits(node: Node, values: dict[str, Fraction]) -> int | None:
    """Return the bits after the point in which a value other than 0 shows, if a theorem says so.

    Args:
        node: the expression.
        values: what its variables are.

    Example:
        >>> from bakeoff.rewards.math.expressions.parsing import parse
        >>> separation_bits(parse("sqrt(2) + sqrt(3) - sqrt(5 + 2sqrt(6))"), {})
        124
    """
    try:
        bounds = _bounds(node, values)
        degree = math.prod(order for _, order in bounds.radicals)
        return (degree - 1) * bounds.u + bounds.l + 64
    except _NoTheorem:
        return None


def _bounds(node: Node, values: dict[str, Fraction]) -> _Bounds:
    match node.head:
        case "number":
            return _of_value(node.value)  # type: ignore[arg-type]
        case "symbol" if node.value in values:
            return _of_value(values[str(node.value)])
        case "-" | "abs":
            return _bounds(node.args[0], values)
        case "/":
            below = _bounds(node.args[1], values)
            return _product(_bounds(node.args[0], values), below._replace(u=below.l, l=below.u))
        case "*":
            bounds = [_bounds(part, values) for part in node.args]
            product = bounds[0]
            for bound in bounds[1:]:
                product = _product(product, bound)
            return product
        case "+":
            bounds = [_bounds(part, values) for part in node.args]
            total = bounds[0]
            for bound in bounds[1:]:
                u = max(total.u + bound.l, bound.u + total.l) + 1
                total = _checked(u, total.l + bound.l, total.radicals | bound.radicals)
            return total
        case "root" | "^":
            exponent = _value(node.args[1])
            if node.head == "root":
                exponent = None if not exponent else 1 / exponent
            if exponent is None:
                raise _NoTheorem
            return _power(node.args[0], exponent, values)
    value = _value(node)
    if value is None:
        raise _NoTheorem
    return _of_value(value)


def _value(node: Node) -> Fraction | None:
    try:
        return rational(node)
    except ExpressionError:
        return None


def _of_value(value: Fraction) -> _Bounds:
    l = value.denominator.bit_length() if value.denominator > 1 else 0  # noqa: E741
    return _Bounds(value.numerator.bit_length(), l, frozenset())


def _product(left: _Bounds, right: _Bounds) -> _Bounds:
    return _checked(left.u + right.u, left.l + right.l, left.radicals | right.radicals)


def _power(base_node: Node, exponent: Fraction, values: dict[str, Fraction]) -> _Bounds:
    base = _bounds(base_node, values)
    if exponent < 0:
        base = base._replace(u=base.l, l=base.u)
    times, order = abs(exponent.numerator), exponent.denominator
    if order > MAX_DEGREE:
        raise _NoTheorem
    if order > 1:  # the root of U/L is the root of U L**(order - 1), over L
        u = -(-(base.u + (order - 1) * base.l) // order)
        base = base._replace(u=u, radicals=base.radicals | {(base_node, order)})
    return _checked(base.u * times, base.l * times, base.radicals)


def _checked(u: int, l: int, radicals: frozenset[tuple[Node, int]]) -> _Bounds:  # noqa: E741
    if u + l > MAX_BITS or len(radicals) > MAX_DEGREE:
        raise _NoTheorem
    return _Bounds(u, l, radicals)
