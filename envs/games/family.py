"""The base of the environments of this package: tasks with levels, generated without end.

An item is drawn from a stream keyed by (id, level, split, index), until its content belongs to the
split (``split_of``).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from bakeoff.envs.levels import level_at, level_data, levels_of
from bakeoff.envs.text_env import TextEnv, checked_split, split_of
from bakeoff.streams import stream
from bakeoff.types import Item

_NUMBER = re.compile(r"([0-9]{1,9})\.?")


class Task(NamedTuple):
    """A task as it is asked, and how it is answered.

    Attributes:
        prompt: what is asked.
        content: the same for what counts as the same task.
        gold: the right reply, the first of them if there are several turns.
        answer: the right answer, if there is one only.
        data: what the rewards and the turns need.
    """

    prompt: str
    content: str
    gold: str
    answer: str = ""
    data: Mapping[str, object] = MappingProxyType({})


Levels = Mapping[int, Callable[[random.Random], Task]]


class Family(TextEnv):
    """A family of generated tasks. A subclass sets ``id``, ``levels`` and ``rewards``.

    Attributes:
        levels: what draws a task, by level.
    """

    levels: ClassVar[Levels] = {}

    def __init__(
        self, *, level: int | str = 1, split: str = "train", render_mode: str | None = None
    ) -> None:
        super().__init__(split=split, render_mode=render_mode)
        self.level = level
        self.asked_levels = levels_of(level, self.levels)

    def size(self, split: str) -> int:
        """Return how many indexes the split has; easy levels repeat their few tasks."""
        return {"train": 2**31, "eval": 2**16}[checked_split(split)]

    def item(self, index: int, split: str = "train") -> Item:
        """Return one task."""
        index = self._checked_index(index, split)
        level = level_at(self.asked_levels, self.id, split, index)
        rng = stream(self.id, level, split, index)
        task = self.levels[level](rng)
        while split_of(self.id, task.content) != split:
            task = self.levels[level](rng)
        return Item(
            f"{self.id}/{split}/{index}",
            task.prompt,
            task.answer,
            gold=task.gold,
            data={**task.data, **level_data(self.asked_levels, level)},
        )


def said(reply: str) -> str:
    """Return what a reply says: what follows the last ``</think>``, without space around it.

    Example:
        >>> said("<think>4, 5 or 6</think> 5 ")
        '5'
    """
    return reply.rpartition("</think>")[2].strip()


def whole_number(reply: str) -> int | None:
    """Return the number that a reply consists of, if it is one number and nothing else.

    Example:
        >>> [whole_number(reply) for reply in ("15", " 15. ", "15 or 16", "It is 15")]
        [15, 15, None, None]
    """
    found = _NUMBER.fullmatch(said(reply))
    return int(found[1]) if found else None


def as_replies(replies: str | Sequence[str]) -> tuple[str, ...]:
    """Return the replies of an episode; one text is an episode of one reply."""
    return (replies,) if isinstance(replies, str) else tuple(replies)
