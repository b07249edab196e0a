"""MaxRL: towards the maximum likelihood of success, https://arxiv.org/abs/2602.02710.

    A_i = (r_i - mean_g) / mean_g
    L   = -1/B sum_i A_i sum_t log pi

Dividing by the mean weighs an item by the inverse of its solve rate: the gradient goes from that of
the expected reward towards that of its logarithm as groups grow. Rewards must not be negative; a
group whose mean is 0 teaches nothing.
"""

from __future__ import annotations

from bakeoff.algorithms.advantages import mean_normalised, per_token
from bakeoff.algorithms.aggregation import sequence_sum
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.manifest import described, says
from bakeoff.algorithms.surrogates import log_probability
from bakeoff.types import Algorithm, Batch, Credit


@says("(reward - mean of the group) / mean of the group, 0 unless the mean is above 0")
def mean_normalised_credit(batch: Batch) -> Credit:
    """MaxRL's credit: the group's mean subtracted, divided by the mean."""
    return Credit(per_token(mean_normalised(batch.reward_B, batch.group_B), batch.mask_BT))


def maxrl() -> Algorithm:
    """Return MaxRL; it has no arguments of its own.

    Example:
        >>> maxrl().semantics["ratio"]
        'none'
    """
    return described(
        Algorithm(
            advantages=mean_normalised_credit,
            aggregate=sequence_sum,
            policy_loss=PolicyLoss(log_probability),
            min_group_size=2,
        )
    )
