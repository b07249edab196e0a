"""Polynomials: expand products and collect like terms, in four levels."""

from __future__ import annotations

import random
from collections.abc import Sequence

from bakeoff.envs.math.family import Family, Levels, Question
from bakeoff.envs.math.notation import joined, monomial, nonzero, polynomial, power
from bakeoff.rewards.math import expanded

Polynomial = Sequence[int]  # polynomial[n] is the coefficient of x^n

_SMALL = nonzero(range(-5, 6))
_WIDE = nonzero(range(-12, 13))


def _brackets(rng: random.Random) -> Question:
    while True:
        a, d = rng.randrange(2, 6), rng.choice([n for n in _SMALL if abs(n) > 1])
        left, right = _linear(rng, [1, 2, 3]), _linear(rng, [1, 2, 3])
        total = [a * p + d * q for p, q in zip(left, right, strict=True)]
        if all(total) and left != right:
            break
    products = [f"{a}({polynomial(left)})", f"{d}({polynomial(right)})"]
    steps = [monomial(k * p[n], power(n)) for k, p in ((a, left), (d, right)) for n in (1, 0)]
    return _expand(joined(products), " + ".join(sorted(products)), total, [joined(steps)])


def _monic(rng: random.Random) -> Question:
    return _product([[rng.choice(_WIDE), 1], [rng.choice(_WIDE), 1]])


def _binomials(rng: random.Random) -> Question:
    left = _linear(rng, [2, 3, 4, 5])
    return _product([left, left if rng.random() < 0.25 else _linear(rng, _SMALL)])


def _cubic(rng: random.Random) -> Question:
    left = _linear(rng, [1, 2, 3])
    if rng.random() < 0.25:
        return _product([left, left, left])
    return _product([left, [rng.choice(_SMALL), rng.choice(_SMALL), rng.choice([1, 2, 3])]])


def _product(factors: Sequence[Polynomial]) -> Question:
    """Ask for the expansion of a product, written as a power if all factors are the same."""
    shown = [f"({polynomial(factor)})" for factor in factors]
    same = len(set(shown)) == 1
    text = f"{shown[0]}^{len(shown)}" if same else "".join(shown)
    total, steps = factors[0], []
    for factor in factors[1:]:
        total, step = _times(total, factor)
        steps.append(step)
    return _expand(text, "".join(sorted(shown)), total, steps)


def _times(left: Polynomial, right: Polynomial) -> tuple[Polynomial, str]:
    """Return the product, and the products of the terms before like terms are collected."""
    total = [0] * (len(left) + len(right) - 1)
    steps = []
    for n in reversed(range(len(left))):
        for m in reversed(range(len(right))):
            total[n + m] += left[n] * right[m]
            steps.append(monomial(left[n] * right[m], power(n + m)))
    return total, joined(steps)


def _linear(rng: random.Random, leading: Sequence[int]) -> Polynomial:
    return [rng.choice(_SMALL), rng.choice(leading)]


def _expand(text: str, content: str, total: Polynomial, steps: Sequence[str]) -> Question:
    return Question(
        f"Expand and collect like terms: {text}", content, polynomial(total), "\n".join(steps)
    )


LEVELS: Levels = {1: _brackets, 2: _monic, 3: _binomials, 4: _cubic}


class Polynomials(Family):
    r"""Expand and collect like terms: (x + 2)(x - 5). Polynomials in x.

    Args:
        level: 1 asks a(bx + c) + d(ex + f); 2 (x + a)(x + b), squares among them; 3
            (ax + b)(cx + d) and squares; 4 a linear times a quadratic polynomial, and cubes.
            Coefficients are from -5 to 5, and from -12 to 12 in level 2.
        format_weight: what an answer in ``\boxed{}`` is worth, right or wrong; 0 to 1.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split, or a weight out of its range.

    Example:
        >>> env = Polynomials(level=3)
        >>> item = env.item(0)
        >>> env.score(item, item.gold).value
        1.0
    """

    id = "bakeoff/Polynomials-v0"
    levels = LEVELS
    judge = expanded
