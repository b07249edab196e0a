"""An environment whose scores come of programs that run, in a sandbox of each process."""

from __future__ import annotations

from collections.abc import Sequence

from small_world import EvenReplies

from bakeoff.rewards.code import Call, CallTests, score_many
from bakeoff.types import Item, Score

EVEN = "def even(text):\n    return text[:1] in list('02468')"


class Programs(EvenReplies):
    """Pays for what a program finds even."""

    def score_many(self, items: Sequence[Item], replies: Sequence[str]) -> list[Score]:
        jobs = [(EVEN, CallTests("even", [Call((reply,), True)])) for reply in replies]
        return [Score(verdict.parts["passed"], {}) for verdict in score_many(jobs)]
