"""REINFORCE with a baseline (Williams, 1992, https://doi.org/10.1007/BF00992696).

    A_i = r_i - b_i
    L   = -mean_t A log pi

Where it departs from the paper:
1. The mean is over the tokens of an optimiser step instead of the sum over a completion's: the
   same direction, a length that does not grow with the completions'.
2. If an update makes several optimiser steps, those after the first use samples of the policy of a
   moment ago, without correction; ``minibatches=1`` makes it strictly on-policy.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bakeoff.algorithms.advantages import batch_mean, group_mean, leave_one_out, per_token
from bakeoff.algorithms.aggregation import token_mean
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.manifest import described, said, says
from bakeoff.algorithms.surrogates import log_probability
from bakeoff.types import Algorithm, Batch, Credit


def reinforce(
    *,
    baseline: Callable[[Tensor, Tensor], Tensor] = batch_mean,
    aggregate: Callable[[Tensor, Tensor], Tensor] = token_mean,
) -> Algorithm:
    """Return REINFORCE.

    Args:
        baseline: ``(reward_B, group_B) -> baseline_B``: no_baseline, batch_mean, group_mean,
            leave_one_out.
        aggregate: the weight of each token in the loss.

    Example:
        >>> reinforce().semantics["advantage"]
        'reward - mean of the batch'
    """

    @says(said(baseline))
    def advantages(batch: Batch) -> Credit:
        adv_B = batch.reward_B - baseline(batch.reward_B, batch.group_B)
        return Credit(per_token(adv_B, batch.mask_BT))

    return described(
        Algorithm(
            advantages=advantages,
            aggregate=aggregate,
            policy_loss=PolicyLoss(log_probability),
            min_group_size=2 if baseline in (group_mean, leave_one_out) else 1,
        )
    )
