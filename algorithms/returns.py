"""Credit over time: pure functions from rewards and values to returns and advantages per token.

``t + 1`` is always the next *counted* token: observations and padding in between are stepped over,
so that the result is that of the same completion with those tokens cut out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bakeoff.algorithms.ratios import log_ratio
from bakeoff.types import Batch


def on_last_token(reward_B: Tensor, mask_BT: Tensor) -> Tensor:
    """Put each completion's reward on its last counted token, ``reward_BT``.

    A row without any counted token gets nothing.
    """
    position_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    last_B = torch.where(mask_BT > 0, position_T, -1).amax(1)
    return (position_T == last_B[:, None]) * reward_B[:, None]


def penalised_rewards(batch: Batch, kl_coef: float) -> Tensor:
    """Return ``reward_BT``: the score on the last token, less ``kl_coef * k1`` on every token.

    ``k1 = log pi_old - log ref``; there is no gradient through it, and its mean is the KL of the
    policy that sampled. Without a coefficient no reference is needed.
    """
    reward_BT = on_last_token(batch.reward_B, batch.mask_BT)
    if not kl_coef:
        return reward_BT
    assert batch.logp_ref_BT is not None
    return reward_BT - kl_coef * log_ratio(batch.logp_old_BT, batch.logp_ref_BT, batch.mask_BT)


def gae(
    reward_BT: Tensor,
    value_BT: Tensor,
    mask_BT: Tensor,
    *,
    gamma: float,
    lam: float | Tensor,
    value_end_B: Tensor | None = None,
) -> Tensor:
    """Generalised advantage estimation, ``adv_BT`` (arXiv:1506.02438, eq. 16).

    ``A_t = d_t + gamma * lam * A_{t+1}`` with ``d_t = r_t + gamma * V_{t+1} - V_t``.

    Args:
        reward_BT, value_BT, mask_BT: what is earned on and expected before each token.
        gamma: discount per token.
        lam: one number, or ``lam_B``, one for each completion.
        value_end_B: the value after the last counted token, of completions that were cut and would
            have gone on. 0 by default: every completion ends its episode, a cut one too, as in
            verl, OpenRLHF, NeMo-RL and SkyRL.

    Example:
        >>> reward_BT, value_BT = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 0.25]])
        >>> gae(reward_BT, value_BT, torch.ones(1, 2), gamma=1.0, lam=1.0).tolist()
        [[0.5, 0.75]]
    """
    adv_BT = torch.zeros_like(value_BT)
    next_adv_B = torch.zeros_like(value_BT[:, 0])
    next_value_B = next_adv_B if value_end_B is None else value_end_B.to(value_BT.dtype)
    for t in reversed(range(value_BT.shape[1])):
        counts_B = mask_BT[:, t] > 0
        delta_B = reward_BT[:, t] + gamma * next_value_B - value_BT[:, t]
        next_adv_B = torch.where(counts_B, delta_B + gamma * lam * next_adv_B, next_adv_B)
        next_value_B = torch.where(counts_B, value_BT[:, t], next_value_B)
        adv_BT[:, t] = torch.where(counts_B, next_adv_B, 0.0)
    return adv_BT


def discounted_return(reward_BT: Tensor, mask_BT: Tensor, *, gamma: float) -> Tensor:
    """Return ``return_BT``: rewards from each token on, ``sum_k gamma^k r_{t+k}``.

    Example:
        >>> discounted_return(torch.tensor([[0.0, 1.0]]), torch.ones(1, 2), gamma=0.5).tolist()
        [[0.5, 1.0]]
    """
    return gae(reward_BT, torch.zeros_like(reward_BT), mask_BT, gamma=gamma, lam=1.0)


def length_adaptive_lambda(mask_BT: Tensor, alpha: float) -> Tensor:
    """Return ``lam_B = 1 - 1 / (alpha * length)``, not below 0 (VAPO, arXiv:2504.05118).

    Example:
        >>> length_adaptive_lambda(torch.ones(1, 40), alpha=0.05).tolist()
        [0.5]
    """
    length_B = mask_BT.sum(1).clamp(min=1)
    return (1 - 1 / (alpha * length_B)).clamp(min=0)


def overlong_penalty(length_B: Tensor, limit_B: Tensor, buffer: float) -> Tensor:
    """Return DAPO's soft penalty of long completions, ``penalty_B`` from 0 to -1.

    0 up to ``limit - buffer`` tokens, then falling on a line to -1 at the limit
    (arXiv:2503.14476, eq. 13).

    Args:
        length_B: tokens written.
        limit_B: tokens that might have been.
        buffer: the share of the limit over which the penalty rises (the paper's 4,096 of 20,480
            are 0.2); 0 for no penalty.

    Example:
        >>> length_B = torch.tensor([80.0, 85.0, 100.0])
        >>> overlong_penalty(length_B, torch.full((3,), 100.0), 0.2).tolist()
        [0.0, -0.25, -1.0]
    """
    if not buffer:
        return torch.zeros_like(length_B)
    room_B = (buffer * limit_B).clamp(min=1)
    return ((limit_B - room_B - length_B) / room_B).clamp(-1, 0)
