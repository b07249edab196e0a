"""Episodes in, samples out: each completion with its score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bakeoff.training.reports import Sample
from bakeoff.types import Completion, Environment, Item, Score

Episode = tuple[Item, Completion]


def judged(
    environment: Environment, episodes: Sequence[Episode], groups: Sequence[int]
) -> list[Sample]:
    """Have the environment score some episodes, all in one call.

    Args:
        environment: judges them.
        episodes: items, and what was written.
        groups: which of the update's items each of them answers.
    """
    return samples(episodes, scores(environment, episodes), groups)


def scores(environment: Environment, episodes: Sequence[Episode]) -> list[Score]:
    """Return the scores of some episodes, judged in one call."""
    if not episodes:
        return []
    several = environment.turns > 1
    replies = [one.replies if several else one.text for _, one in episodes]
    found = environment.score_many([item for item, _ in episodes], replies)
    return [_finite(score) for _, score in zip(episodes, found, strict=True)]


def samples(
    episodes: Sequence[Episode], scores: Sequence[Score], groups: Sequence[int]
) -> list[Sample]:
    """Return episodes with their scores, and which of the update's items each of them answers."""
    return [
        Sample(item, completion, score, group)
        for (item, completion), score, group in zip(episodes, scores, groups, strict=True)
    ]


def _finite(score: Score) -> Score:
    """Return a score whose value is a finite number, or that has none."""
    if score.value is None:
        return score
    value = float(score.value)
    parts = {name: float(part) for name, part in score.parts.items()}
    if not math.isfinite(value):
        return replace(score, value=None, parts=parts, reason=f"the score is {value}")
    return replace(score, value=value, parts=parts)


def without_baseline(samples: Sequence[Sample], greedy: Sequence[Sample]) -> list[Sample]:
    """Return samples that lose their score where the greedy reply of their group has none.

    What they are compared with is missing: it is as if they could not be scored themselves.
    """
    missing = {s.group: s.score.reason for s in greedy if s.score.value is None}
    return [
        replace(
            one,
            score=replace(
                one.score,
                value=None,
                reason=f"the greedy reply could not be scored: {missing[one.group]}",
            ),
        )
        if one.group in missing and one.score.value is not None
        else one
        for one in samples
    ]
