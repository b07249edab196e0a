"""Has everything in an answer a value? A right answer that has none is an error in the data."""

from __future__ import annotations

from contextlib import suppress

from bakeoff.rewards.math.answers.kinds import Answer, Collection, Matrix, Relation, Value
from bakeoff.rewards.math.equality.exact import rational
from bakeoff.rewards.math.equality.values import same_value
from bakeoff.rewards.math.expressions.tree import (
    ExpressionError,
    Node,
    OverBudget,
    is_infinite_sign,
)


def has_value(answer: Answer) -> None:
    """Check that every expression in an answer has a value, whatever its variables are.

    Raises:
        ExpressionError: one has none, as 1/0.
        OverBudget: one takes too long to work out.
    """
    match answer:
        case Value(node):
            if node.head != "number" and not is_infinite_sign(node):
                _has_value(node)
        case Collection(items=items):
            for item in items:
                has_value(item)
        case Matrix(rows):
            for row in rows:
                for cell in row:
                    has_value(cell)
        case Relation(_, left, right):
            if same_value(left, right).equal:
                raise ExpressionError("a relation that says nothing")


def _has_value(node: Node) -> None:
    with suppress(OverBudget):
        if rational(node) is not None:
            return
    same_value(node, node)
