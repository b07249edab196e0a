"""Linear equations: solve for x, or for the pair (x, y), in four levels."""

from __future__ import annotations

import random
from fractions import Fraction

from bakeoff.envs.math.family import Family, Levels, Question
from bakeoff.envs.math.notation import joined, monomial, nonzero
from bakeoff.rewards.math import correct

_SMALL = nonzero(range(-9, 10))
_TINY = nonzero(range(-5, 6))


def _one_step(rng: random.Random) -> Question:
    number, x = rng.randrange(1, 10), rng.randrange(1, 13)
    kind = rng.randrange(3)
    if kind == 0:
        return _for_x(f"x + {number} = {x + number}", x, f"x = {x + number} - {number}")
    if kind == 1:
        return _for_x(f"x - {number} = {x}", x + number, f"x = {x} + {number}")
    factor = number + 1
    return _for_x(f"{factor}x = {factor * x}", x, f"x = {factor * x} / {factor}")


def _two_steps(rng: random.Random) -> Question:
    factor, number, x = rng.randrange(2, 10), rng.choice(_SMALL), rng.choice(_SMALL)
    left, right = _line(factor, number), factor * x + number
    return _for_x(f"{left} = {right}", x, f"{factor}x = {factor * x}")


def _both_sides(rng: random.Random) -> Question:
    while True:
        a, c = rng.sample(_SMALL, 2)
        b, d = rng.choice(_SMALL), rng.choice(_SMALL)
        if b != d:
            break
    sides = [_line(a, b), _line(c, d)]
    x = Fraction(d - b, a - c)
    step = f"{monomial(a - c, 'x')} = {d - b}"
    return _for_x(" = ".join(sides), x, step, content=" = ".join(sorted(sides)))


def _two_unknowns(rng: random.Random) -> Question:
    x, y = rng.choice(_TINY), rng.choice(_TINY)
    while True:
        a, b, c, d = (rng.choice(_TINY) for _ in range(4))
        determinant = a * d - b * c
        if determinant:
            break
    equations = [
        f"{joined([monomial(p, 'x'), monomial(q, 'y')])} = {p * x + q * y}"
        for p, q in ((a, b), (c, d))
    ]
    steps = [f"{monomial(determinant, name)} = {determinant * value}" for name, value in
             (("x", x), ("y", y))]  # fmt: skip
    return Question(
        f"Which pair (x, y) solves {equations[0]} and {equations[1]}?",
        " and ".join(sorted(equations)),
        f"({x}, {y})",
        " and ".join(steps),
    )


def _for_x(equation: str, x: int | Fraction, step: str, *, content: str | None = None) -> Question:
    return Question(f"Solve {equation} for x.", content or equation, str(x), step)


def _line(factor: int, number: int) -> str:
    return joined([monomial(factor, "x"), str(number)])


LEVELS: Levels = {1: _one_step, 2: _two_steps, 3: _both_sides, 4: _two_unknowns}


class LinearEquations(Family):
    r"""Solve 3x + 4 = 19 for x. Linear equations, later on with two unknowns.

    Args:
        level: 1 asks x + a = b, x - a = b and ax = b with small natural numbers; 2 ax + b = c,
            solved by an integer; 3 ax + b = cx + d, solved by an integer or a fraction; 4 two
            equations with two unknowns, solved by the pair (x, y) of integers.
        format_weight: what an answer in ``\boxed{}`` is worth, right or wrong; 0 to 1.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split, or a weight out of its range.

    Example:
        >>> env = LinearEquations(level=4)
        >>> item = env.item(0)
        >>> env.score(item, item.gold).value
        1.0
    """

    id = "bakeoff/LinearEquations-v0"
    levels = LEVELS
    judge = correct
