"""Have two expressions the same value, whatever their variables are?

Exact rationals first, then rational functions modulo a prime, then values at points drawn by the
variables' names, to as many digits as a difference needs to show. What still cannot be told goes to
sympy, in another process.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from bakeoff.rewards.math.equality.budget import one_budget
from bakeoff.rewards.math.equality.exact import rational
from bakeoff.rewards.math.equality.modular import residues
from bakeoff.rewards.math.equality.numeric import (
    LOCK,
    Vanishing,
    is_real,
    magnitude,
    value_at,
    with_noise,
)
from bakeoff.rewards.math.equality.separation import separation_bits
from bakeoff.rewards.math.equality.symbolic import decided_by_sympy
from bakeoff.rewards.math.expressions.tree import (
    ExpressionError,
    Node,
    OverBudget,
    difference,
    variables,
    walk,
)

MAX_PRECISION = 8_192  # bits
LARGEST_WITH_VARIABLES = 2_048  # where other points are to be had
LEAST_PRECISION = 160
_BANDS = (  # where the variables lie, whether their signs alternate, and whether they are whole
    (1.0, 2.0, False, False),
    (0.1, 0.9, False, False),
    (-0.9, -0.1, False, False),
    (3.0, 7.0, False, False),
    (-5.0, -2.0, False, False),
    (0.1, 3.0, True, False),
    (1e4, 1e6, False, False),
    (-1e6, -1e4, False, False),
    (20.0, 40.0, False, False),
    (3.0, 9.0, False, True),
    (2.0, 20.0, False, True),
    (5.0, 12.0, False, True),
)
_ALWAYS = 8  # bands that are looked at even if the first ones agree


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
    one, other = residues(left), residues(right)
    if one.is_rational and other.is_rational:
        return Equality(one.values == other.values, "modular")
    if one.values == other.values:
        _check_defined(right)
        return Equality(True, "modular")
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
    for values in _points(sorted(variables(node))):
        bits = LEAST_PRECISION
        while bits <= MAX_PRECISION:
            try:
                value_at(node, values, bits)
                return
            except Vanishing as error:
                failure, bits = error, 4 * bits
            except ExpressionError as error:
                failure = error
                break
    if failure is not None:
        raise failure


def _same_at_points(left: Node, right: Node) -> bool | None:
    real, unreal, unclear = 0, [], False
    names = sorted(variables(left) | variables(right))
    failure: ExpressionError | None = None
    rounds = any(part.head in ("floor", "ceil") for side in (left, right) for part in walk(side))
    for band, values in enumerate(_points(names)):
        if real >= 3 and band >= _ALWAYS and not (rounds and _BANDS[band][3]):
            if rounds:
                continue
            break
        try:
            equal, both_real = _same_at(left, right, values)
        except ExpressionError as error:  # not defined here
            failure = error
            continue
        if equal is None:
            unclear = True
            continue
        if both_real or not names:
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


def _points(names: list[str]) -> Iterator[dict[str, Fraction]]:
    """Yield the values of the variables to compare at: a constant has one point."""
    for band, (low, high, signs, whole) in enumerate(_BANDS if names else _BANDS[:1]):
        values = {}
        for k, name in enumerate(names):
            drawn = random.Random(f"point/{band}/{name}")
            if whole:
                values[name] = Fraction(drawn.randint(int(low), int(high)))
                continue
            value = Fraction(int(drawn.uniform(low, high) * 4096) * 2 + 1, 8192)
            values[name] = -value if signs and k % 2 == 0 else value
        yield values


def _same_at(left: Node, right: Node, values: dict[str, Fraction]) -> tuple[bool | None, bool]:
    """Compare at one point; return whether equal, and whether both values are real.

    Where they agree in all digits that are looked at, and no theorem says that these are enough,
    the first is ``None``.

    Raises:
        OverBudget: they differ by no more than what may be wrong in them, at any precision.
    """
    agree = False
    needed, proven = separation_bits(difference(left, right), values)
    bits = max(LEAST_PRECISION, min(needed + 64, 512))
    most = LARGEST_WITH_VARIABLES if values else MAX_PRECISION
    while bits <= most:
        try:
            first, noise = with_noise(left, values, bits)
            second, other_noise = with_noise(right, values, bits)
        except Vanishing:
            bits *= 4
            if bits > most:
                raise
            continue
        real = is_real(first, bits) and is_real(second, bits)
        gap = _gap(first, second)
        size = max(magnitude(first), magnitude(second), 0)
        slack = 0 if proven else size  # without a theorem, digits of the value are what counts
        if gap < slack - needed and bits >= needed + size - slack + 32:
            return True, real
        finer = bits + 64
        refined = value_at(left, values, finer), value_at(right, values, finer)
        noise = max(noise, other_noise)
        agree = gap < min(noise, size - bits // 2)
        if gap > noise and _stable(first, second, refined):
            return False, real
        bits = max(2 * bits, min(max(needed + size, noise + bits) + 64, MAX_PRECISION))
    if agree:
        return None, True
    raise OverBudget("takes too many digits to work out")


def _gap(first: Any, second: Any) -> int:
    with LOCK:
        return magnitude(first - second)


def _stable(first: Any, second: Any, refined: tuple[Any, Any]) -> bool:
    """Tell whether a difference is the same to three digits at a higher precision: no noise."""
    with LOCK:
        coarse, fine = first - second, refined[0] - refined[1]
        return magnitude(coarse - fine) < magnitude(fine) - 10
