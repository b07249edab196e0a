r"""The base of the procedural families: questions with levels, generated without end.

An item is drawn from a stream keyed by (id, level, split, index), until its content belongs to the
split (``split_of``); what is the same question in another order has the same content. A question
whose answer stands in it is not asked: copying must not pay.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from bakeoff.envs.levels import level_at, level_data, levels_of
from bakeoff.envs.math.boxes import INSTRUCTION, box_rewards
from bakeoff.envs.text_env import TextEnv, checked_split, split_of
from bakeoff.rewards import RewardFunction
from bakeoff.streams import stream
from bakeoff.types import Item


class Question(NamedTuple):
    """A question as it is asked, what it is in any order of its parts, and how it is answered.

    Attributes:
        text: the question, without the request for a box.
        content: the same for what counts as the same question.
        answer: the right answer.
        working: a line or two that lead to it, for the gold reply.
        data: what else the rewards need.
    """

    text: str
    content: str
    answer: str
    working: str
    data: Mapping[str, object] = MappingProxyType({})


Levels = Mapping[int, Callable[[random.Random], Question]]


class Family(TextEnv):
    """A family of generated questions. A subclass sets ``id``, ``levels`` and ``judge``.

    ``level`` is one level, or a range such as ``"1-3"``, whose levels are equally frequent.

    Attributes:
        levels: what draws a question, by level.
        judge: the reward function of the part ``correct``.
    """

    levels: ClassVar[Levels] = {}
    judge: ClassVar[RewardFunction]

    def __init__(
        self,
        *,
        level: int | str = 1,
        format_weight: float = 0.0,
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        super().__init__(split=split, render_mode=render_mode)
        self.level = level
        self.asked_levels = levels_of(level, self.levels)
        self.rewards = box_rewards(type(self).judge, format_weight)

    def size(self, split: str) -> int:
        """Return how many indexes the split has; easy levels repeat their few questions."""
        return {"train": 2**31, "eval": 2**16}[checked_split(split)]

    def item(self, index: int, split: str = "train") -> Item:
        """Return one question."""
        level = level_at(self.asked_levels, self.id, split, self._checked_index(index, split))
        rng = stream(self.id, level, split, index)
        draw = self.levels[level]
        question = draw(rng)
        while split_of(self.id, question.content) != split or _stands_in(question):
            question = draw(rng)
        return Item(
            f"{self.id}/{split}/{index}",
            f"{question.text}\n{INSTRUCTION}",
            question.answer,
            gold=f"{question.working}\n\\boxed{{{question.answer}}}",
            data={**question.data, **level_data(self.asked_levels, level)},
        )


def _stands_in(question: Question) -> bool:
    """Tell whether the answer stands in the question, as a number or term of its own."""
    answer = re.escape(question.answer)
    text = question.text.replace("- ", "-")
    return bool(re.search(rf"(?<![\w/.^]){answer}(?![\w/^]|\.[0-9])", text))
