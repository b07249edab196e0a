"""Countdown: reach a target with given numbers, in four levels.

Many replies are right, so a reply is not compared with one answer: its expression is read by the
own parser, only given numbers and + - * / and parentheses may stand in its tree, and its exact
value must be the target.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from bakeoff.envs.math.family import Family, Levels, Question
from bakeoff.rewards.math import final_answer
from bakeoff.rewards.math.equality import rational
from bakeoff.rewards.math.expressions import Node, parse
from bakeoff.types import Item

# Digits, + - * / ( ) and = as people write them: no points, no letters, no "%", "!" or "^".
_ALLOWED = re.compile(
    r"(?:[0-9+\-*/()={} \n−×÷·⋅]"  # noqa: RUF001 (the signs people write)
    r"|\\(?:cdot|times|div|left|right|[dt]?frac)(?![a-zA-Z])|\\[,;:! ])*"
)


class Step(NamedTuple):
    """An expression that was built, its value, and the lines that work it out."""

    text: str
    value: int
    lines: tuple[str, ...] = ()
    is_sum: bool = False


def reaches(reply: str, item: Item) -> float:
    r"""Return 1 if the reply's expression makes the target of the given numbers, else 0.

    ``item.data`` has the ``numbers`` and the ``target``. Each number may be used as often as it is
    given, and need not be used. "expression = target" is right as well.

    Raises:
        KeyError: the item's data lacks them: an error in the environment.

    Example:
        >>> item = Item("me/1", "Make 22 of 3, 5, 7.", data={"numbers": (3, 5, 7), "target": 22})
        >>> [reaches(reply, item) for reply in (r"\boxed{3 * 5 + 7}", r"\boxed{22}", "3 * 7 + 1")]
        [1.0, 0.0, 0.0]
    """
    given, target = Counter(cast(Sequence[int], item.data["numbers"])), item.data["target"]
    answer = (final_answer(reply) or "").strip("$ ")
    if not _ALLOWED.fullmatch(answer):
        return 0.0
    left, equals, right = answer.partition("=")
    try:
        tree = parse(left)
        if not Counter(_numbers(tree)) <= given or rational(tree) != target:
            return 0.0
        return float(not equals or rational(parse(right)) == target)
    except ValueError:  # not an expression, another operation, or it divides by zero
        return 0.0


def _numbers(tree: Node) -> Iterator[int]:
    """Yield the numbers of a tree of + - * / only.

    Raises:
        ValueError: it holds anything else.
    """
    if tree.head == "number" and tree.value is not None and tree.value == int(tree.value):
        yield int(tree.value)
    elif tree.head in ("+", "-", "*", "/"):
        for part in tree.args:
            yield from _numbers(part)
    else:
        raise ValueError(f"'{tree.head}' is not allowed")


def _three(rng: random.Random) -> Question:
    return _reachable(rng, [range(1, 11)] * 3, signs="+-*", low=1, high=50)


def _four(rng: random.Random) -> Question:
    return _reachable(rng, [range(1, 11)] * 4, signs="+-*/", low=10, high=100)


def _five(rng: random.Random) -> Question:
    return _reachable(rng, [range(1, 26)] * 5, signs="+-*/", low=10, high=200)


def _six(rng: random.Random) -> Question:
    choices = [(25, 50, 75, 100), *[range(1, 11)] * 5]
    return _reachable(rng, choices, signs="+-*/", low=100, high=999)


def _reachable(
    rng: random.Random, choices: Sequence[Sequence[int]], *, signs: str, low: int, high: int
) -> Question:
    """Ask for what a random expression of one number of each choice gives, if it is in range."""
    while True:
        numbers = [rng.choice(choice) for choice in choices]
        parts = [Step(str(number), number) for number in numbers]
        while len(parts) > 1:
            left, right = (parts.pop(rng.randrange(len(parts))) for _ in range(2))
            parts.append(_combined(rng.choice(signs), left, right))
        made = parts[0]
        if low <= made.value <= high and made.value not in numbers:
            break
    shown = ", ".join(map(str, sorted(numbers)))
    return Question(
        f"Make {made.value} from the numbers {shown}. "
        "Use each at most once, with + - * / and parentheses.",
        f"{shown} -> {made.value}",
        made.text,
        ", ".join(made.lines),
        {"numbers": tuple(sorted(numbers)), "target": made.value},
    )


def _combined(sign: str, left: Step, right: Step) -> Step:
    """Return two parts combined; a natural number always, so the other order or + if need be."""
    if sign in "-/" and left.value < right.value:
        left, right = right, left
    if (sign == "/" and left.value % right.value) or (sign == "-" and left.value == right.value):
        sign = "+"
    value = {
        "+": left.value + right.value,
        "-": left.value - right.value,
        "*": left.value * right.value,
        "/": left.value // right.value,
    }[sign]
    before = f"({left.text})" if left.is_sum and sign in "*/" else left.text
    closed = sign == "+" or (right.text.isdigit() or (sign in "-*" and not right.is_sum))
    after = right.text if closed else f"({right.text})"
    line = f"{left.value} {sign} {right.value} = {value}"
    return Step(f"{before} {sign} {after}", value, (*left.lines, *right.lines, line), sign in "+-")


LEVELS: Levels = {1: _three, 2: _four, 3: _five, 4: _six}


class Countdown(Family):
    r"""Make 22 from the numbers 3, 5, 7. Any expression that does is right.

    Args:
        level: 1 gives three numbers up to 10 and a target up to 50; 2 four numbers up to 10 and a
            target of 10 to 100; 3 five up to 25 and one of 10 to 200; 4 six, one of them 25, 50,
            75 or 100, and one of 100 to 999.
        format_weight: what an answer in ``\boxed{}`` is worth, right or wrong; 0 to 1.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split, or a weight out of its range.

    Example:
        >>> env = Countdown(level=2)
        >>> item = env.item(0)
        >>> env.score(item, item.gold).value
        1.0
    """

    id = "bakeoff/Countdown-v0"
    levels = LEVELS
    judge = reaches
