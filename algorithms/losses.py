"""Losses: pure functions of per-token tensors.

Each ``*_loss`` returns the loss as a weighted sum over ``batch.weight_BT`` and a dict of metrics
that are plain *sums over counted tokens*; the loop adds both up over micro-batches and divides the
metrics by the number of tokens.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bakeoff.types import Batch, Metrics

LOG_RATIO_BOUND = 20.0


def log_ratio(logp_BT: Tensor, logp_old_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Log of the probability ratio, ``logp - logp_old``, within +-20 and 0 where nothing counts.

    The bound keeps ``exp`` of it finite; no gradient flows beyond it. Padding is set to 0 rather
    than multiplied by it, because ``0 * inf`` is not 0.
    """
    return (
        (logp_BT - logp_old_BT)
        .masked_fill(mask_BT == 0, 0.0)
        .clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)
    )


def clipped_surrogate(ratio_BT: Tensor, adv_BT: Tensor, clip: float) -> Tensor:
    """PPO's objective per token, to be minimised (arXiv:1707.06347, eq. 7).

    ``-min(ratio * A, clamp(ratio, 1 - clip, 1 + clip) * A)``

    Example:
        >>> clipped_surrogate(torch.tensor([1.5]), torch.tensor([2.0]), 0.2).tolist()
        [-2.4000000953674316]
    """
    return -(ratio_BT * adv_BT).minimum(ratio_BT.clamp(1 - clip, 1 + clip) * adv_BT)


def k3(log_ratio_BT: Tensor) -> Tensor:
    """Schulman's estimator of KL(p || q) per token, with ``log_ratio = log q - log p``.

    ``exp(log_ratio) - 1 - log_ratio``, never negative; unbiased when the tokens are p's
    (http://joschu.net/blog/kl-approx.html).
    """
    return log_ratio_BT.expm1() - log_ratio_BT


def clipped_policy_loss(
    clip: float, kl_coef: float = 0.0
) -> Callable[[Batch, Tensor], tuple[Tensor, Metrics]]:
    """Return the loss ``sum w * (clipped surrogate + kl_coef * k3(policy || reference))``."""

    def loss(batch: Batch, logp_BT: Tensor) -> tuple[Tensor, Metrics]:
        assert batch.weight_BT is not None and batch.adv_BT is not None
        log_ratio_BT = log_ratio(logp_BT, batch.logp_old_BT, batch.mask_BT)
        ratio_BT = log_ratio_BT.exp()
        per_token_BT = clipped_surrogate(ratio_BT, batch.adv_BT, clip)
        clipped_BT = (ratio_BT - 1).abs() > clip
        sums = {"clip_frac": float(clipped_BT.sum()), **_kl_sums(log_ratio_BT)}
        if kl_coef:
            assert batch.logp_ref_BT is not None
            kl_BT = k3(log_ratio(batch.logp_ref_BT, logp_BT, batch.mask_BT))
            per_token_BT = per_token_BT + kl_coef * kl_BT
            sums["kl_ref"] = float(kl_BT.detach().sum())
        return (batch.weight_BT * per_token_BT).sum(), sums

    return loss


def policy_gradient_loss(batch: Batch, logp_BT: Tensor) -> tuple[Tensor, Metrics]:
    """``-sum w * A * log pi``: its gradient is the policy gradient, with no ratio and no clip."""
    assert batch.weight_BT is not None and batch.adv_BT is not None
    per_token_BT = -(batch.adv_BT * logp_BT).masked_fill(batch.mask_BT == 0, 0.0)
    log_ratio_BT = log_ratio(logp_BT, batch.logp_old_BT, batch.mask_BT)
    return (batch.weight_BT * per_token_BT).sum(), _kl_sums(log_ratio_BT)


def clipped_value_loss(clip: float) -> Callable[[Batch, Tensor], tuple[Tensor, Metrics]]:
    """Return PPO's value loss, ``sum w * max((V - R)^2, (clamp(V, V_old +- clip) - R)^2) / 2``.

    The clipped form is that of OpenAI's baselines; verl, OpenRLHF and NeMo-RL have the same.
    """

    def loss(batch: Batch, value_BT: Tensor) -> tuple[Tensor, Metrics]:
        assert batch.weight_BT is not None
        assert batch.value_BT is not None and batch.return_BT is not None
        near_BT = batch.value_BT + (value_BT - batch.value_BT).clamp(-clip, clip)
        error_BT = (value_BT - batch.return_BT) ** 2
        near_error_BT = (near_BT - batch.return_BT) ** 2
        worse_BT = error_BT.maximum(near_error_BT).masked_fill(batch.mask_BT == 0, 0.0)
        clipped_BT = (near_error_BT > error_BT) & (batch.mask_BT > 0)
        return 0.5 * (batch.weight_BT * worse_BT).sum(), {
            "clip_frac/value": float(clipped_BT.sum())
        }

    return loss


def _kl_sums(log_ratio_BT: Tensor) -> Metrics:
    """How far the policy has moved from the one that sampled: k3 of KL(old || new), summed."""
    with torch.no_grad():
        return {"kl": float(k3(log_ratio_BT).sum())}
