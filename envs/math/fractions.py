"""Fractions: sums, differences, products and quotients in lowest terms, in four levels."""

from __future__ import annotations

import math
import random
from fractions import Fraction

from bakeoff.envs.math.family import Family, Levels, Question
from bakeoff.rewards.math import correct


def _same_denominator(rng: random.Random) -> Question:
    below = rng.randrange(2, 13)
    left, right = rng.randrange(1, below), rng.randrange(1, below)
    if rng.random() < 0.5:
        sign, above = "+", left + right
        content = f"{min(left, right)}/{below} + {max(left, right)}/{below}"
    else:
        sign, above = "-", left - right
        content = f"{left}/{below} - {right}/{below}"
    return _asked(f"{left}/{below} {sign} {right}/{below}", content, Fraction(above, below))


def _sum_or_difference(rng: random.Random) -> Question:
    left, right = _proper(rng), _proper(rng)
    below = math.lcm(left.denominator, right.denominator)
    sign = rng.choice("+-")
    result = left + right if sign == "+" else left - right
    steps = f"{_over(left, below)} {sign} {_over(right, below)}"
    return _asked(f"{left} {sign} {right}", _content(left, sign, right), result, steps)


def _product_or_quotient(rng: random.Random) -> Question:
    left, right = _proper(rng), _proper(rng)
    if rng.random() < 0.5:
        return _asked(f"{left} * {right}", _content(left, "*", right), left * right)
    text = f"({left}) / ({right})"
    return _asked(text, text, left / right, f"{left} * {_over(1 / right)}")


def _bracket(rng: random.Random) -> Question:
    left, right, factor = _proper(rng), _proper(rng), _proper(rng)
    sign = rng.choice("+-")
    inner = left + right if sign == "+" else left - right
    content = f"({_content(left, sign, right)})"
    if rng.random() < 0.5:
        times, result, content = f"* {factor}", inner * factor, f"{factor} * {content}"
    else:
        times, result, content = f"/ ({factor})", inner / factor, f"{content} / {factor}"
    return _asked(f"({left} {sign} {right}) {times}", content, result, f"({inner}) {times}")


def _asked(text: str, content: str, result: Fraction, steps: str = "") -> Question:
    working = " = ".join(filter(None, [text, steps, str(result)]))
    return Question(f"What is {text} in lowest terms?", content, str(result), working)


def _content(left: Fraction, sign: str, right: Fraction) -> str:
    """Return an operation with the operands in order if the order does not matter."""
    ordered = [left, right] if sign == "-" else sorted([left, right])
    return f" {sign} ".join(map(str, ordered))


def _over(value: Fraction, below: int | None = None) -> str:
    below = below or value.denominator
    return f"{value.numerator * below // value.denominator}/{below}"


def _proper(rng: random.Random) -> Fraction:
    """Return a fraction between 0 and 1 with a denominator of 2 to 12, in lowest terms."""
    while True:
        below = rng.randrange(2, 13)
        above = rng.randrange(1, below)
        if math.gcd(above, below) == 1:
            return Fraction(above, below)


LEVELS: Levels = {
    1: _same_denominator,
    2: _sum_or_difference,
    3: _product_or_quotient,
    4: _bracket,
}


class Fractions(Family):
    r"""What is 1/2 + 1/3 in lowest terms? Sums, differences, products and quotients.

    Args:
        level: 1 asks a/n + b/n and a/n - b/n; 2 sums and differences of any two fractions; 3
            products and quotients; 4 a sum or difference in brackets, times or divided by a third.
            All fractions are between 0 and 1 with denominators 2 to 12.
        format_weight: what an answer in ``\boxed{}`` is worth, right or wrong; 0 to 1.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split, or a weight out of its range.

    Example:
        >>> env = Fractions(level=2)
        >>> item = env.item(0)
        >>> env.score(item, item.gold).value
        1.0
    """

    id = "bakeoff/Fractions-v0"
    levels = LEVELS
    judge = correct
