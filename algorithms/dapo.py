"""DAPO: decoupled clip and dynamic sampling, https://arxiv.org/abs/2503.14476 (section 3).

    r_i = score_i + overlong penalty                     0 to -1 over the last fifth of the room
    A_i = (r_i - mean_g) / (std_g + eps)
    L   = -mean_t min(ratio A, clamp(ratio, 1 - low, 1 + high) A)

Groups whose scores are all equal leave the batch, and others are sampled in their place.

Where it departs from the paper:
1. The paper samples until the batch is full; here at most ``refill`` further rounds are sampled.
2. The penalty is added after the groups were chosen, so that length alone is no spread.
"""

from __future__ import annotations

from bakeoff.algorithms.advantages import group_normalised, per_token
from bakeoff.algorithms.aggregation import token_mean
from bakeoff.algorithms.filters import spread
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.manifest import described, says
from bakeoff.algorithms.ranges import require, require_whole
from bakeoff.algorithms.returns import overlong_penalty
from bakeoff.algorithms.surrogates import clipped
from bakeoff.types import Algorithm, Batch, Credit


def dapo(
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.28,
    overlong_buffer: float = 0.2,
    refill: int = 3,
) -> Algorithm:
    """Return DAPO.

    Args:
        clip_low, clip_high: how far below and above 1 the ratio counts.
        overlong_buffer: the share of the room over which the penalty of long completions rises; 0
            for none.
        refill: rounds of further items that may take the place of groups without spread.

    Raises:
        ValueError: a value out of its range.

    Example:
        >>> dapo().semantics["surrogate"]
        'ratio * advantage, clipped to [0.8, 1.28]'
    """
    require(clip_low=(clip_low, 0, 1), clip_high=(clip_high, 0, None))
    require(overlong_buffer=(overlong_buffer, 0, 1))
    require_whole("refill", refill, 0)
    shaping = (
        f"reward less up to 1 over the last {overlong_buffer:g} of the room"
        if overlong_buffer
        else "reward"
    )

    @says(f"({shaping} - mean of the group) / (std of the group, ddof 1, + 1e-6)")
    def advantages(batch: Batch) -> Credit:
        length_B = batch.mask_BT.sum(1)
        reward_B = batch.reward_B + overlong_penalty(length_B, batch.limit_B, overlong_buffer)
        return Credit(per_token(group_normalised(reward_B, batch.group_B), batch.mask_BT))

    return described(
        Algorithm(
            advantages=advantages,
            aggregate=token_mean,
            policy_loss=PolicyLoss(clipped(clip_low, clip_high)),
            keep=spread,
            refill=refill,
            min_group_size=2,
        )
    )
