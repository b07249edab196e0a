"""REINFORCE++: PPO's clip and whitening without a critic, https://arxiv.org/abs/2501.03262.

    reinforce++            A_t = whiten(sum_k gamma^k r_{t+k}),  r with - kl_coef k1 on every token
    reinforce++-baseline   A_i = whiten(r_i - mean_g)
    L = -mean_t min(ratio A, clip(ratio) A)  (+ kl_coef k2 in the loss, with the baseline)

The whitening is over all counted tokens of the batch, so long completions dominate its mean and
deviation. TRL's ``normalize_advantages`` whitens completions instead: that is another algorithm.
Where it departs from the paper: no KL term by default, and so no reference model.
"""

from __future__ import annotations

from bakeoff.algorithms.advantages import group_mean, per_token, whiten
from bakeoff.algorithms.aggregation import token_mean
from bakeoff.algorithms.kl import k2
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.manifest import described, says
from bakeoff.algorithms.ranges import require
from bakeoff.algorithms.returns import discounted_return, penalised_rewards
from bakeoff.algorithms.surrogates import clipped
from bakeoff.types import Algorithm, Batch, Credit


def reinforce_pp(*, clip: float = 0.2, gamma: float = 1.0, kl_coef: float = 0.0) -> Algorithm:
    """Return REINFORCE++.

    Args:
        clip: half-width of the interval around 1 in which the ratio counts.
        gamma: discount per token.
        kl_coef: weight of k1 of KL(policy || reference) in the reward; 0 loads no reference model.

    Raises:
        ValueError: a value out of its range.

    Example:
        >>> reinforce_pp().semantics["advantage"]
        'return (gamma 1), whitened over tokens (ddof 1, variance + 1e-8)'
    """
    require(clip=(clip, 0, 1), gamma=(gamma, 0, 1), kl_coef=(kl_coef, 0, None))
    penalty = f" of reward - {kl_coef:g} * k1 to the reference" if kl_coef else ""

    @says(f"return (gamma {gamma:g}){penalty}, whitened over tokens (ddof 1, variance + 1e-8)")
    def advantages(batch: Batch) -> Credit:
        reward_BT = penalised_rewards(batch, kl_coef)
        return_BT = discounted_return(reward_BT, batch.mask_BT, gamma=gamma)
        return Credit(whiten(return_BT, batch.mask_BT))

    return described(
        Algorithm(
            advantages=advantages,
            aggregate=token_mean,
            policy_loss=PolicyLoss(clipped(clip, clip)),
            needs_reference=kl_coef > 0,
        )
    )


@says("reward - mean of the group, whitened over tokens (ddof 1, variance + 1e-8)")
def whitened_group_credit(batch: Batch) -> Credit:
    """REINFORCE++-baseline's credit: the group's mean subtracted, then whitened."""
    adv_B = batch.reward_B - group_mean(batch.reward_B, batch.group_B)
    return Credit(whiten(per_token(adv_B, batch.mask_BT), batch.mask_BT))


def reinforce_pp_baseline(*, clip: float = 0.2, kl_coef: float = 0.0) -> Algorithm:
    """Return REINFORCE++-baseline.

    Args:
        clip: half-width of the interval around 1 in which the ratio counts.
        kl_coef: weight of k2 of KL(policy || reference) in the loss; 0 loads no reference model.

    Raises:
        ValueError: a value out of its range.

    Example:
        >>> reinforce_pp_baseline(kl_coef=0.01).semantics["kl"]
        '0.01 * k2 of policy to reference, in the loss'
    """
    require(clip=(clip, 0, 1), kl_coef=(kl_coef, 0, None))
    return described(
        Algorithm(
            advantages=whitened_group_credit,
            aggregate=token_mean,
            policy_loss=PolicyLoss(clipped(clip, clip), kl=k2, kl_coef=kl_coef),
            needs_reference=kl_coef > 0,
            min_group_size=2,
        )
    )
