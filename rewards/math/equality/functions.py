"""The functions that expressions may have, of numbers of any precision, and what each costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple

from bakeoff.rewards.math.equality.arbitrary import CONTEXT, is_real, magnitude
from bakeoff.rewards.math.expressions.tree import ExpressionError, OverBudget

MAX_FACTORIAL = 20_000
MAX_ANGLE_BITS = 256
MAX_GROWTH_BITS = 24


class Vanishing(ExpressionError):
    """A divisor may be zero: it takes more digits to tell."""


class Function(NamedTuple):
    """A function of a precision in bits and of values.

    Attributes:
        apply: the function.
        cost: units of the budget at 160 bits.
        grows: whether it is an exponential, whose value can be as far from 1 as e^x.
    """

    apply: Callable[..., Any]
    cost: int = 10
    grows: bool = False


def divisor(bits: int, value: Any) -> Any:
    """Return a value to divide by.

    Raises:
        Vanishing: it is zero, as far as half of the bits show.
    """
    if magnitude(value) < -(bits // 2):
        raise Vanishing("divides by zero")
    return value


def _periodic(function: Callable[[Any], Any]) -> Callable[[int, Any], Any]:
    def applied(bits: int, x: Any) -> Any:
        if magnitude(x) > MAX_ANGLE_BITS:
            raise OverBudget("an angle too large to work out")
        return function(x)

    return applied


def _growing(function: Callable[[Any], Any]) -> Callable[[int, Any], Any]:
    def applied(bits: int, x: Any) -> Any:
        if magnitude(x) > MAX_GROWTH_BITS:
            raise OverBudget("a power too large to work out")
        return function(x)

    return applied


def _logarithm(bits: int, x: Any) -> Any:
    return CONTEXT.log(divisor(bits, x))


def _rounded(function: Callable[[Any], Any]) -> Callable[[int, Any], Any]:
    def applied(bits: int, x: Any) -> Any:
        if not is_real(x, bits):
            raise ExpressionError("rounds a complex number")
        if magnitude(x) > bits // 2:
            raise OverBudget("a number too large to round")
        nearest = CONTEXT.nint(x.real)  # log_2 8 is 3, though not to the last bit
        close = magnitude(x.real - nearest) < magnitude(nearest) - 3 * bits // 4
        return nearest if close else function(x.real)

    return applied


def _factorial(bits: int, x: Any) -> Any:
    if abs(x) > MAX_FACTORIAL:
        raise OverBudget("a factorial too large to work out")
    return CONTEXT.gamma(x + 1)


def _binomial(bits: int, n: Any, k: Any) -> Any:
    if max(abs(n), abs(k)) > MAX_FACTORIAL:
        raise OverBudget("a binomial too large to work out")
    return CONTEXT.binomial(n, k)


def _of_integers(function: Callable[..., int]) -> Callable[..., Any]:
    def applied(bits: int, *values: Any) -> Any:
        if not all(CONTEXT.isint(x) and abs(x) < MAX_FACTORIAL for x in values):
            raise ExpressionError("a function of whole numbers, of something else")
        return CONTEXT.mpf(function(*(int(x) for x in values)))

    return applied


def _double_factorial(n: int) -> int:
    if n < -1:
        raise ExpressionError("the double factorial of a negative number")
    return math.prod(range(n, 0, -2))


def _modulo(bits: int, x: Any, modulus: Any) -> Any:
    quotient = _rounded(CONTEXT.floor)(bits, x / divisor(bits, modulus))
    return x - modulus * quotient


def _extreme(function: Callable[..., Any]) -> Callable[..., Any]:
    def applied(bits: int, *values: Any) -> Any:
        if not all(is_real(x, bits) for x in values):
            raise ExpressionError("compares complex numbers")
        return function(x.real for x in values)

    return applied


def _unknown(bits: int, *values: Any) -> Any:
    """Return a value for f(x): some number, the same for the same arguments."""
    key = "/".join(CONTEXT.nstr(x, bits // 5) for x in values)
    digest = blake2b(key.encode(), digest_size=8).digest()
    return CONTEXT.mpf(int.from_bytes(digest) | 1) / 2**63


def _table() -> dict[str, Function]:
    sine, cosine = _periodic(CONTEXT.sin), _periodic(CONTEXT.cos)
    table = {
        "-": Function(lambda bits, x: -x, 0),
        "%": Function(lambda bits, x: x / 100, 0),
        "°": Function(lambda bits, x: x * CONTEXT.pi / 180, 1),
        "abs": Function(lambda bits, x: abs(x), 1),
        "conj": Function(lambda bits, x: CONTEXT.conj(x), 1),
        "floor": Function(_rounded(CONTEXT.floor), 2),
        "ceil": Function(_rounded(CONTEXT.ceil), 2),
        "max": Function(_extreme(max), 1),
        "min": Function(_extreme(min), 1),
        "mod": Function(_modulo, 3),
        "gcd": Function(_of_integers(math.gcd), 2),
        "lcm": Function(_of_integers(math.lcm), 2),
        "!!": Function(_of_integers(_double_factorial), 5),
        "!": Function(_factorial, 100),  # the gamma function: 0.5 ms at 160 bits, 1 s at 2,560
        "binom": Function(_binomial, 100),
        "apply": Function(_unknown, 20),
        "sin": Function(sine),
        "cos": Function(cosine),
        "tan": Function(lambda bits, x: sine(bits, x) / divisor(bits, cosine(bits, x)), 20),
        "cot": Function(lambda bits, x: cosine(bits, x) / divisor(bits, sine(bits, x)), 20),
        "sec": Function(lambda bits, x: 1 / divisor(bits, cosine(bits, x))),
        "csc": Function(lambda bits, x: 1 / divisor(bits, sine(bits, x))),
        "exp": Function(_growing(CONTEXT.exp), 10, True),
        "ln": Function(_logarithm),
        "log": Function(
            lambda bits, x, base: _logarithm(bits, x) / divisor(bits, _logarithm(bits, base)), 20
        ),
        "arccot": Function(lambda bits, x: CONTEXT.pi / 2 - CONTEXT.atan(x)),
    }
    for name in ("sin", "cos", "tan", "cot", "sec", "csc"):
        table[f"{name}h"] = Function(_growing(getattr(CONTEXT, f"{name}h")), 10, True)
        table[f"arc{name}h"] = Function(_plain(getattr(CONTEXT, f"a{name}h")))
        table.setdefault(f"arc{name}", Function(_plain(getattr(CONTEXT, f"a{name}"))))
    return table


def _plain(function: Callable[[Any], Any]) -> Callable[[int, Any], Any]:
    return lambda bits, x: function(x)


FUNCTIONS = _table()
