"""What passes through gathering: a round of items that are asked, and what an update got."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bakeoff.training.judging import Episode
from bakeoff.training.overlap import Judge
from bakeoff.training.reports import Sample
from bakeoff.types import Batch, Item, Metrics


class Gathered(NamedTuple):
    """What one update asked and got.

    Attributes:
        samples: all completions, of all rounds; or the gold replies.
        greedy: the greedy replies, if the algorithm needs them.
        learned: those of the samples that are in the batch, in its order.
        batch: what is learned from; None if nothing is left.
        metrics: of all samples, and of what was kept.
    """

    samples: list[Sample]
    greedy: list[Sample]
    learned: list[Sample]
    batch: Batch | None
    metrics: Metrics


class Round(NamedTuple):
    """Items that are asked at once, before anything is written.

    Attributes:
        items: those that this process writes replies to.
        groups: the places, among the items of the update, of those whose replies it judges.
        greedy: how many greedy replies it judges, which come first.
        seed: of the samples' random numbers.
        judge: scores what is written.
    """

    items: list[Item]
    groups: list[int]
    greedy: int
    seed: int
    judge: Judge

    def judged(self, episodes: Sequence[Episode], n: int) -> tuple[list[Sample], list[Sample]]:
        """Return the greedy replies and the samples, ``n`` of each item, with their scores."""
        owners = self.groups[: self.greedy] + [group for group in self.groups for _ in range(n)]
        answers = self.judge.samples(episodes, owners)
        return answers[: self.greedy], answers[self.greedy :]
