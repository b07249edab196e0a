"""SAPO: soft adaptive policy optimisation, https://arxiv.org/abs/2511.20347.

    L = -1/B sum_i 1/|y_i| sum_t 4/tau sigmoid(tau (ratio - 1)) A,      A as in GRPO

A gate in the place of a clip: a token's gradient fades as its ratio leaves 1 and never stops at an
edge. It fades faster (a larger tau) where the advantage is negative.
"""

from __future__ import annotations

from bakeoff.algorithms.aggregation import sequence_mean
from bakeoff.algorithms.credit import group_credit
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.manifest import described
from bakeoff.algorithms.ranges import require
from bakeoff.algorithms.surrogates import sapo as surrogate
from bakeoff.types import Algorithm


def sapo(*, tau_positive: float = 1.0, tau_negative: float = 1.05) -> Algorithm:
    """Return SAPO.

    Args:
        tau_positive, tau_negative: how fast the gradient fades, by the sign of the advantage.

    Raises:
        ValueError: a value out of its range.

    Example:
        >>> sapo().semantics["ratio"]
        'per token, log-ratio within +-20'
    """
    require(tau_positive=(tau_positive, 0.01, None), tau_negative=(tau_negative, 0.01, None))
    return described(
        Algorithm(
            advantages=group_credit,
            aggregate=sequence_mean,
            policy_loss=PolicyLoss(surrogate(tau_positive, tau_negative)),
            min_group_size=2,
        )
    )
