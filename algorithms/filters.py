"""Filters: which completions of a batch are learned from, ``keep_B``, before credit is assigned."""

from __future__ import annotations

from torch import Tensor

from bakeoff.algorithms.advantages import group_std
from bakeoff.algorithms.manifest import says
from bakeoff.types import Batch


@says("groups without spread are dropped")
def spread(batch: Batch) -> Tensor:
    """Keep the groups whose rewards are not all the same (DAPO, arXiv:2503.14476, eq. 11).

    The deviation is exact (float64), so that equal rewards never count as spread.
    """
    return group_std(batch.reward_B, batch.group_B) > 0


@says("truncated completions are dropped")
def finished(batch: Batch) -> Tensor:
    """Keep the completions that ended by themselves: a cut one might still have been right."""
    return batch.truncated_B == 0


def reaches(batch: Batch, reward: float) -> Tensor:
    """Return which completions have at least a reward, but for rounding: ``right_B``."""
    return batch.reward_B >= reward - 1e-6
