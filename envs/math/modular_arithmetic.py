"""Modular arithmetic: remainders of sums, products and powers, and congruences, in four levels."""

from __future__ import annotations

import math
import random

from bakeoff.envs.math.family import Family, Levels, Question
from bakeoff.rewards.math import correct


def _remainder(rng: random.Random) -> Question:
    modulus = rng.randrange(2, 11)
    return _divided(str(rng.randrange(11, 100)), [], modulus)


def _sum_or_product(rng: random.Random) -> Question:
    modulus = rng.randrange(3, 13)
    if rng.random() < 0.5:
        operands, sign = [rng.randrange(10, 100) for _ in range(2)], "+"
    else:
        operands, sign = [rng.randrange(2, 20) for _ in range(2)], "*"
    left, right = operands
    value = left + right if sign == "+" else left * right
    content = f" {sign} ".join(map(str, sorted(operands)))
    return _divided(f"{left} {sign} {right}", [str(value)], modulus, content)


def _power(rng: random.Random) -> Question:
    while True:
        modulus, base, exponent = rng.randrange(3, 20), rng.randrange(3, 13), rng.randrange(3, 9)
        if base**exponent % modulus != base:
            break
    steps = [f"{base}^{n} = {base**n % modulus}" for n in range(1, exponent + 1)]
    text = f"{base}^{exponent}"
    working = f"{', '.join(steps)} (mod {modulus})"
    return _asked(text, modulus, text, base**exponent % modulus, working)


def _congruence(rng: random.Random) -> Question:
    while True:
        modulus = rng.randrange(5, 24)
        factor, x = rng.randrange(2, modulus), rng.randrange(2, modulus)
        if math.gcd(factor, modulus) == 1:
            break
    text = f"{factor}x = {factor * x % modulus} (mod {modulus})"
    quotient, remainder = divmod(factor * x, modulus)
    return Question(
        f"What is the smallest non-negative x with {text}?",
        text,
        str(x),
        f"{factor} * {x} = {factor * x} = {quotient} * {modulus} + {remainder}",
    )


def _divided(text: str, steps: list[str], modulus: int, content: str = "") -> Question:
    """Ask for a remainder that one division gives."""
    value = int(steps[-1] if steps else text)
    quotient, remainder = divmod(value, modulus)
    working = " = ".join([text, *steps, f"{quotient} * {modulus} + {remainder}"])
    return _asked(text, modulus, content or text, remainder, working)


def _asked(text: str, modulus: int, content: str, remainder: int, working: str) -> Question:
    return Question(
        f"What is the remainder when {text} is divided by {modulus}?",
        f"{content} mod {modulus}",
        str(remainder),
        working,
    )


LEVELS: Levels = {1: _remainder, 2: _sum_or_product, 3: _power, 4: _congruence}


class ModularArithmetic(Family):
    r"""What is the remainder when 47 is divided by 6? Remainders, powers and congruences.

    Args:
        level: 1 asks the remainder of a two-digit number, divided by 2 to 10; 2 of a sum of two
            two-digit numbers or a product of two numbers below 20; 3 of a power; 4 the smallest
            non-negative x with ax = b (mod n).
        format_weight: what an answer in ``\boxed{}`` is worth, right or wrong; 0 to 1.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split, or a weight out of its range.

    Example:
        >>> env = ModularArithmetic(level=3)
        >>> item = env.item(0)
        >>> env.score(item, item.gold).value
        1.0
    """

    id = "bakeoff/ModularArithmetic-v0"
    levels = LEVELS
    judge = correct
