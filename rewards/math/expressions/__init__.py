"""From text to trees: spelling, tokens, numbers, operands and operators."""

from bakeoff.rewards.math.expressions.parsing import parse
from bakeoff.rewards.math.expressions.tree import ExpressionError, Node, OverBudget, ParseError

__all__ = ["ExpressionError", "Node", "OverBudget", "ParseError", "parse"]
