"""Derivatives with respect to x: powers, sine, cosine and the exponential, in four levels.

No function that is asked for is its own derivative, nor is any its derivative divided by or times
x, so that neither the function nor "d/dx" before it, read as a fraction, is ever right.
"""

from __future__ import annotations

import random

from bakeoff.envs.math.family import Family, Levels, Question
from bakeoff.envs.math.notation import joined, monomial, nonzero, polynomial, power
from bakeoff.rewards.math import same_value

_SMALL = nonzero(range(-5, 6))
_WIDE = nonzero(range(-12, 13))
_WAVES = {"sin": ("cos", 1), "cos": ("sin", -1)}  # the derivative, and its sign


def _short_polynomial(rng: random.Random) -> Question:
    return _polynomial(rng, degree=rng.choice([2, 3]), coefficients=range(-5, 6))


def _long_polynomial(rng: random.Random) -> Question:
    return _polynomial(rng, degree=rng.choice([4, 5, 6]), coefficients=range(-9, 10))


def _polynomial(rng: random.Random, *, degree: int, coefficients: range) -> Question:
    """Ask about a polynomial: a leading term, and two others that may be the same or 0."""
    function = [0] * degree + [rng.choice(nonzero(coefficients))]
    for n in (rng.randrange(degree), rng.randrange(degree)):
        function[n] = rng.choice(coefficients)
    derivative = [n * c for n, c in enumerate(function)][1:]
    steps = (
        f"{monomial(c, power(n))} gives {monomial(n * c, power(n - 1)) if n else 0}"
        for n, c in reversed(list(enumerate(function)))
        if c
    )
    return _asked(polynomial(function), polynomial(derivative), ", ".join(steps))


def _product(rng: random.Random) -> Question:
    degree, factor = rng.randrange(1, 9), rng.choice(_WIDE)
    name = rng.choice([*_WAVES, "exp"])
    before, after = monomial(factor, power(degree)), monomial(factor * degree, power(degree - 1))
    if name == "exp":
        outer, slope, sign = "e^x", "e^x", 1
    else:
        outer, (wave, sign) = f"{name}(x)", _WAVES[name]
        slope = f"{wave}(x)"
    derivative = joined([_times(after, outer), f"{monomial(sign * factor, power(degree))} {slope}"])
    return _asked(
        f"{before} {outer}",
        derivative,
        f"{before} gives {after}, {outer} gives {'-' if sign < 0 else ''}{slope}",
    )


def _chain(rng: random.Random) -> Question:
    """Ask about a function of ax + b or ax^2 + b."""
    degree, a = rng.choice([1, 2]), rng.randrange(2, 6)
    inner = joined([monomial(a, power(degree)), str(rng.choice([*_SMALL, 0]))])
    slope = monomial(a * degree, power(degree - 1))
    kind = rng.choice([*_WAVES, "exp", "power"])
    if kind == "power":
        exponent = rng.randrange(3, 7)
        factor = monomial(exponent * a * degree, power(degree - 1))
        function, derivative = f"({inner})^{exponent}", f"{factor} ({inner})^{exponent - 1}"
    elif kind == "exp":
        function, derivative = f"e^({inner})", f"{slope} e^({inner})"
    else:
        wave, sign = _WAVES[kind]
        factor = monomial(sign * a * degree, power(degree - 1))
        function, derivative = f"{kind}({inner})", f"{factor} {wave}({inner})"
    return _asked(function, derivative, f"{inner} gives {slope}")


def _times(factor: str, function: str) -> str:
    return {"1": "", "-1": "-"}.get(factor, f"{factor} ") + function


def _asked(function: str, derivative: str, working: str) -> Question:
    text = f"What is the derivative of {function} with respect to x?"
    return Question(text, function, derivative, working)


LEVELS: Levels = {1: _short_polynomial, 2: _long_polynomial, 3: _product, 4: _chain}


class Derivatives(Family):
    r"""What is the derivative of x^2 sin(x) with respect to x? Powers, sine, cosine, exp.

    Args:
        level: 1 asks polynomials of degree 2 or 3; 2 of degree 4 to 6, both of at most three
            terms; 3 a power of x times sin(x), cos(x) or e^x; 4 the chain rule: sin, cos, e^ or a
            power of ax + b or ax^2 + b.
        format_weight: what an answer in ``\boxed{}`` is worth, right or wrong; 0 to 1.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split, or a weight out of its range.

    Example:
        >>> env = Derivatives(level=4)
        >>> item = env.item(0)
        >>> env.score(item, item.gold).value
        1.0
    """

    id = "bakeoff/Derivatives-v0"
    levels = LEVELS
    judge = same_value
