"""VAPO's parts on top of PPO, https://arxiv.org/abs/2504.05118 (section 4).

    A   = GAE(lambda = 1 - 1/(alpha |y|)), whitened          length-adaptive, for the policy
    R   = GAE(lambda = 1) + V_old                            decoupled, for the critic
    L   = -mean_t min(ratio A, clamp(ratio, 1 - low, 1 + high) A) - mu mean_{t in right} log pi

The first updates train the critic alone (value pretraining, after VC-PPO, arXiv:2503.01491), on
samples of the policy that has not moved yet; they count as updates, for a fair comparison. How many
there are is ``critic_warmup``, an option of every algorithm with a critic; here it is 5.

Where it departs from the paper: the warm-up is short (the paper's is 50 steps), and "right" is a
reward of at least ``right``.
"""

from __future__ import annotations

from torch import Tensor

from bakeoff.algorithms.advantages import whiten
from bakeoff.algorithms.aggregation import token_mean
from bakeoff.algorithms.filters import reaches
from bakeoff.algorithms.losses import PolicyLoss, clipped_value_loss
from bakeoff.algorithms.manifest import described, says
from bakeoff.algorithms.ranges import require
from bakeoff.algorithms.returns import gae, length_adaptive_lambda, on_last_token
from bakeoff.algorithms.surrogates import clipped
from bakeoff.types import Algorithm, Batch, Credit, CriticPlan


def vapo(
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.28,
    clip_value: float = 0.2,
    alpha: float = 0.05,
    imitation_coef: float = 0.1,
    right: float = 1.0,
) -> Algorithm:
    """Return VAPO.

    Args:
        clip_low, clip_high: how far below and above 1 the ratio counts.
        clip_value: how far a value may move from the old one before it stops counting.
        alpha: lambda of the policy's GAE is ``1 - 1 / (alpha * length)``.
        imitation_coef: weight of the log-likelihood of right completions.
        right: the reward from which a completion is right.

    Raises:
        ValueError: a value out of its range.

    Example:
        >>> vapo().semantics["imitation"]
        '0.1 * mean log-probability of tokens of completions with a reward of at least 1'
    """
    require(clip_low=(clip_low, 0, 1), clip_high=(clip_high, 0, None))
    require(clip_value=(clip_value, 0, None), alpha=(alpha, 1e-6, None))
    require(imitation_coef=(imitation_coef, 0, None), right=(right, 0, None))

    @says(
        f"GAE (gamma 1, lambda 1 - 1/({alpha:g} * length), at least 0; 1 for the critic's target), "
        "whitened over tokens (ddof 1, variance + 1e-8)"
    )
    def advantages(batch: Batch) -> Credit:
        assert batch.value_BT is not None
        reward_BT, mask_BT = on_last_token(batch.reward_B, batch.mask_BT), batch.mask_BT
        lam_B = length_adaptive_lambda(mask_BT, alpha)
        adv_BT = gae(reward_BT, batch.value_BT, mask_BT, gamma=1.0, lam=lam_B)
        full_BT = gae(reward_BT, batch.value_BT, mask_BT, gamma=1.0, lam=1.0)
        return Credit(whiten(adv_BT, mask_BT), (full_BT + batch.value_BT) * mask_BT)

    @says(
        f"{imitation_coef:g} * mean log-probability of tokens of completions "
        f"with a reward of at least {right:g}"
    )
    def imitation(batch: Batch) -> Tensor:
        right_BT = batch.mask_BT * reaches(batch, right)[:, None]
        return token_mean(right_BT, batch.limit_B)

    return described(
        Algorithm(
            advantages=advantages,
            aggregate=token_mean,
            policy_loss=PolicyLoss(clipped(clip_low, clip_high), imitation_coef=imitation_coef),
            critic=CriticPlan(clipped_value_loss(clip_value), warmup=5),
            imitation=imitation if imitation_coef else None,
        )
    )
