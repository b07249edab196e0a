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

from bakeoff.algorithms.aggregation import sequence_mean
from bakeoff.algorithms.credit import centred_credit, group_credit
from bakeoff.algorithms.kl import Kl, k3
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.manifest import described
from bakeoff.algorithms.ranges import require, require_flag
from bakeoff.algorithms.surrogates import clipped
from bakeoff.types import Algorithm


def grpo(
    *,
    clip: float = 0.2,
    scale_by_std: bool = True,
    kl_coef: float = 0.0,
    kl: Kl = k3,
    aggregate: Callable[[Tensor, Tensor], Tensor] = sequence_mean,
) -> Algorithm:
    """Return GRPO.

    Args:
        clip: half-width of the interval around 1 in which the ratio counts.
        scale_by_std: divide by the group's standard deviation.
        kl_coef: weight of the estimate of KL(policy || reference) in the loss; 0 loads no
            reference model.
        kl: the estimator: k1, k2, k3, k1_weighted, k3_weighted, k3_straight.
        aggregate: the weight of each token in the loss.

    Raises:
        ValueError: a value out of its range.

    Example:
        >>> grpo(clip=0.1, scale_by_std=False).semantics["advantage"]
        'reward - mean of the group'
    """
    require(clip=(clip, 0, 1), kl_coef=(kl_coef, 0, None))
    require_flag("scale_by_std", scale_by_std)
    if kl is not k3 and not kl_coef:
        raise ValueError("kl is of no use without kl_coef: set it, for example to 0.04")

    return described(
        Algorithm(
            advantages=group_credit if scale_by_std else centred_credit,
            aggregate=aggregate,
            policy_loss=PolicyLoss(clipped(clip, clip), kl=kl, kl_coef=kl_coef),
            needs_reference=kl_coef > 0,
            min_group_size=2,
        )
    )
