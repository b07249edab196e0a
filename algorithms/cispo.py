"""CISPO: clipped importance-sampling weights, https://arxiv.org/abs/2506.13585 (eq. 4, 5).

    L = -mean_t stop_gradient(clamp(ratio, 0, cap)) A log pi,      A as in GRPO

No token loses its gradient, as it does where PPO clips; only its weight is bounded. The cap is
absolute: 5 means a ratio of 5, as in TRL's ``epsilon_high``. verl and NeMo-RL write 1 + eps, and
bound the weight from below at 1 - eps too.
"""

from __future__ import annotations

from bakeoff.algorithms.aggregation import token_mean
from bakeoff.algorithms.credit import group_credit
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.manifest import described
from bakeoff.algorithms.ranges import require
from bakeoff.algorithms.surrogates import cispo as surrogate
from bakeoff.types import Algorithm


def cispo(*, cap: float = 5.0, floor: float = 0.0) -> Algorithm:
    """Return CISPO.

    Args:
        cap: the largest weight of a token.
        floor: the smallest.

    Raises:
        ValueError: a value out of its range.

    Example:
        >>> cispo(cap=2).semantics["surrogate"]
        'stop-gradient(ratio within [0, 2]) * advantage * log-probability'
    """
    require(cap=(cap, 1, None), floor=(floor, 0, 1))
    return described(
        Algorithm(
            advantages=group_credit,
            aggregate=token_mean,
            policy_loss=PolicyLoss(surrogate(cap, floor)),
            min_group_size=2,
        )
    )
