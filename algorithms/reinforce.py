"""REINFORCE with a baseline (Williams, 1992, https://doi.org/10.1007/BF00992696).

    A_i = r_i - b_i
    L   = -mean_t A log pi

Where it departs from the paper:
1. The mean is over the tokens of an optimiser step instead of the sum over a completion's: the
   same direction, a length that does not grow with the completions'.
2. If an update makes several optimiser steps, those after the first use samples of the policy of a
   moment ago, without correction; ``minibatches=1`` makes it strictly on-policy.

``baseline=leave_one_out`` is RLOO's advantage, https://arxiv.org/abs/2402.14740.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bakeoff.algorithms.advantages import batch_mean, leave_one_out, no_baseline, per_token
from bakeoff.algorithms.aggregation import token_mean
from bakeoff.algorithms.losses import policy_gradient_loss
from bakeoff.algorithms.ranges import require_whole
from bakeoff.types import Algorithm, Batch, Credit

DESCRIPTIONS: dict[Callable[[Tensor, Tensor], Tensor], str] = {
    no_baseline: "reward",
    batch_mean: "reward - mean of the batch",
    leave_one_out: "reward - mean of the other completions of the item",
}


def reinforce(
    *,
    baseline: Callable[[Tensor, Tensor], Tensor] = batch_mean,
    aggregate: Callable[[Tensor], Tensor] = token_mean,
    epochs: int = 1,
) -> Algorithm:
    """Return REINFORCE.

    Args:
        baseline: ``(reward_B, group_B) -> baseline_B``: no_baseline, batch_mean, leave_one_out.
        aggregate: the weight of each token in the loss.
        epochs: passes over one batch.

    Raises:
        ValueError: a value out of its range.
    """
    require_whole("epochs", epochs, 1)

    def advantages(batch: Batch) -> Credit:
        adv_B = batch.reward_B - baseline(batch.reward_B, batch.group_B)
        return Credit(per_token(adv_B, batch.mask_BT))

    return Algorithm(
        advantages=advantages,
        aggregate=aggregate,
        policy_loss=policy_gradient_loss,
        min_group_size=2 if baseline is leave_one_out else 1,
        epochs=epochs,
        semantics={
            "advantage": DESCRIPTIONS.get(baseline, f"reward - {baseline.__name__}"),
            "ratio": "none",
            "surrogate": "none: advantage * log-probability",
            "aggregation": aggregate.__name__ + " over one optimiser step",
            "kl": "none",
            "critic": "none",
            "epochs": epochs,
        },
    )
