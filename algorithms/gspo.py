"""GSPO: group sequence policy optimisation, https://arxiv.org/abs/2507.18071 (eq. 5 to 7).

    s_i = exp(1/|y_i| sum_t log ratio_it)
    L   = -1/B sum_i min(s_i A_i, clamp(s_i, 1 - low, 1 + high) A_i),      A_i as in GRPO

The ratio is of the whole completion, so a completion is clipped as a whole or not at all. A mean of
log-ratios hardly moves, so the bounds are a thousand times narrower than PPO's: with the 0.2 that
other libraries leave in place the clip never acts.
"""

from __future__ import annotations

from bakeoff.algorithms.aggregation import sequence_mean
from bakeoff.algorithms.credit import group_credit
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.manifest import described
from bakeoff.algorithms.ranges import require
from bakeoff.algorithms.ratios import geometric_ratio
from bakeoff.algorithms.surrogates import clipped
from bakeoff.types import Algorithm


def gspo(*, clip_low: float = 3e-4, clip_high: float = 4e-4) -> Algorithm:
    """Return GSPO.

    Args:
        clip_low, clip_high: how far below and above 1 the ratio counts.

    Raises:
        ValueError: a value out of its range.

    Example:
        >>> gspo().semantics["ratio"]
        "geometric mean over the completion's tokens, log-ratio within +-20"
    """
    require(clip_low=(clip_low, 0, 1), clip_high=(clip_high, 0, None))
    return described(
        Algorithm(
            advantages=group_credit,
            aggregate=sequence_mean,
            policy_loss=PolicyLoss(clipped(clip_low, clip_high), level=geometric_ratio),
            min_group_size=2,
        )
    )
