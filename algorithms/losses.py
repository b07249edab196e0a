"""Losses: pure functions of per-token tensors.

Each returns the loss as a weighted sum over ``batch.weight_BT`` and a dict of metrics that are
plain *sums over counted tokens*; the loop adds both up over micro-batches and divides the metrics
by the number of tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from bakeoff.algorithms.kl import Kl, k3
from bakeoff.algorithms.manifest import marked_silent, said, says
from bakeoff.algorithms.ratios import log_ratio, token_ratio
from bakeoff.algorithms.surrogates import Surrogate, log_probability
from bakeoff.types import Batch, Metrics


@dataclass(frozen=True)
class PolicyLoss:
    """``sum w * (surrogate + kl_coef * KL(policy || reference))``, and imitation if there is any.

    Attributes:
        surrogate: of ratio, log-probability and advantage.
        level: of which tokens the ratio is.
        kl: the estimator of the KL term; see ``bakeoff.algorithms.kl``.
        kl_coef: its weight; 0 needs no reference model.
        imitation_coef: weight of ``-sum imitation_BT * log pi``.
    """

    surrogate: Surrogate
    level: Callable[[Tensor, Tensor], Tensor] = token_ratio
    kl: Kl = k3
    kl_coef: float = 0.0
    imitation_coef: float = 0.0

    def __call__(self, batch: Batch, logp_BT: Tensor) -> tuple[Tensor, Metrics]:
        """Return the loss and sums over tokens.

        ``kl`` is k3 of KL(old || new), how far the policy has moved from the one that sampled;
        ``clip_frac`` counts ratios beyond a bound of the surrogate; ``kl_ref`` is the KL term.
        """
        assert batch.weight_BT is not None and batch.adv_BT is not None
        logp_BT = logp_BT.masked_fill(batch.mask_BT == 0, 0.0)
        log_ratio_BT = log_ratio(logp_BT, batch.logp_old_BT, batch.mask_BT)
        ratio_BT = self.level(log_ratio_BT, batch.mask_BT).exp()
        loss_BT, clipped_BT = self.surrogate(ratio_BT, logp_BT, batch.adv_BT)
        moved_BT = log_ratio_BT.detach()
        sums = {"kl": float(k3(-moved_BT, moved_BT).sum())}
        if clipped_BT is not None:
            sums["clip_frac"] = float((clipped_BT & (batch.mask_BT > 0)).sum())
        if self.kl_coef:
            assert batch.logp_ref_BT is not None
            delta_BT = log_ratio(logp_BT, batch.logp_ref_BT, batch.mask_BT)
            kl_BT = self.kl(delta_BT, log_ratio_BT)
            loss_BT = loss_BT + self.kl_coef * kl_BT
            sums["kl_ref"] = float(kl_BT.detach().sum())
        loss = (batch.weight_BT * loss_BT).sum()
        if self.imitation_coef:
            assert batch.imitation_BT is not None
            loss = loss - self.imitation_coef * (batch.imitation_BT * logp_BT).sum()
        return loss, sums

    @property
    def silent_without_advantage(self) -> bool:
        """Whether it is 0 where the advantage is, and so is its gradient."""
        return marked_silent(self.surrogate) and not self.kl_coef and not self.imitation_coef

    @property
    def ratio_says(self) -> str:
        """What the manifest says of the ratio."""
        return "none" if self.surrogate is log_probability else said(self.level)

    @property
    def surrogate_says(self) -> str:
        """What the manifest says of the surrogate."""
        return said(self.surrogate)

    @property
    def kl_says(self) -> str:
        """What the manifest says of the KL term."""
        if not self.kl_coef:
            return "none"
        return f"{self.kl_coef:g} * {said(self.kl)} of policy to reference, in the loss"


@says("log-probability (cross-entropy)")
def cross_entropy(batch: Batch, logp_BT: Tensor) -> tuple[Tensor, Metrics]:
    """``-sum w * log pi``, whatever the advantages: supervised learning of the completions."""
    assert batch.weight_BT is not None
    return -(batch.weight_BT * logp_BT.masked_fill(batch.mask_BT == 0, 0.0)).sum(), {}


def clipped_value_loss(clip: float) -> Callable[[Batch, Tensor], tuple[Tensor, Metrics]]:
    """Return PPO's value loss, ``sum w * max((V - R)^2, (clamp(V, V_old +- clip) - R)^2) / 2``.

    The clipped form is that of OpenAI's baselines; verl, OpenRLHF and NeMo-RL have the same.
    """

    @says(f"1/2 squared error, values within +-{clip:g} of the old ones")
    def loss(batch: Batch, value_BT: Tensor) -> tuple[Tensor, Metrics]:
        assert batch.weight_BT is not None
        assert batch.value_BT is not None and batch.return_BT is not None
        pad_BT = batch.mask_BT == 0
        # not V_old + clamp(V - V_old): rounding would make an unclipped value another
        near_BT = value_BT.clamp(batch.value_BT - clip, batch.value_BT + clip)
        # filled before it is squared: the gradient of a square of inf is nan, even times 0
        error_BT = (value_BT - batch.return_BT).masked_fill(pad_BT, 0.0) ** 2
        near_error_BT = (near_BT - batch.return_BT).masked_fill(pad_BT, 0.0) ** 2
        loss = 0.5 * (batch.weight_BT * error_BT.maximum(near_error_BT)).sum()
        return loss, {"clip_frac/value": float((near_error_BT > error_BT).sum())}

    return loss
