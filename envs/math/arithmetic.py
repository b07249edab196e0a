"""Procedural arithmetic: short questions with one exact answer, in four levels."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NamedTuple

from bakeoff.envs.levels import level_at, level_data, levels_of
from bakeoff.envs.text_env import TextEnv, checked_split, split_of
from bakeoff.rewards import RewardFunction
from bakeoff.rewards.math import correct, wellformed
from bakeoff.streams import stream
from bakeoff.types import Item


class Question(NamedTuple):
    """A calculation as it is asked, what is the same in any order of operands, and the result."""

    text: str
    content: str
    result: Fraction


class Arithmetic(TextEnv):
    """What is 47 + 38? Sums, differences, products and fractions, generated without end.

    An item is drawn from a stream keyed by (id, level, split, index). Whether it belongs to train
    or eval is decided by its content (``split_of``), where ``3 + 5`` and ``5 + 3`` are the same.

    Args:
        level: 1 asks a + b of one digit each; 2 asks a + b and a - b, each 0 to 99; 3 asks a
            two-digit times a one-digit number, and sums of three; 4 asks sums and differences of
            fractions, and exact divisions; ``"1-3"`` mixes 1, 2 and 3.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split.

    Example:
        >>> env = Arithmetic(level=2)
        >>> env.item(0).prompt, env.item(0).answer
        ('What is 40 + 12?', '52')
    """

    id = "bakeoff/Arithmetic-v0"
    reply_tokens = 16
    rewards: Mapping[str, tuple[float, RewardFunction]] = {
        "correct": (1.0, correct),
        "wellformed": (0.0, wellformed),
    }

    def __init__(
        self, *, level: int | str = 2, split: str = "train", render_mode: str | None = None
    ) -> None:
        super().__init__(split=split, render_mode=render_mode)
        self.level = level
        self.asked_levels = levels_of(level, LEVELS)

    def size(self, split: str) -> int:
        """Return how many indexes the split has; easy levels repeat their few questions."""
        return {"train": 2**31, "eval": 2**16}[checked_split(split)]

    def item(self, index: int, split: str = "train") -> Item:
        """Return one question."""
        level = level_at(self.asked_levels, self.id, split, self._checked_index(index, split))
        rng = stream(self.id, level, split, index)
        question = LEVELS[level](rng)
        while split_of(self.id, question.content) != split:
            question = LEVELS[level](rng)
        answer, data = str(question.result), level_data(self.asked_levels, level)
        return Item(f"{self.id}/{split}/{index}", question.text, answer, gold=answer, data=data)


def _digits(rng: random.Random) -> Question:
    return _sum([rng.randrange(10), rng.randrange(10)])


def _sum_or_difference(rng: random.Random) -> Question:
    left, right = rng.randrange(100), rng.randrange(100)
    if rng.random() < 0.5:
        return _sum([left, right])
    text = f"{left} - {right}"
    return Question(f"What is {text}?", text, Fraction(left - right))


def _product_or_long_sum(rng: random.Random) -> Question:
    if rng.random() < 0.5:
        return _sum([rng.randrange(100) for _ in range(3)])
    factors = [rng.randrange(10, 100), rng.randrange(2, 10)]
    rng.shuffle(factors)
    left, right = factors
    content = f"{max(factors)} * {min(factors)}"
    return Question(f"What is {left} * {right}?", content, Fraction(left * right))


def _fraction(rng: random.Random) -> Question:
    if rng.random() < 0.5:
        divisor, quotient = rng.randrange(2, 13), rng.randrange(2, 100)
        text = f"{divisor * quotient} / {divisor}"
        return Question(f"What is {text}?", text, Fraction(quotient))
    left, right = _proper(rng), _proper(rng)
    if rng.random() < 0.5:
        text, result, content = f"{left} - {right}", left - right, f"{left} - {right}"
    else:
        text, result = f"{left} + {right}", left + right
        content = " + ".join(map(str, sorted([left, right])))
    return Question(f"What is {text} in lowest terms?", content, result)


def _proper(rng: random.Random) -> Fraction:
    """Return a fraction between 0 and 1 with a denominator of 2 to 12, in lowest terms."""
    while True:
        below = rng.randrange(2, 13)
        above = rng.randrange(1, below)
        if math.gcd(above, below) == 1:
            return Fraction(above, below)


def _sum(terms: list[int]) -> Question:
    content = " + ".join(map(str, sorted(terms)))
    return Question(f"What is {' + '.join(map(str, terms))}?", content, Fraction(sum(terms)))


LEVELS: dict[int, Callable[[random.Random], Question]] = {
    1: _digits,
    2: _sum_or_difference,
    3: _product_or_long_sum,
    4: _fraction,
}
