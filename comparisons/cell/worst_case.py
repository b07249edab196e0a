"""The most memory that a run may need: replies that never end, and no group without spread.

What is foretold is of such a run. Its scores mean nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bakeoff.models.loading import LanguageModel
from bakeoff.types import Item, Score


@dataclass(frozen=True)
class Endless(LanguageModel):
    """A language model whose replies are as long as they may be."""

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """A token that is not in the vocabulary: it ends a reply, and is never written."""
        return (int(self.model.config.get_text_config().vocab_size),)

    @property
    def pad_id(self) -> int:
        """The token that fills up rows; it is never looked at."""
        return 0


class Spread:
    """An environment that scores replies 0 and 1 in turns, whatever they say."""

    def __init__(self, environment: Any) -> None:
        """Ask what ``environment`` asks."""
        self._environment, self._number = environment, itertools.count()

    def __getattr__(self, name: str) -> Any:
        """Return whatever else the environment has."""
        return getattr(self._environment, name)

    def score_many(
        self, items: Sequence[Item], replies: Sequence[str | Sequence[str]]
    ) -> list[Score]:
        """Score replies 0 and 1 in turns."""
        values = [float(next(self._number) % 2) for _ in items]
        return [Score(value, {"turn": value}) for value in values]
