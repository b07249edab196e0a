"""TwentyQuestions: which number of a list is meant, found by asking yes-or-no questions about it.

The questions are a fixed table of properties of numbers, so that what is answered is a fact and
not an opinion. To name a number ends the game: a first reply that names one is a guess.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, cast

from bakeoff.envs.games.family import Family, Levels, Task, as_replies, said, whole_number
from bakeoff.rewards import RewardFunction
from bakeoff.types import Item

LETTERS = "abcdefgh"
SHORT = "{replies} replies. {questions} What is it, {numbers}?"
LONG = (
    "I think of one of these numbers: {numbers}. You may ask about it: {questions} Reply with a "
    "letter to ask, and I say yes or no, or with the number to end. You have {replies} replies."
)
YES, NO, UNCLEAR = "yes", "no", "reply with one letter or one number of the list"


class Property(NamedTuple):
    """What can be asked about a number."""

    name: str
    holds: Callable[[int], bool]


PROPERTIES: tuple[Property, ...] = (
    Property("even", lambda n: n % 2 == 0),
    Property("over 50", lambda n: n > 50),
    Property("a multiple of 3", lambda n: n % 3 == 0),
    Property("a multiple of 5", lambda n: n % 5 == 0),
    Property("prime", lambda n: n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))),
    Property("a square", lambda n: math.isqrt(n) ** 2 == n),
    Property("last digit over 4", lambda n: n % 10 > 4),
    Property("sum of digits over 9", lambda n: sum(map(int, str(n))) > 9),
)
NUMBERS = range(2, 100)
TRUE_OF = [frozenset(filter(one.holds, NUMBERS)) for one in PROPERTIES]


def named(replies: str | Sequence[str], item: Item) -> float:
    """Return 1 if the first number that is named is the one that is meant, else 0.

    Example:
        >>> data = {"numbers": (8, 9, 14), "properties": (0, 5), "replies": 3}
        >>> item = Item("", "", "9", data=data)
        >>> named(("a", "9"), item), named(("8", "9"), item), named(("8 or 9",), item)
        (1.0, 0.0, 0.0)
    """
    allowed = as_replies(replies)[: cast(int, item.data["replies"])]
    names = (whole_number(reply) for reply in allowed)
    return float(next((n for n in names if n in _numbers(item)), None) == int(item.answer))


def asked(replies: str | Sequence[str], item: Item) -> float:
    """Return the share of the replies before the last that ask something not asked before.

    Example:
        >>> data = {"numbers": (8, 9, 14), "properties": (0, 5), "replies": 3}
        >>> item = Item("", "", "9", data=data)
        >>> asked(("a", "a", "9"), item), asked(("9",), item)
        (0.5, 0.0)
    """
    questions = [_question(reply, item) for reply in as_replies(replies)[:-1]]
    return len(set(questions) - {None}) / len(questions) if questions else 0.0


def _numbers(item: Item) -> tuple[int, ...]:
    return cast(tuple[int, ...], item.data["numbers"])


def _properties(item: Item) -> tuple[int, ...]:
    return cast(tuple[int, ...], item.data["properties"])


def _question(reply: str, item: Item) -> Property | None:
    """Return what a reply asks, by its letter; ``None`` if it asks nothing."""
    letter = said(reply).rstrip(".?").lower()
    place = LETTERS.find(letter) if len(letter) == 1 else -1
    properties = _properties(item)
    return PROPERTIES[properties[place]] if 0 <= place < len(properties) else None


def _best(numbers: Sequence[int], properties: Sequence[int]) -> int | None:
    """Return which property splits the numbers most evenly; ``None`` if none splits them."""
    sizes = {p: len(TRUE_OF[p].intersection(numbers)) for p in properties}
    splitting = [p for p in properties if 0 < sizes[p] < len(numbers)]
    return min(splitting, key=lambda p: abs(2 * sizes[p] - len(numbers)), default=None)


def questions_needed(numbers: Sequence[int], properties: Sequence[int]) -> float:
    """Return how many questions the best-splitting ones take at worst; infinite if they cannot.

    Example:
        >>> questions_needed((8, 9, 16), (0, 5)), questions_needed((8, 14), (0, 5))
        (2, inf)
    """
    if len(numbers) < 2:
        return 0
    best = _best(numbers, properties)
    if best is None:
        return math.inf
    sides = [[n for n in numbers if (n in TRUE_OF[best]) == answer] for answer in (True, False)]
    return 1 + max(questions_needed(side, properties) for side in sides)


def _task(rng: random.Random, *, count: int, questions: int, replies: int, ask: str = LONG) -> Task:
    while True:
        numbers = tuple(sorted(rng.sample(NUMBERS, count)))
        properties = tuple(sorted(rng.sample(range(len(PROPERTIES)), questions)))
        if questions_needed(numbers, properties) == replies - 1:
            break
    best = _best(numbers, properties)
    assert best is not None
    listed = " ".join(
        f"{letter}: {PROPERTIES[p].name}?" for letter, p in zip(LETTERS, properties, strict=False)
    )
    *others, last = map(str, numbers)
    prompt = ask.format(numbers=f"{', '.join(others)} or {last}", questions=listed, replies=replies)
    data = {"numbers": numbers, "properties": properties, "replies": replies}
    gold = LETTERS[properties.index(best)]
    return Task(prompt, prompt, gold, str(rng.choice(numbers)), data)


LEVELS: Levels = {
    1: partial(_task, count=4, questions=3, replies=3, ask=SHORT),
    2: partial(_task, count=7, questions=5, replies=4),
    3: partial(_task, count=12, questions=8, replies=5),
}


class TwentyQuestions(Family):
    """I think of one of these numbers: 4, 9, 15, 22. Ask, is it even? And then name it.

    Args:
        level: 1 has four numbers and three replies, 2 seven and four, 3 twelve and five; ``"1-3"``
            mixes them.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split.

    Example:
        >>> env = TwentyQuestions()
        >>> item = env.item(0)
        >>> reply = env.gold_reply(item, [])
        >>> env.turn(item, [reply]) in ("yes", "no"), env.turn(item, [item.answer])
        (True, None)
    """

    id = "bakeoff/TwentyQuestions-v0"
    reply_tokens = 8
    levels = LEVELS
    rewards: Mapping[str, tuple[float, RewardFunction]] = {
        "named": (1.0, named),
        "asked": (0.0, asked),
    }

    def __init__(
        self, *, level: int | str = 1, split: str = "train", render_mode: str | None = None
    ) -> None:
        super().__init__(level=level, split=split, render_mode=render_mode)
        self.turns = {1: 3, 2: 4, 3: 5}[max(self.asked_levels)]

    def turn(self, item: Item, replies: Sequence[str]) -> str | None:
        """Return yes or no to a question; ``None`` after a number that is on the list."""
        if len(replies) >= cast(int, item.data["replies"]):
            return None
        if whole_number(replies[-1]) in _numbers(item):
            return None
        question = _question(replies[-1], item)
        if question is None:
            return UNCLEAR
        return YES if question.holds(int(item.answer)) else NO

    def gold_reply(self, item: Item, replies: Sequence[str]) -> str:
        """Return the question that splits what is still possible most evenly, or its number."""
        left: Sequence[int] = _numbers(item)
        for question in (_question(reply, item) for reply in replies):
            if question is not None:
                answer = question.holds(int(item.answer))
                left = [n for n in left if question.holds(n) == answer]
        best = _best(left, _properties(item))
        return str(left[0]) if best is None else LETTERS[_properties(item).index(best)]
