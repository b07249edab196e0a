"""Powers of powers modulo a whole number, however tall: 9^(9^(9^9)) is never worked out.

By Euler's theorem b^e = b^(e mod phi + phi) modulo m for every e of at least log2(m), so a tower of
exponents is reduced from the top with the totient of the totient and so on.
"""

from __future__ import annotations

import functools
from fractions import Fraction

from bakeoff.rewards.math.expressions.tree import Node, OverBudget

MAX_EXPONENT_BITS = 4_096  # of an exponent that is used as it is


def tower(node: Node, modulus: int) -> int:
    """Return a number that an exponent may be replaced by, where powers repeat with the modulus.

    Args:
        node: an expression of whole numbers, +, * and ^, too large to work out.
        modulus: a multiple of the order of every base.

    Raises:
        OverBudget: there is something else in the expression.

    Example:
        >>> nine = Node("number", (), Fraction(9))
        >>> huge = Node("^", (nine, Node("^", (nine, nine))))
        >>> pow(2, tower(huge, 100), 101) == pow(2, pow(9, 9**9, 100), 101)
        True
    """
    small = _small(node)
    if small is not None:
        return small
    if node.head in ("+", "*"):
        total = 0 if node.head == "+" else 1
        for part in node.args:
            value = tower(part, modulus)
            total = total + value if node.head == "+" else total * value
        return total % modulus + modulus
    if node.head == "^":
        order = totient(modulus)
        base, exponent = tower(node.args[0], modulus), tower(node.args[1], order)
        return pow(base, exponent, modulus) + modulus
    raise OverBudget("a power too large to work out")


def _small(node: Node) -> int | None:
    """Return the value of a whole number, or of a power that is not large; None of anything else.

    Raises:
        OverBudget: a number that is not whole, or not positive.
    """
    if node.head == "number":
        value = Fraction(node.value or 0)
        if value.denominator != 1 or value < 1:
            raise OverBudget("a power too large to work out")
        return int(value)
    if node.head == "^":
        base, exponent = _small(node.args[0]), _small(node.args[1])
        if base and exponent and base.bit_length() * exponent <= MAX_EXPONENT_BITS:
            return int(base**exponent)
    return None


@functools.cache
def totient(number: int) -> int:
    """Return how many of the numbers up to this one have no divisor in common with it.

    Example:
        >>> totient(10), totient(97)
        (4, 96)
    """
    rest, found, divisor = number, number, 2
    while divisor * divisor <= rest:
        if rest % divisor == 0:
            found -= found // divisor
            while rest % divisor == 0:
                rest //= divisor
        divisor += 1
    return found - found // rest if rest > 1 else found
