"""Which trial an algorithm is given: the one with the best held-out score over the tuning seeds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from bakeoff.comparisons.report.measures import number
from bakeoff.comparisons.results import Row, groups


class Choice(NamedTuple):
    """What a trial came to, for one algorithm.

    Attributes:
        trial: its number; 0 has the defaults.
        score: mean held-out score over environments, models and seeds.
        flops: mean model FLOPs of a run.
    """

    trial: int
    score: float
    flops: float


def choose(rows: Sequence[Row]) -> Choice | None:
    """Return the best trial: the highest score, then the lower cost, then the earlier one.

    A trial of which a run failed is not chosen, whatever the others came to: settings that diverge
    from one seed in two are not good ones. Ties are common where a score is a share of few items;
    they go to the trial that needed fewer FLOPs, which, unlike seconds, are the same on every day.

    Args:
        rows: those of ``tuning.csv`` for one algorithm.

    Returns:
        The best trial, or None if a run failed in every one.

    Example:
        >>> run = {"status": "ok", "train_flops": 10}
        >>> choose([{**run, "trial": k, "score": score} for k, score in enumerate([0.5, 0.75])])
        Choice(trial=1, score=0.75, flops=10.0)
    """
    found = [came_to(own) for _, own in groups(rows, "trial")]
    whole = [choice for choice in found if choice is not None]
    return min(whole, key=lambda c: (-c.score, c.flops, c.trial), default=None)


def came_to(rows: Sequence[Row]) -> Choice | None:
    """Return what the runs of one trial came to; None if one of them failed.

    Args:
        rows: those of ``tuning.csv`` for one algorithm and trial.
    """
    scores = [number(row["score"]) for row in rows if row["status"] == "ok"]
    known = [score for score in scores if score is not None]
    if len(known) < len(rows):
        return None
    flops = fmean(number(row["train_flops"]) or 0.0 for row in rows)
    return Choice(int(rows[0]["trial"]), fmean(known), flops)
