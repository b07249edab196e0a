"""Estimators of KL(policy || reference) per token, and what each is good for.

An estimator is ``(delta_BT, log_ratio_BT) -> kl_BT``, with ``delta = log pi - log ref`` and
``log_ratio = log pi - log pi_old``, both with gradient. As a *loss*, its gradient matters and not
its value (http://joschu.net/blog/kl-approx.html is about the values):

    name           value, tokens of pi_old   its expected gradient at pi = pi_old is that of KL
    k1             unbiased at pi = pi_old   no: it is 0
    k2             biased                    yes
    k3             unbiased at pi = pi_old   no: it is that of KL(reference || policy)
    k1_weighted    unbiased                  yes, and at every other pi too
    k3_weighted    unbiased                  yes, and at every other pi too
    k3_straight    that of k3                yes: it is that of k2

``delta`` is within +-20 as every log-ratio is: beyond it no gradient flows. (verl, OpenRLHF, SkyRL
and NeMo-RL bound the value at 10 instead, TRL and open-instruct nothing.)

The default of TRL is k3_weighted, verl's ``k3+`` is k3_straight. In the *reward* there is no
gradient, and k1 is the exact form: see ``penalised_rewards`` in ``returns.py``.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bakeoff.algorithms.manifest import says

Kl = Callable[[Tensor, Tensor], Tensor]


@says("k1")
def k1(delta_BT: Tensor, log_ratio_BT: Tensor) -> Tensor:
    """``delta``: unbiased and of either sign; as a loss its expected gradient is 0."""
    return delta_BT


@says("k2")
def k2(delta_BT: Tensor, log_ratio_BT: Tensor) -> Tensor:
    """``delta^2 / 2``: biased, but with the gradient of KL when the tokens are the policy's."""
    return delta_BT**2 / 2


@says("k3")
def k3(delta_BT: Tensor, log_ratio_BT: Tensor) -> Tensor:
    """``exp(-delta) - 1 + delta``, never negative: GRPO's own (arXiv:2402.03300, eq. 4)."""
    return (-delta_BT).expm1() + delta_BT


@says("ratio * k1")
def k1_weighted(delta_BT: Tensor, log_ratio_BT: Tensor) -> Tensor:
    """``ratio * delta``: unbiased off-policy too, value and gradient."""
    return log_ratio_BT.exp() * delta_BT


@says("ratio * k3")
def k3_weighted(delta_BT: Tensor, log_ratio_BT: Tensor) -> Tensor:
    """``ratio * k3``: unbiased off-policy too, value and gradient, and never negative."""
    return log_ratio_BT.exp() * k3(delta_BT, log_ratio_BT)


@says("k3 with the gradient of k2")
def k3_straight(delta_BT: Tensor, log_ratio_BT: Tensor) -> Tensor:
    """The value of k3 with the gradient of k2 (straight through)."""
    half_square_BT = k2(delta_BT, log_ratio_BT)
    return half_square_BT + (k3(delta_BT, log_ratio_BT) - half_square_BT).detach()
