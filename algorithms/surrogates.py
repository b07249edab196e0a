"""Surrogates: what is minimised per token, given ratio, log-probability and advantage.

A surrogate is ``(ratio_BT, logp_BT, adv_BT) -> (loss_BT, clipped_BT)``; ``clipped_BT`` is true
where the ratio is beyond a bound, and None if there are no bounds. At a ratio of 1 each of them has
the gradient of ``-A log pi``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bakeoff.algorithms.manifest import says, silent_without_advantage

Surrogate = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor | None]]


def clipped(low: float, high: float, dual: float | None = None) -> Surrogate:
    """Return PPO's objective, ``-min(ratio * A, clamp(ratio, 1 - low, 1 + high) * A)``.

    Equal widths are PPO (arXiv:1707.06347, eq. 7); a wider ``high`` is DAPO's clip-higher
    (arXiv:2503.14476, eq. 10).

    Args:
        low, high: how far below and above 1 the ratio counts.
        dual: the bound ``c > 1`` of the dual clip (arXiv:1912.09729, eq. 5): the loss of a negative
            advantage is at most ``-c * A``, where the plain one has no bound. TRL's ``delta``.

    Example:
        >>> clipped(0.2, 0.28)(torch.tensor([1.5]), torch.zeros(1), torch.tensor([2.0]))[0].tolist()
        [-2.559999942779541]
    """
    bound = "" if dual is None else f", and at {dual:g} where the advantage is negative"

    @silent_without_advantage
    @says(f"ratio * advantage, clipped to [{1 - low:.10g}, {1 + high:.10g}]{bound}")
    def surrogate(ratio_BT: Tensor, logp_BT: Tensor, adv_BT: Tensor) -> tuple[Tensor, Tensor]:
        gain_BT = (ratio_BT * adv_BT).minimum(ratio_BT.clamp(1 - low, 1 + high) * adv_BT)
        clipped_BT = (ratio_BT < 1 - low) | (ratio_BT > 1 + high)
        if dual is not None:
            gain_BT = torch.where(adv_BT < 0, gain_BT.maximum(dual * adv_BT), gain_BT)
        return -gain_BT, clipped_BT

    return surrogate


def cispo(cap: float, floor: float = 0.0) -> Surrogate:
    """Return CISPO's objective, ``-sg(clamp(ratio, floor, cap)) * A * log pi``.

    https://arxiv.org/abs/2506.13585, eq. 4. No token loses its gradient; its weight is bounded. The
    bounds are absolute, as TRL's ``epsilon_high`` is; verl and NeMo-RL count them from 1.

    Example:
        >>> cispo(5.0)(torch.tensor([9.0]), torch.tensor([-0.5]), torch.tensor([1.0]))[0].tolist()
        [2.5]
    """

    @silent_without_advantage
    @says(f"stop-gradient(ratio within [{floor:g}, {cap:g}]) * advantage * log-probability")
    def surrogate(ratio_BT: Tensor, logp_BT: Tensor, adv_BT: Tensor) -> tuple[Tensor, Tensor]:
        weight_BT = ratio_BT.detach().clamp(floor, cap)
        clipped_BT = (ratio_BT < floor) | (ratio_BT > cap)
        return -weight_BT * adv_BT * logp_BT, clipped_BT

    return surrogate


def sapo(tau_positive: float, tau_negative: float) -> Surrogate:
    """Return SAPO's objective, ``-4 / tau * sigmoid(tau * (ratio - 1)) * A``.

    https://arxiv.org/abs/2511.20347. A gate in the place of a clip: the gradient fades as the
    ratio leaves 1, faster where the advantage is negative (a larger ``tau``).

    Example:
        >>> sapo(1.0, 1.05)(torch.ones(1), torch.zeros(1), torch.ones(1))[0].tolist()
        [-2.0]
    """

    @silent_without_advantage
    @says(
        f"4 / tau * sigmoid(tau * (ratio - 1)) * advantage, tau {tau_positive:g}, "
        f"or {tau_negative:g} where the advantage is negative"
    )
    def surrogate(ratio_BT: Tensor, logp_BT: Tensor, adv_BT: Tensor) -> tuple[Tensor, None]:
        tau_BT = torch.where(adv_BT > 0, tau_positive, tau_negative)
        gate_BT = 4 / tau_BT * (tau_BT * (ratio_BT - 1)).sigmoid()
        return -gate_BT * adv_BT, None

    return surrogate


@silent_without_advantage
@says("advantage * log-probability")
def log_probability(ratio_BT: Tensor, logp_BT: Tensor, adv_BT: Tensor) -> tuple[Tensor, None]:
    """``-A log pi``: its gradient is the policy gradient, with no ratio and no clip."""
    return -adv_BT * logp_BT, None
