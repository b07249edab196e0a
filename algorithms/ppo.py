"""PPO with a critic, https://arxiv.org/abs/1707.06347, on tokens.

    A   = GAE(rewards on the last token, V), whitened over all tokens of the batch
    L   = -mean_t min(ratio A, clip(ratio) A)
    L_V = 1/2 mean_t max((V - R)^2, (clamp(V, V_old +- clip_value) - R)^2),  R = GAE + V_old

Where it departs from the paper:
1. The critic is a model of its own, with its own optimiser, so L and L_V are separate losses;
   ``critic=shared`` is the paper's one model with two heads.
2. gamma = lambda = 1, as in verl, OpenRLHF and SkyRL: one reward at the end of a short episode.
3. R is taken before whitening. There is no entropy bonus, and no KL term by default.
4. The value after the last token is 0, also when the completion was cut (as in all of those);
   ``bootstrap=true`` takes the critic's value there, for completions that were cut.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bakeoff.algorithms.advantages import whiten
from bakeoff.algorithms.aggregation import token_mean
from bakeoff.algorithms.losses import PolicyLoss, clipped_value_loss
from bakeoff.algorithms.manifest import described, says
from bakeoff.algorithms.ranges import require, require_flag
from bakeoff.algorithms.returns import gae, penalised_rewards
from bakeoff.algorithms.surrogates import clipped
from bakeoff.types import Algorithm, Batch, Credit, CriticPlan


def ppo(
    *,
    clip: float = 0.2,
    clip_value: float = 0.2,
    gamma: float = 1.0,
    lam: float = 1.0,
    bootstrap: bool = False,
    kl_coef: float = 0.0,
    aggregate: Callable[[Tensor, Tensor], Tensor] = token_mean,
) -> Algorithm:
    """Return PPO.

    Args:
        clip: half-width of the interval around 1 in which the ratio counts.
        clip_value: how far a value may move from the old one before it stops counting.
        gamma: discount per token.
        lam: the lambda of GAE; 1 is the return minus the value.
        bootstrap: whether a completion that was cut is worth the critic's value at its end.
        kl_coef: weight of k1 of KL(policy || reference) in the reward; 0 loads no reference model.
        aggregate: the weight of each token in the losses.

    Raises:
        ValueError: a value out of its range.

    Example:
        >>> ppo(lam=0.95).semantics["advantage"]
        'GAE (gamma 1, lambda 0.95), whitened over tokens (ddof 1, variance + 1e-8)'
    """
    require(clip=(clip, 0, 1), clip_value=(clip_value, 0, None), kl_coef=(kl_coef, 0, None))
    require(gamma=(gamma, 0, 1), lam=(lam, 0, 1))
    require_flag("bootstrap", bootstrap)
    penalty = f" of reward - {kl_coef:g} * k1 to the reference" if kl_coef else ""
    end = ", from the value at the end of cut completions" if bootstrap else ""

    @says(
        f"GAE (gamma {gamma:g}, lambda {lam:g}){penalty}{end}, "
        "whitened over tokens (ddof 1, variance + 1e-8)"
    )
    def advantages(batch: Batch) -> Credit:
        assert batch.value_BT is not None
        adv_BT = gae(
            penalised_rewards(batch, kl_coef),
            batch.value_BT,
            batch.mask_BT,
            gamma=gamma,
            lam=lam,
            value_end_B=value_after_cut(batch) if bootstrap else None,
        )
        return_BT = (adv_BT + batch.value_BT) * batch.mask_BT
        return Credit(whiten(adv_BT, batch.mask_BT), return_BT)

    return described(
        Algorithm(
            advantages=advantages,
            aggregate=aggregate,
            policy_loss=PolicyLoss(clipped(clip, clip)),
            critic=CriticPlan(clipped_value_loss(clip_value)),
            needs_reference=kl_coef > 0,
        )
    )


def value_after_cut(batch: Batch) -> Tensor:
    """Return ``value_end_B`` of completions that were cut, and 0 of those that ended."""
    assert batch.value_end_B is not None
    return batch.value_end_B * batch.truncated_B
