"""GuessNumber: a number to be found in a few guesses, each answered with higher or lower.

``2^n - 1`` numbers and ``n`` guesses: bisection always finds the number, and n guesses that do not
heed the answers find n of the ``2^n - 1``.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

from bakeoff.envs.games.family import Family, Levels, Task, as_replies, whole_number
from bakeoff.rewards import RewardFunction
from bakeoff.types import Item

SHORT = "{guesses} guesses: what is my number, {low} to {high}?"
LONG = (
    "I think of a whole number from {low} to {high}. Guess it in {guesses} guesses. "
    "Reply with one number and nothing else; I say higher or lower."
)
HIGHER, LOWER, NO_GUESS = "higher", "lower", "reply with one number"


def found(replies: str | Sequence[str], item: Item) -> float:
    """Return 1 if one of the guesses is the number, else 0.

    Example:
        >>> item = Item("", "", "5", data={"low": 1, "high": 7, "guesses": 3})
        >>> found(("4", "6", "5"), item), found(("4", "5 or 6", "7"), item)
        (1.0, 0.0)
    """
    allowed = as_replies(replies)[: cast(int, item.data["guesses"])]
    return float(any(whole_number(reply) == int(item.answer) for reply in allowed))


def possible(replies: str | Sequence[str], item: Item) -> float:
    """Return the share of the replies that guess what could still be right when they were made.

    Example:
        >>> item = Item("", "", "5", data={"low": 1, "high": 7, "guesses": 3})
        >>> possible(("4", "6", "5"), item), possible(("4", "3"), item), possible(("no",), item)
        (1.0, 0.5, 0.0)
    """
    given = as_replies(replies)
    good = 0
    for n, reply in enumerate(given):
        low, high = _interval(item, given[:n])
        guess = whole_number(reply)
        good += guess is not None and low <= guess <= high
    return good / len(given) if given else 0.0


def _interval(item: Item, replies: Sequence[str]) -> tuple[int, int]:
    """Return the lowest and the highest number that agree with what was said to some guesses."""
    low, high = cast(int, item.data["low"]), cast(int, item.data["high"])
    secret = int(item.answer)
    for guess in map(whole_number, replies):
        if guess is not None and guess < secret:
            low = max(low, guess + 1)
        elif guess is not None and guess > secret:
            high = min(high, guess - 1)
    return low, high


def _task(rng: random.Random, *, guesses: int, lowest: int, ask: str = LONG) -> Task:
    numbers = 2**guesses - 1
    low = rng.randrange(1, lowest + 1)
    high = low + numbers - 1
    secret = rng.randint(low, high)
    data = {"low": low, "high": high, "guesses": guesses}
    prompt = ask.format(**data)
    return Task(prompt, prompt, str((low + high) // 2), str(secret), data)


LEVELS: Levels = {
    1: partial(_task, guesses=3, lowest=93, ask=SHORT),
    2: partial(_task, guesses=4, lowest=985),
    3: partial(_task, guesses=5, lowest=9_969),
    4: partial(_task, guesses=7, lowest=99_873),
}


class GuessNumber(Family):
    """I think of a number from 12 to 18. Each guess is answered: higher, or lower.

    Args:
        level: 1 gives three guesses for seven numbers up to 99; 2 four for fifteen up to 999; 3
            five for 31 up to 9,999; 4 seven for 127 up to 99,999; ``"1-3"`` mixes 1, 2 and 3.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split.

    Example:
        >>> env = GuessNumber()
        >>> item = env.item(0)
        >>> item.data["low"], item.data["high"], item.answer
        (88, 94, '88')
        >>> env.turn(item, ["91"]), env.turn(item, ["91", "87"]), env.turn(item, ["88"])
        ('lower', 'higher', None)
    """

    id = "bakeoff/GuessNumber-v0"
    reply_tokens = 8
    levels = LEVELS
    rewards: Mapping[str, tuple[float, RewardFunction]] = {
        "found": (1.0, found),
        "possible": (0.0, possible),
    }

    def __init__(
        self, *, level: int | str = 1, split: str = "train", render_mode: str | None = None
    ) -> None:
        super().__init__(level=level, split=split, render_mode=render_mode)
        self.turns = {1: 3, 2: 4, 3: 5, 4: 7}[max(self.asked_levels)]

    def turn(self, item: Item, replies: Sequence[str]) -> str | None:
        """Return whether the number is higher or lower than the last guess; ``None`` at the end."""
        guess, secret = whole_number(replies[-1]), int(item.answer)
        if len(replies) >= cast(int, item.data["guesses"]) or guess == secret:
            return None
        if guess is None:
            return NO_GUESS
        return HIGHER if guess < secret else LOWER

    def gold_reply(self, item: Item, replies: Sequence[str]) -> str:
        """Return the middle of the numbers that are still possible."""
        return str(sum(_interval(item, replies)) // 2)
