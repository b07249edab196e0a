"""Sets of real numbers as unions of intervals, in a normal form: sorted, merged, never empty.

End points are expressions; they are ordered by their numerical values. Those with variables in them
keep the order in which they are written.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from bakeoff.rewards.math.answers.kinds import (
    INFINITY,
    MINUS_INFINITY,
    Answer,
    Collection,
    Interval,
    Region,
    Value,
    point,
)
from bakeoff.rewards.math.equality.arbitrary import LOCK, is_real
from bakeoff.rewards.math.equality.exact import rational
from bakeoff.rewards.math.equality.numeric import value_at
from bakeoff.rewards.math.equality.values import same_value
from bakeoff.rewards.math.expressions.tree import (
    ExpressionError,
    Node,
    ParseError,
    difference,
    variables,
)

_BITS = 128


def as_region(answer: Answer) -> Region | None:
    """Return the region that an answer can also mean: (0, 1) an interval, {1, 2} two points."""
    match answer:
        case Region():
            return answer
        case Collection("tuple", (Value(low, one), Value(high, other))):
            interval = normal([Interval(low, high, False, False, (one, other))])
            return Region(interval) if interval else None
        case Collection("set", items) if all(isinstance(item, Value) for item in items):
            return Region(normal([point(item.node) for item in items if isinstance(item, Value)]))
    return None


def united(answers: Sequence[Answer], signs: Sequence[str]) -> Region:
    r"""Return the union ("cup"), intersection ("cap") or difference ("setminus") of sets.

    Raises:
        ParseError: they are no sets of real numbers, or about two variables.
    """
    regions = [as_region(answer) for answer in answers]
    found = _combined([region for region in regions if region is not None], signs)
    if found is None or None in regions:
        raise ParseError("a union of what is no set")
    return found


def connected(answers: Sequence[Answer], sign: str) -> Region | None:
    """Return the region that inequalities joined by "or" (cup) or "and" (cap) are.

    Returns:
        ``None`` for anything else, such as a list of values. Intervals without a variable are meant
        together, whichever word joins them.
    """
    regions = [answer for answer in answers if isinstance(answer, Region)]
    if len(regions) < len(answers):
        return None
    named = any(region.name for region in regions)
    return _combined(regions, [sign if named else "cup"] * (len(regions) - 1))


def _combined(regions: Sequence[Region], signs: Sequence[str]) -> Region | None:
    names = {region.name for region in regions if region.name}
    if len(names) > 1 or len(signs) + 1 != len(regions):
        return None
    total = regions[0].intervals
    for sign, region in zip(signs, regions[1:], strict=True):
        if sign == "cup":
            total = normal([*total, *region.intervals])
        else:
            other = region.intervals if sign == "cap" else complement(region.intervals)
            total = normal([_common(one, two) for one in total for two in other])
    return Region(total, *names)


def normal(intervals: Sequence[Interval | None]) -> tuple[Interval, ...]:
    """Return the same set as sorted intervals that do not touch.

    Example:
        >>> from bakeoff.rewards.math.expressions.tree import number
        >>> one, two, three = map(number, (1, 2, 3))
        >>> len(normal([Interval(two, three, True, True), Interval(one, two, False, False)]))
        1
    """
    found = [one for one in intervals if one is not None]
    if any(variables(one.low) | variables(one.high) for one in found):
        return tuple(found)
    found.sort(key=lambda one: (order(one.low), not one.low_closed))
    merged: list[Interval] = []
    for one in found:
        gap = _compared(one.low, one.high)
        if gap > 0 or (gap == 0 and not (one.low_closed and one.high_closed)):
            continue
        if merged and _touch(merged[-1], one):
            last = merged[-1]
            side = _compared(last.high, one.high)
            closed = (side <= 0 and one.high_closed) or (side >= 0 and last.high_closed)
            further = one if side < 0 else last
            digits = (last.digits[0], further.digits[1])
            merged[-1] = Interval(last.low, further.high, last.low_closed, closed, digits)
        else:
            merged.append(one)
    return tuple(merged)


def complement(intervals: Sequence[Interval]) -> tuple[Interval, ...]:
    """Return the real numbers that are in none of the intervals."""
    low, closed = MINUS_INFINITY, False
    found = []
    for one in normal(intervals):
        found.append(Interval(low, one.low, closed, not one.low_closed))
        low, closed = one.high, not one.high_closed
    found.append(Interval(low, INFINITY, closed, False))
    return normal(found)


def order(node: Node) -> float:
    """Return the place of an end point on the line.

    Raises:
        ExpressionError: it is no real number.
    """
    if node == INFINITY:
        return math.inf
    if node == MINUS_INFINITY:
        return -math.inf
    exact = rational(node)
    try:
        if exact is not None:
            return float(exact)
        value = value_at(node, {}, _BITS)
        if not is_real(value, _BITS):
            raise ExpressionError("an end point that is not real")
        return float(value.real)
    except OverflowError:  # two such values are compared exactly
        return sys.float_info.max if exact is None or exact > 0 else -sys.float_info.max


def _compared(left: Node, right: Node) -> int:
    first, second = order(left), order(right)
    if left == right or not math.isclose(first, second, rel_tol=1e-12):
        return (first > second) - (first < second)
    if same_value(left, right).equal:
        return 0
    with LOCK:
        return -1 if value_at(difference(left, right), {}, 1024).real < 0 else 1


def _touch(left: Interval, right: Interval) -> bool:
    side = _compared(right.low, left.high)
    return side < 0 or (side == 0 and (left.high_closed or right.low_closed))


def _common(left: Interval, right: Interval) -> Interval | None:
    """Return what two intervals have in common."""
    side = _compared(left.low, right.low)
    low = left if side > 0 else right
    low_closed = (left.low_closed and right.low_closed) if side == 0 else low.low_closed
    side = _compared(left.high, right.high)
    high = left if side < 0 else right
    high_closed = (left.high_closed and right.high_closed) if side == 0 else high.high_closed
    if _compared(low.low, high.high) > 0:
        return None
    return Interval(low.low, high.high, low_closed, high_closed)
