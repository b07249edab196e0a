"""What is asked of an environment under check, one call each: items, episodes, verdicts.

These functions run in the workplace's process; what they return is plain data.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from bakeoff.envs.text_env import TextEnv
from bakeoff.types import Item


@dataclass(frozen=True)
class Question:
    """An item as far as the check needs it.

    Attributes:
        split, index: where it is found.
        id, prompt, answer: those of the item.
        gold: the replies that earn the most, one a turn.
        ended: whether the episode is over after them.
        again: whether the environment gave the same item when asked twice.
    """

    split: str
    index: int
    id: str
    prompt: str
    answer: str
    gold: tuple[str, ...]
    ended: bool
    again: bool


class Verdict(NamedTuple):
    """How a reply was judged; ``failure`` says why it was not."""

    value: float | None
    parts: Mapping[str, float]
    failure: str
    seconds: float

    @property
    def outcome(self) -> tuple[float | None, dict[str, float]]:
        """What must be the same whenever the reply is judged again."""
        return self.value, dict(self.parts)


def question(env: TextEnv, split: str, index: int) -> Question:
    """Return an item and its gold episode."""
    item = env.item(index, split)
    gold, ended = _played(env, item, None)
    again = texts(env.item(index, split)) == texts(item)
    return Question(split, index, item.id, item.prompt, item.answer, gold, ended, again)


def replies(env: TextEnv, split: str, index: int, text: str) -> tuple[str, ...]:
    """Return the episode of one who always says the same."""
    return _played(env, _item(env, split, index), text)[0]


def verdict(env: TextEnv, split: str, index: int, said: tuple[str, ...]) -> Verdict:
    """Judge a reply, or the replies of an episode."""
    item = _item(env, split, index)
    started = time.perf_counter()
    score = env.score(item, said if env.turns > 1 else said[-1])
    seconds = time.perf_counter() - started
    failure = "" if score.value is not None else score.reason or "no value, and no reason"
    return Verdict(score.value, dict(score.parts), failure, seconds)


def texts(item: Item) -> tuple[str, str, str, str]:
    """Return what tells two items apart, in any process."""
    return item.id, item.prompt, item.answer, item.gold


@lru_cache(maxsize=64)
def _item(env: TextEnv, split: str, index: int) -> Item:
    return env.item(index, split)


def _played(env: TextEnv, item: Item, text: str | None) -> tuple[tuple[str, ...], bool]:
    said: list[str] = []
    while len(said) < env.turns:
        said.append(env.gold_reply(item, tuple(said)) if text is None else text)
        if env.turns == 1 or env.turn(item, tuple(said)) is None:
            return tuple(said), True
    return tuple(said), False
