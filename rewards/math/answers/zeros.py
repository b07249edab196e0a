"""Do two equations, or inequalities, in variables say the same? They do if one is a multiple.

``2x - y + 1 = 0`` is ``y = 2x + 1``: the differences of their sides are proportional, everywhere. A
divisor that both sides were multiplied with is cleared first, so ``y = 2/x`` is ``xy = 2``.
"""

from __future__ import annotations

from bakeoff.rewards.math.answers.kinds import Relation
from bakeoff.rewards.math.equality.arbitrary import is_real, magnitude
from bakeoff.rewards.math.equality.exact import rational
from bakeoff.rewards.math.equality.numeric import value_at
from bakeoff.rewards.math.equality.values import same_value
from bakeoff.rewards.math.expressions.tree import (
    ExpressionError,
    Node,
    OverBudget,
    difference,
    number,
    substituted,
    variables,
    walk,
)

MAX_NODES = 2_000
_POINTS = ((7, 11, 13, 17, 19, 23), (3, 29, 5, 31, 37, 41), (43, 2, 47, 53, 59, 61))


def same_zeros(left: Relation, right: Relation) -> bool | None:
    """Tell whether two relations hold for the same values of their variables.

    Returns:
        ``None`` if it cannot be told. A relation that always holds is equal to none.

    Raises:
        ExpressionError: a side has no value.

    Example:
        >>> from bakeoff.rewards.math.expressions.parsing import parse
        >>> line = Relation("=", parse("y"), parse("2x+1"))
        >>> same_zeros(line, Relation("=", parse("2x-y+1"), parse("0")))
        True
        >>> same_zeros(line, Relation("=", parse("2x-y"), parse("1")))
        False
    """
    if left.sign != right.sign:
        return False
    first, second = _gap(left), _gap(right)
    names = sorted(variables(first) | variables(second))
    for coordinates in _POINTS:
        values = {name: number(coordinates[k % 6] + k // 6) for k, name in enumerate(names)}
        try:
            one, other = substituted(first, values), substituted(second, values)
            sign = _sign(one) * _sign(other)
        except ExpressionError:
            continue
        if sign == 0 or (sign < 0 and left.sign in ("<", "le")):
            continue
        return same_value(Node("*", (first, other)), Node("*", (second, one))).equal
    return False


def _gap(relation: Relation) -> Node:
    """Return what is compared with 0; of an equation the numerator alone."""
    gap = difference(relation.left, relation.right)
    return _fraction(gap)[0] if relation.sign == "=" else gap


def _fraction(node: Node) -> tuple[Node, Node]:
    """Return numerator and denominator of an expression, where variables are divided by.

    Raises:
        OverBudget: the numerator grows too long, as that of a continued fraction does.
    """
    above, below = _unlimited_fraction(node)
    for k, _ in enumerate(walk(above)):
        if k > MAX_NODES:
            raise OverBudget("fractions in fractions, too many to clear")
    return above, below


def _unlimited_fraction(node: Node) -> tuple[Node, Node]:
    one = number(1)
    if node.head == "-":
        above, below = _fraction(node.args[0])
        return Node("-", (above,)), below
    if node.head == "/" and variables(node.args[1]):
        (a, b), (c, d) = map(_fraction, node.args)
        return Node("*", (a, d)), Node("*", (b, c))
    if node.head in ("+", "*"):
        above, below = _fraction(node.args[0])
        for part in node.args[1:]:
            a, b = _fraction(part)
            if node.head == "*":
                above, below = Node("*", (above, a)), Node("*", (below, b))
            elif b == below:
                above = Node("+", (above, a))
            else:
                above = Node("+", (Node("*", (above, b)), Node("*", (a, below))))
                below = Node("*", (below, b))
        return above, below
    return node, one


def _sign(node: Node) -> int:
    """Return the sign of a constant; 0 also if it is not real."""
    value = rational(node)
    if value is not None:
        return (value > 0) - (value < 0)
    found = value_at(node, {}, 128)
    if not is_real(found, 128) or magnitude(found) < -64:
        return 0
    return 1 if found.real > 0 else -1
