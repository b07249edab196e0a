"""Sequences: the next or the n-th term, in four levels.

Five terms are shown: with four, 2, 3, 5, 8 goes on as 12 by its differences and as 13 if each term
is the sum of the two before it. With five, all rules that are asked agree.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from bakeoff.envs.math.family import Family, Levels, Question
from bakeoff.envs.math.notation import nonzero
from bakeoff.rewards.math import correct

SHOWN = 5


def _small_steps(rng: random.Random) -> Question:
    first, step = rng.randrange(1, 21), rng.randrange(1, 11)
    return _arithmetic(first, step, SHOWN)


def _arithmetic_or_geometric(rng: random.Random) -> Question:
    if rng.random() < 0.5:
        return _arithmetic(rng.randrange(-50, 51), rng.choice(nonzero(range(-20, 21))), SHOWN)
    return _geometric(rng.choice(nonzero(range(-9, 10))), rng.choice([2, 3, 4, -2, -3]), SHOWN)


def _quadratic_or_fibonacci(rng: random.Random) -> Question:
    if rng.random() < 0.5:
        return _any_quadratic(rng, SHOWN)
    terms = [rng.randrange(1, 13), rng.randrange(1, 13)]
    while len(terms) <= SHOWN:
        terms.append(terms[-2] + terms[-1])
    working = f"Each term is the sum of the two before it: {terms[-3]} + {terms[-2]}"
    return _asked(terms, working)


def _far_term(rng: random.Random) -> Question:
    kind = rng.randrange(3)
    if kind == 0:
        step = rng.choice(nonzero(range(-12, 13)))
        return _arithmetic(rng.randrange(-30, 31), step, rng.randrange(9, 30))
    if kind == 1:
        return _geometric(rng.randrange(1, 6), rng.choice([2, 3, -2]), rng.randrange(6, 9))
    return _any_quadratic(rng, rng.randrange(7, 15))


def _any_quadratic(rng: random.Random, index: int) -> Question:
    step, growth = rng.randrange(-9, 10), rng.choice(nonzero(range(-4, 5)))
    return _quadratic(rng.randrange(-9, 21), step, growth, index)


def _arithmetic(first: int, step: int, index: int) -> Question:
    terms = [first + step * n for n in range(index + 1)]
    steps = f"{first} + {index} * {_bracketed(step)}"
    if index == SHOWN:
        steps = f"{terms[-2]} + {_bracketed(step)}"
    return _asked(terms, f"The difference is {step}: {steps}")


def _geometric(first: int, ratio: int, index: int) -> Question:
    terms = [first * int(ratio**n) for n in range(index + 1)]
    steps = f"{first} * {_bracketed(ratio)}^{index}"
    if index == SHOWN:
        steps = f"{terms[-2]} * {_bracketed(ratio)}"
    return _asked(terms, f"The ratio is {ratio}: {steps}")


def _quadratic(first: int, step: int, growth: int, index: int) -> Question:
    terms = [first + step * n + growth * n * (n - 1) // 2 for n in range(index + 1)]
    pairs = index * (index - 1) // 2
    steps = f"{first} + {index} * {_bracketed(step)} + {pairs} * {_bracketed(growth)}"
    if index == SHOWN:
        steps = f"{terms[-2]} + {_bracketed(terms[-1] - terms[-2])}"
    return _asked(terms, f"The differences start with {step} and grow by {growth}: {steps}")


def _asked(terms: Sequence[int], working: str) -> Question:
    """Ask for the last of the terms, which is the next one or further on; show the first ones."""
    index = len(terms) - 1
    shown = ", ".join(map(str, terms[:SHOWN]))
    text = f"What comes next in the sequence {shown}?"
    if index > SHOWN:
        text = f"What is term number {index + 1} of the sequence {shown}?"
    return Question(text, f"{shown}; {index}", str(terms[-1]), f"{working} = {terms[-1]}")


def _bracketed(number: int) -> str:
    return f"({number})" if number < 0 else str(number)


LEVELS: Levels = {
    1: _small_steps,
    2: _arithmetic_or_geometric,
    3: _quadratic_or_fibonacci,
    4: _far_term,
}


class Sequences(Family):
    r"""What comes next in the sequence 3, 7, 11, 15, 19? Or what is its twelfth term?

    Args:
        level: 1 asks the next term of a rising arithmetic sequence; 2 of any arithmetic or
            geometric one; 3 of a quadratic one, or of one whose terms are the sum of the two
            before; 4 a term further on of an arithmetic, geometric or quadratic one.
        format_weight: what an answer in ``\boxed{}`` is worth, right or wrong; 0 to 1.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split, or a weight out of its range.

    Example:
        >>> env = Sequences(level=4)
        >>> item = env.item(0)
        >>> env.score(item, item.gold).value
        1.0
    """

    id = "bakeoff/Sequences-v0"
    levels = LEVELS
    judge = correct
