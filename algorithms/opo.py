"""OPO: on-policy learning with the optimal baseline, https://arxiv.org/abs/2505.23585.

    A_i = r_i - sum_g |y| r / sum_g |y|
    L   = -1/B sum_i A_i sum_t log pi

The baseline has the least variance if the squared gradient of a completion's log-probability grows
with its length. The paper wants exact on-policy steps: ``--minibatches 1``.
"""

from __future__ import annotations

from bakeoff.algorithms.advantages import length_weighted_mean, per_token
from bakeoff.algorithms.aggregation import sequence_sum
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.manifest import described, says
from bakeoff.algorithms.surrogates import log_probability
from bakeoff.types import Algorithm, Batch, Credit


@says("reward - mean of the group, weighted by length")
def length_weighted_credit(batch: Batch) -> Credit:
    """OPO's credit: the length-weighted mean of the group subtracted."""
    length_B = batch.mask_BT.sum(1)
    adv_B = batch.reward_B - length_weighted_mean(batch.reward_B, batch.group_B, length_B)
    return Credit(per_token(adv_B, batch.mask_BT))


def opo() -> Algorithm:
    """Return OPO; it has no arguments of its own.

    Example:
        >>> opo().semantics["advantage"]
        'reward - mean of the group, weighted by length'
    """
    return described(
        Algorithm(
            advantages=length_weighted_credit,
            aggregate=sequence_sum,
            policy_loss=PolicyLoss(log_probability),
            min_group_size=2,
        )
    )
