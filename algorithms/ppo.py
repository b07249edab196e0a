"""PPO with a critic, https://arxiv.org/abs/1707.06347, on tokens.

    A   = GAE(rewards on the last token, V), whitened over all tokens of the batch
    L   = -mean_t min(ratio A, clip(ratio) A)
    L_V = 1/2 mean_t max((V - R)^2, (clamp(V, V_old +- clip_value) - R)^2),  R = GAE + V_old

Where it departs from the paper:
1. The critic is a model of its own, with its own optimiser, so L and L_V are separate losses.
2. gamma = lambda = 1, as in verl, OpenRLHF and SkyRL: one reward at the end of a short episode.
3. R is taken before whitening. There is no entropy bonus and no KL term.
4. The value after the last token is 0, also when the completion was cut (as in all of those).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bakeoff.algorithms.advantages import gae, on_last_token, whiten
from bakeoff.algorithms.aggregation import token_mean
from bakeoff.algorithms.losses import clipped_policy_loss, clipped_value_loss
from bakeoff.algorithms.ranges import require, require_whole
from bakeoff.types import Algorithm, Batch, Credit


def ppo(
    *,
    clip: float = 0.2,
    clip_value: float = 0.2,
    gamma: float = 1.0,
    lam: float = 1.0,
    aggregate: Callable[[Tensor], Tensor] = token_mean,
    epochs: int = 1,
) -> Algorithm:
    """Return PPO.

    Args:
        clip: half-width of the interval around 1 in which the ratio counts.
        clip_value: how far a value may move from the old one before it stops counting.
        gamma: discount per token.
        lam: the lambda of GAE; 1 is the return minus the value.
        aggregate: the weight of each token in the losses.
        epochs: passes over one batch.

    Raises:
        ValueError: a value out of its range.
    """
    require(clip=(clip, 0, 1), clip_value=(clip_value, 0, None))
    require_whole("epochs", epochs, 1)
    require(gamma=(gamma, 0, 1), lam=(lam, 0, 1))

    def advantages(batch: Batch) -> Credit:
        assert batch.value_BT is not None
        reward_BT = on_last_token(batch.reward_B, batch.mask_BT)
        adv_BT = gae(reward_BT, batch.value_BT, batch.mask_BT, gamma=gamma, lam=lam)
        return_BT = (adv_BT + batch.value_BT) * batch.mask_BT
        return Credit(whiten(adv_BT, batch.mask_BT), return_BT)

    return Algorithm(
        advantages=advantages,
        aggregate=aggregate,
        policy_loss=clipped_policy_loss(clip),
        value_loss=clipped_value_loss(clip_value),
        epochs=epochs,
        semantics={
            "advantage": f"GAE(gamma {gamma:g}, lambda {lam:g}), whitened over tokens (ddof 1)",
            "ratio": "per token, to the sampler's log-probabilities, log-ratio within +-20",
            "surrogate": f"clipped to [{1 - clip:g}, {1 + clip:g}]",
            "aggregation": aggregate.__name__ + " over one optimiser step",
            "kl": "none",
            "critic": f"separate model, 1/2 squared error, values within +-{clip_value:g} of old",
            "epochs": epochs,
        },
    )
