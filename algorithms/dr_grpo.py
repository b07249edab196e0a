"""Dr. GRPO: GRPO without its two biases, https://arxiv.org/abs/2503.20783 (section 3.2).

    A_i = r_i - mean_g
    L   = -1/(B T_max) sum_i sum_t min(ratio A, clip(ratio) A)

The deviation is gone, which weighs easy and hard items up, and so is the mean over a completion's
own length, which makes long wrong answers cheap. T_max is the number of tokens a completion may
have in this run. Both halves are needed for the name: TRL's ``loss_type="dr_grpo"`` keeps the
deviation, OpenRLHF's ``dr_grpo`` keeps the mean over tokens.
"""

from __future__ import annotations

from bakeoff.algorithms.aggregation import sequence_constant
from bakeoff.algorithms.grpo import grpo
from bakeoff.types import Algorithm


def dr_grpo(*, clip: float = 0.2) -> Algorithm:
    """Return Dr. GRPO.

    Args:
        clip: half-width of the interval around 1 in which the ratio counts.

    Raises:
        ValueError: a value out of its range.

    Example:
        >>> dr_grpo().semantics["advantage"]
        'reward - mean of the group'
    """
    return grpo(clip=clip, scale_by_std=False, aggregate=sequence_constant)
