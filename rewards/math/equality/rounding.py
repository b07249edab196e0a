"""When a rounded decimal counts: it agrees with the other side to at least six significant digits.

An exact value that a decimal can give in full is not to be rounded: 12.000001 is not 12. Of two
decimals the shorter one must be the other, rounded.
"""

from __future__ import annotations

import math
from fractions import Fraction

from bakeoff.rewards.math.equality.arbitrary import is_real
from bakeoff.rewards.math.equality.exact import rational
from bakeoff.rewards.math.equality.numeric import value_at
from bakeoff.rewards.math.expressions.tree import Node, variables

SIGNIFICANT = 6
_BITS = 256
_SCALE = 2**200


def rounds_to(exact: Node, decimal: Node, digits: int, *, exact_digits: int = 0) -> bool:
    """Tell whether a decimal of so many significant digits is a value, rounded.

    Args:
        exact: the other value.
        decimal: the decimal, signed, per cent or with a unit's factor.
        digits: its significant digits, as written.
        exact_digits: significant digits of the other value, if it is a decimal too.

    Raises:
        ExpressionError: the exact value has none.

    Example:
        >>> from bakeoff.rewards.math.expressions.parsing import parse
        >>> third, pi = parse("1/3"), parse("pi")
        >>> rounds_to(third, parse("0.333333"), 6), rounds_to(third, parse("0.3333"), 4)
        (True, False)
        >>> rounds_to(pi, parse("3.14159265"), 9), rounds_to(parse("12"), parse("12.000001"), 8)
        (True, False)
    """
    if digits < SIGNIFICANT or variables(exact):
        return False
    other, value = rational(exact), rational(decimal)
    if value is None or value == 0:
        return False
    ends = other is not None and _ends(other)
    if other is None:
        number = value_at(exact, {}, _BITS)
        if not is_real(number, _BITS):
            return False
        other = Fraction(int(number.real * _SCALE), _SCALE)
    if ends:
        shorter = exact_digits == 0 or digits < exact_digits
        return shorter and other.denominator > 1 and _agree(other, value, digits)
    return _agree(other, value, SIGNIFICANT)


def _ends(value: Fraction) -> bool:
    """Tell whether a decimal can give a value in full."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _agree(left: Fraction, right: Fraction, digits: int) -> bool:
    """Tell whether two values are the same when rounded, or cut, to so many significant digits."""
    if left == 0 or (left > 0) != (right > 0):
        return False
    left, right = abs(left), abs(right)
    place = _leading_place(right)
    if _leading_place(left) != place and abs(left - right) > right / 10**SIGNIFICANT:
        return False
    scale = Fraction(10) ** (digits - 1 - place)
    first, second = left * scale, right * scale
    return round(first) == round(second) or math.floor(first) == math.floor(second)


def _leading_place(value: Fraction) -> int:
    """Return the power of ten of the first significant digit."""
    bits = value.numerator.bit_length() - value.denominator.bit_length()
    place = math.floor(bits * math.log10(2)) + 1
    while value < Fraction(10) ** place:
        place -= 1
    return place
