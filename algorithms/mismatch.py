"""Corrections for a sampler whose probabilities differ from the training model's.

An engine in another precision, or with other kernels, writes tokens with probabilities that are
not quite those the gradient assumes. A correction is ``(log_ratio_BT, mask_BT, cap) -> weight_BT``
from ``log pi_train - log pi_sampler`` before the update; advantages are multiplied by it. Tokens of
weight 0 stay in the denominators. The KL term is not corrected (as in TRL).
"""

from __future__ import annotations

import torch
from torch import Tensor

from bakeoff.algorithms.manifest import says
from bakeoff.algorithms.ratios import geometric_ratio, sequence_ratio


@says("none")
def no_correction(log_ratio_BT: Tensor, mask_BT: Tensor, cap: float) -> Tensor:
    """Every weight is 1: the sampler's log-probabilities are taken for the training model's."""
    return torch.ones_like(log_ratio_BT)


@says("min(token ratio, {cap:g})")
def token_truncated(log_ratio_BT: Tensor, mask_BT: Tensor, cap: float) -> Tensor:
    """Truncated importance sampling by token, ``min(ratio, cap)`` (verl, OpenRLHF, NeMo-RL: tis).

    Example:
        >>> token_truncated(torch.tensor([[0.0, 3.0]]), torch.ones(1, 2), 2.0).tolist()
        [[1.0, 2.0]]
    """
    return log_ratio_BT.exp().clamp(max=cap)


@says("min(product of token ratios, {cap:g})")
def sequence_truncated(log_ratio_BT: Tensor, mask_BT: Tensor, cap: float) -> Tensor:
    """Truncated importance sampling by completion, ``min(product of ratios, cap)``."""
    return sequence_ratio(log_ratio_BT, mask_BT).exp().clamp(max=cap)


@says("0 for tokens whose ratio is outside [1/{cap:g}, {cap:g}], else the ratio")
def token_masked(log_ratio_BT: Tensor, mask_BT: Tensor, cap: float) -> Tensor:
    """The ratio, and 0 for tokens where it is beyond ``cap`` or ``1 / cap`` (IcePop).

    Example:
        >>> token_masked(torch.tensor([[0.0, 3.0]]), torch.ones(1, 2), 2.0).tolist()
        [[1.0, 0.0]]
    """
    ratio_BT = log_ratio_BT.exp()
    return ratio_BT.masked_fill((ratio_BT > cap) | (ratio_BT < 1 / cap), 0.0)


@says("0 for completions whose geometric mean ratio is outside [1/{cap:g}, {cap:g}], else 1")
def sequence_masked(log_ratio_BT: Tensor, mask_BT: Tensor, cap: float) -> Tensor:
    """1, and 0 for completions whose geometric mean ratio is beyond ``cap`` or ``1 / cap``.

    The mean and not the product: a product over a long completion is beyond any cap, so that TRL's
    ``sequence_mask`` throws long ones away.
    """
    ratio_BT = geometric_ratio(log_ratio_BT, mask_BT).exp()
    return ((ratio_BT <= cap) & (ratio_BT >= 1 / cap)).to(log_ratio_BT.dtype)
