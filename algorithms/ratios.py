"""Ratios: how much likelier the policy makes what the sampler wrote, in logarithms.

A level is ``(log_ratio_BT, mask_BT) -> log_ratio_BT``; every bound keeps ``exp`` of it finite.
"""

from __future__ import annotations

from torch import Tensor

from bakeoff.algorithms.manifest import says

LOG_RATIO_BOUND = 20.0


def log_ratio(logp_BT: Tensor, logp_old_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Log of the probability ratio, ``logp - logp_old``, within +-20 and 0 where nothing counts.

    The bound keeps ``exp`` of it finite; no gradient flows beyond it. Padding is set to 0 rather
    than multiplied by it, because ``0 * inf`` is not 0.
    """
    difference_BT = (logp_BT - logp_old_BT).masked_fill(mask_BT == 0, 0.0)
    return difference_BT.clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)


@says("per token, log-ratio within +-20")
def token_ratio(log_ratio_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Each token's own log-ratio (PPO, GRPO)."""
    return log_ratio_BT


@says("of the whole completion (product over its tokens), log-ratio within +-20")
def sequence_ratio(log_ratio_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """The log-ratio of the whole completion, for each of its tokens: the sum over them.

    It is the exact importance weight of a completion, and far from 1 for a long one. This is what
    TRL's RLOOTrainer clips.

    Example:
        >>> import torch
        >>> mask_BT = torch.tensor([[1.0, 1.0, 0.0]])
        >>> sequence_ratio(torch.tensor([[0.25, 0.5, 0.0]]), mask_BT).tolist()
        [[0.75, 0.75, 0.0]]
    """
    total_B = (log_ratio_BT * mask_BT).sum(1, keepdim=True)
    return (total_B * mask_BT).clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)


@says("geometric mean over the completion's tokens, log-ratio within +-20")
def geometric_ratio(log_ratio_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """The mean of a completion's log-ratios, for each of its tokens (GSPO's eq. 7).

    https://arxiv.org/abs/2507.18071

    Example:
        >>> import torch
        >>> mask_BT = torch.tensor([[1.0, 1.0, 0.0]])
        >>> geometric_ratio(torch.tensor([[0.25, 0.75, 0.0]]), mask_BT).tolist()
        [[0.5, 0.5, 0.0]]
    """
    length_B = mask_BT.sum(1, keepdim=True).clamp(min=1)
    mean_B = (log_ratio_BT * mask_BT).sum(1, keepdim=True) / length_B
    return mean_B * mask_BT
