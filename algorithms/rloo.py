"""RLOO: REINFORCE with a leave-one-out baseline, https://arxiv.org/abs/2402.14740 (eq. 5).

    A_i = R_i - mean of the others' R,      R_i = score_i - kl_coef sum_t (log pi_old - log ref)
    L   = -1/B sum_i A_i sum_t log pi

The completion is the action: its log-probability is a sum over its tokens, and there is neither
ratio nor clip. Elsewhere the name means other losses: TRL clips the ratio of the whole completion,
verl and OpenRLHF use the advantage in PPO's clipped loss per token.
"""

from __future__ import annotations

from bakeoff.algorithms.advantages import leave_one_out, per_token
from bakeoff.algorithms.aggregation import sequence_sum
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.manifest import described, says
from bakeoff.algorithms.ranges import require
from bakeoff.algorithms.ratios import log_ratio
from bakeoff.algorithms.surrogates import log_probability
from bakeoff.types import Algorithm, Batch, Credit


def rloo(*, kl_coef: float = 0.0) -> Algorithm:
    """Return RLOO.

    Args:
        kl_coef: weight of k1 of KL(policy || reference) in the reward; 0 loads no reference model.

    Raises:
        ValueError: a value out of its range.

    Example:
        >>> rloo().semantics["aggregation"]
        "sum over a completion's tokens, mean over completions, over one optimiser step"
    """
    require(kl_coef=(kl_coef, 0, None))
    penalty = f", reward less {kl_coef:g} * sum of k1 to the reference" if kl_coef else ""

    @says(f"reward - mean of the other completions of the item{penalty}")
    def advantages(batch: Batch) -> Credit:
        reward_B = batch.reward_B
        if kl_coef:
            assert batch.logp_ref_BT is not None
            k1_BT = log_ratio(batch.logp_old_BT, batch.logp_ref_BT, batch.mask_BT)
            reward_B = reward_B - kl_coef * k1_BT.sum(1)
        adv_B = reward_B - leave_one_out(reward_B, batch.group_B)
        return Credit(per_token(adv_B, batch.mask_BT))

    return described(
        Algorithm(
            advantages=advantages,
            aggregate=sequence_sum,
            policy_loss=PolicyLoss(log_probability),
            needs_reference=kl_coef > 0,
            min_group_size=2,
        )
    )
