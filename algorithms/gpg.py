"""GPG: group policy gradient, https://arxiv.org/abs/2504.02546.

    A_i = alpha (r_i - mean_g),      alpha = B / completions in groups with spread
    L   = -mean_t A log pi

Groups without spread add to the denominator and not to the gradient; alpha makes up for them. verl
counts the rewards that are not 0 in their place.
"""

from __future__ import annotations

from bakeoff.algorithms.advantages import group_mean, per_token, spread_scale
from bakeoff.algorithms.aggregation import token_mean
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.manifest import described, says
from bakeoff.algorithms.surrogates import log_probability
from bakeoff.types import Algorithm, Batch, Credit


@says("(reward - mean of the group) * completions / completions in groups with spread")
def scaled_credit(batch: Batch) -> Credit:
    """GPG's credit: the group's mean subtracted, scaled up for the groups without spread."""
    adv_B = batch.reward_B - group_mean(batch.reward_B, batch.group_B)
    scale = spread_scale(batch.reward_B, batch.group_B)
    return Credit(per_token(scale * adv_B, batch.mask_BT))


def gpg() -> Algorithm:
    """Return GPG; it has no arguments of its own.

    Example:
        >>> gpg().semantics["surrogate"]
        'advantage * log-probability'
    """
    return described(
        Algorithm(
            advantages=scaled_credit,
            aggregate=token_mean,
            policy_loss=PolicyLoss(log_probability),
            min_group_size=2,
        )
    )
