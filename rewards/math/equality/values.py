"""Have two expressions the same value, whatever their variables are?

Exact rationals first, then values modulo a prime, then values at points drawn by the variables'
names, to as many digits as a difference needs to show. What still cannot be told goes to sympy, in
another process.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

from bakeoff.rewards.math.equality.arbitrary import LOCK, NOTHING, gap, is_real, magnitude
from bakeoff.rewards.math.equality.budget import BudgetSpent, one_budget
from bakeoff.rewards.math.equality.exact import rational
from bakeoff.rewards.math.equality.functions import Vanishing
from bakeoff.rewards.math.equality.modular import congruent
from bakeoff.rewards.math.equality.numeric import Measured, measured, value_at
from bakeoff.rewards.math.equality.points import points
from bakeoff.rewards.math.equality.separation import separation_bits
from bakeoff.rewards.math.equality.symbolic import decided_by_sympy
from bakeoff.rewards.math.expressions.tree import ExpressionError, Node, OverBudget, difference

MAX_PRECISION = 8_192  # bits
LARGEST_WITH_VARIABLES = 2_560  # where other points are to be had
LEAST_PRECISION = 160


class Equality(NamedTuple):
    """Whether two values are equal (``None``: cannot tell), and which tier said so."""

    equal: bool | None
    tier: str


def same_value(left: Node, right: Node) -> Equality:
    r"""Tell whether two expressions have the same value.

    Where both are real they must agree, at negative values of the variables too; a point where one
    of them is not defined, or not real, does not count, unless there is no other.

    Raises:
        ExpressionError: one of them has no value, as 1/0.
        OverBudget: one of them takes too long to work out.

    Example:
        >>> from bakeoff.rewards.math.expressions.parsing import parse
        >>> same_value(parse("1/sqrt(2)"), parse("sqrt(2)/2"))
        Equality(equal=True, tier='numeric')
        >>> same_value(parse("(1+sqrt(2))/3"), parse("sqrt(2)/3 + 1/3"))
        Equality(equal=True, tier='modular')
        >>> same_value(parse("|x|"), parse("x")).equal, same_value(parse("0.5"), parse("1/2"))
        (False, Equality(equal=True, tier='exact'))
    """
    with one_budget():
        return _same_value(left, right)


def _same_value(left: Node, right: Node) -> Equality:
    try:
        left_value, right_value = rational(left), rational(right)
        if left_value is not None and right_value is not None:
            return Equality(left_value == right_value, "exact")
    except OverBudget:
        pass
    congruence = congruent(left, right)
    if congruence.equal is not None:
        if congruence.equal and congruence.has_functions:
            _check_defined(right)
        return Equality(congruence.equal, "modular")
    equal = _same_at_points(left, right)
    if equal is not None:
        return Equality(equal, "numeric")
    return Equality(decided_by_sympy(left, right), "symbolic")


def _check_defined(node: Node) -> None:
    """Check that an expression has a value somewhere.

    Raises:
        ExpressionError: it has none at any of the points.
    """
    failure: ExpressionError | None = None
    for point in points(node, node):
        bits = LEAST_PRECISION
        while bits <= LARGEST_WITH_VARIABLES:
            try:
                value_at(node, point.values, bits)
                return
            except BudgetSpent:
                raise
            except Vanishing as error:
                failure, bits = error, 4 * bits
            except ExpressionError as error:
                failure = error
                break
    if failure is not None:
        raise failure


def _same_at_points(left: Node, right: Node) -> bool | None:
    real, unreal, unclear = 0, [], False
    failure: ExpressionError | None = None
    for point in points(left, right):
        if real >= 3 and not point.always:
            continue
        try:
            equal, both_real = _same_at(left, right, point.values)
        except BudgetSpent:
            raise
        except ExpressionError as error:  # not defined here
            failure = error
            continue
        if equal is None:
            unclear = True
        elif both_real or not point.values:
            if not equal:
                return False
            real += 1
        else:
            unreal.append(equal)
    if real:
        return True
    if failure is not None and not unreal and not unclear:
        raise failure
    return all(unreal) if unreal else None


def _same_at(left: Node, right: Node, values: dict[str, Fraction]) -> tuple[bool | None, bool]:
    """Compare at one point; return whether equal, and whether both values are real.

    Where they agree in all digits that are looked at, and it takes more to be sure, the first is
    ``None``.

    Raises:
        OverBudget: it takes more digits than the budgets allow to tell them apart.
    """
    most = LARGEST_WITH_VARIABLES if values else MAX_PRECISION
    proven = separation_bits(difference(left, right), values)
    bits, agree = LEAST_PRECISION, False
    while bits <= most:
        try:
            first, second = measured(left, values, bits), measured(right, values, bits)
        except Vanishing:
            bits *= 4
            if bits > most:
                raise
            continue
        real = is_real(first.value, bits) and is_real(second.value, bits)
        apart = gap(first.value, second.value)
        noise = max(first.noise, second.noise)
        size = max(magnitude(first.value), magnitude(second.value))
        needed, floor = _needed(first, second, proven, size)
        if apart < floor and bits >= needed:
            return True, real
        agree = apart <= max(noise, size - bits + 32)
        finer = bits + 64
        refined = measured(left, values, finer).value, measured(right, values, finer).value
        if apart > noise and _stable(first.value, second.value, *refined):
            return False, real
        if 2 * max(first.span, second.span) > most:
            raise OverBudget("takes too many digits to work out")
        bits = most if bits < most < needed else max(2 * bits, needed)
    if agree:
        return None, True
    raise OverBudget("takes too many digits to work out")


def _needed(first: Measured, second: Measured, proven: int | None, size: int) -> tuple[int, int]:
    """Return the bits it takes to be sure, and the exponent below which a difference is none.

    With a theorem a difference that is not 0 is at least 2**-proven. Without one, two values that
    are not equal are taken to differ in a digit that the largest and the smallest values on the
    way let expect.
    """
    largest = max(first.noise, second.noise, 0)
    if proven is not None:
        return proven + max(size, 0) + 32, -proven
    span = 2 * max(first.span, second.span) + 96
    both = min(magnitude(first.value), magnitude(second.value))
    return span + 64 + largest, (size if both != NOTHING else 0) - span


def _stable(first: Any, second: Any, finer: Any, other_finer: Any) -> bool:
    """Tell whether a difference is the same to three digits at a higher precision: no noise."""
    with LOCK:
        coarse, fine = first - second, finer - other_finer
        return magnitude(coarse - fine) < magnitude(fine) - 10
