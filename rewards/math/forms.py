"""Which form an answer must have besides its value: "value" (any), "result", or "expanded".

A question that asks for a calculation would otherwise be answered by the calculation itself.
"""

from __future__ import annotations

import math
from fractions import Fraction

from bakeoff.rewards.math.answers.kinds import Answer, Collection, Matrix, Value
from bakeoff.rewards.math.expressions.tree import Node, number, variables, walk

FORMS = ("value", "result", "expanded")


def has_form(answer: Answer, form: str) -> bool:
    """Tell whether an answer has a form, all of its parts included.

    Example:
        >>> from bakeoff.rewards.math.answers.reading import read
        >>> [has_form(read(text), "result") for text in ("-85", "7/12", "47+38", "84/7", "12/1")]
        [True, True, False, False, False]
        >>> [has_form(read(text), "expanded") for text in ("x^2+2x+1", "(x+1)^2", "x(x+2)+1")]
        [True, False, False]
    """
    if form == "value":
        return True
    match answer:
        case Value(node):
            return _is_result(node) if form == "result" else _is_expanded(node)
        case Collection(items=items):
            return all(has_form(item, form) for item in items)
        case Matrix(rows):
            return all(has_form(cell, form) for row in rows for cell in row)
    return False


def _is_result(node: Node) -> bool:
    """Tell whether this is a number written out, or a fraction in lowest terms."""
    if node.head in ("-", "%"):
        node = node.args[0]
    if node.head == "number":
        return True
    if node.head == "+":  # a mixed number
        return len(node.args) == 2 and node.args[0].head == "number" and _is_fraction(node.args[1])
    return _is_fraction(node)


def _is_fraction(node: Node) -> bool:
    if node.head != "/":
        return False
    above, below = node.args
    if above.head == "-":
        above = above.args[0]
    if above.head != "number" or below.head != "number":
        return False
    top, bottom = Fraction(above.value or 0), Fraction(below.value or 0)
    whole = top.denominator == bottom.denominator == 1
    return whole and bottom > 1 and math.gcd(top.numerator, bottom.numerator) == 1


def _is_expanded(node: Node) -> bool:
    """Tell whether this is a sum of monomials, no two of them alike."""
    terms = node.args if node.head == "+" else (node,)
    monomials = [_monomial(term.args[0] if term.head == "-" else term) for term in terms]
    return None not in monomials and len(set(monomials)) == len(monomials)


def _monomial(term: Node) -> frozenset[Node] | None:
    """Return the variable factors of a term, or ``None`` if it is a product or power of sums."""
    if any(part.head in ("+", "root") for part in walk(term)):
        return None
    factors = term.args if term.head == "*" else (term,)
    constants = [factor for factor in factors if not variables(factor)]
    powers = frozenset(factor for factor in factors if variables(factor))
    bases = [factor.args[0] if factor.head == "^" else factor for factor in powers]
    if len(constants) > 1 or len(set(bases)) < len(factors) - len(constants):
        return None
    if any(factor.head not in ("symbol", "^", "/") for factor in powers):
        return None
    if constants and not (_is_result(constants[0]) and constants[0] != number(0)):
        return None if powers else frozenset()
    return powers
