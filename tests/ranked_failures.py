"""Environments that fail on one of several processes."""

from __future__ import annotations

import os
from collections.abc import Sequence

from small_world import EvenReplies

from bakeoff.types import Item, Score


class Unwell(EvenReplies):
    """Cannot judge on rank 1."""

    def score_many(self, items: Sequence[Item], replies: Sequence[str]) -> list[Score]:
        if os.environ.get("RANK") == "1":
            raise ValueError("the judge is unwell")
        return super().score_many(items, replies)
