"""GRPO: group-relative policy optimisation, https://arxiv.org/abs/2402.03300 (section 4.1).

    A_i = (r_i - mean_g) / (std_g + eps)                        the same for every token of i
    L   = -1/B sum_i 1/|y_i| sum_t min(ratio A, clip(ratio) A) + kl_coef * KL(policy || reference)

Where it departs from the paper:
1. The KL term is off by default, as in TRL and verl, and no reference model is loaded then.
2. The deviation has ddof 1 and eps 1e-6, as in verl; the paper does not say.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bakeoff.algorithms.advantages import group_mean, group_std, per_token
from bakeoff.algorithms.aggregation import sequence_mean
from bakeoff.algorithms.losses import clipped_policy_loss
from bakeoff.algorithms.ranges import require, require_flag, require_whole
from bakeoff.types import Algorithm, Batch, Credit


def grpo(
    *,
    clip: float = 0.2,
    scale_by_std: bool = True,
    kl_coef: float = 0.0,
    aggregate: Callable[[Tensor], Tensor] = sequence_mean,
    epochs: int = 1,
) -> Algorithm:
    """Return GRPO.

    Args:
        clip: half-width of the interval around 1 in which the ratio counts.
        scale_by_std: divide by the group's standard deviation.
        kl_coef: weight of the k3 estimate of KL(policy || reference) in the loss; 0 loads no
            reference model.
        aggregate: the weight of each token in the loss.
        epochs: passes over one batch.

    Raises:
        ValueError: a value out of its range.
    """
    require(clip=(clip, 0, 1), kl_coef=(kl_coef, 0, None))
    require_whole("epochs", epochs, 1)
    require_flag("scale_by_std", scale_by_std)

    def advantages(batch: Batch) -> Credit:
        adv_B = batch.reward_B - group_mean(batch.reward_B, batch.group_B)
        if scale_by_std:
            adv_B = adv_B / (group_std(batch.reward_B, batch.group_B) + 1e-6)
        return Credit(per_token(adv_B, batch.mask_BT))

    scale = " / (std of the group, ddof 1, + 1e-6)" if scale_by_std else ""
    return Algorithm(
        advantages=advantages,
        aggregate=aggregate,
        policy_loss=clipped_policy_loss(clip, kl_coef),
        needs_reference=kl_coef > 0,
        min_group_size=2,
        epochs=epochs,
        semantics={
            "advantage": f"(reward - mean of the group){scale}",
            "ratio": "per token, to the sampler's log-probabilities, log-ratio within +-20",
            "surrogate": f"clipped to [{1 - clip:g}, {1 + clip:g}]",
            "aggregation": aggregate.__name__ + " over one optimiser step",
            "kl": f"{kl_coef:g} * k3(policy || reference) in the loss" if kl_coef else "none",
            "critic": "none",
            "epochs": epochs,
        },
    )
