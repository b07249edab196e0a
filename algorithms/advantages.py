"""Credit assignment: pure functions from rewards to advantages. None of them sees a gradient.

Statistics over rewards are computed in float64: the mean of equal rewards is then exact, so that a
group without spread has a deviation of exactly 0 and not of a rounding error, which a division
would blow up to an advantage of thousands.
"""

from __future__ import annotations

import torch
from torch import Tensor


def group_size(group_B: Tensor) -> Tensor:
    """How many completions share each completion's group, as float64 ``size_B``.

    Example:
        >>> group_size(torch.tensor([0, 0, 1])).tolist()
        [2.0, 2.0, 1.0]
    """
    _, index_B, size_G = torch.unique(group_B, return_inverse=True, return_counts=True)
    size_B: Tensor = size_G[index_B].double()
    return size_B


def group_mean(reward_B: Tensor, group_B: Tensor) -> Tensor:
    """Mean reward of each completion's own group, ``mean_B`` in float64.

    Example:
        >>> group_mean(torch.tensor([1.0, 0.0, 3.0]), torch.tensor([7, 7, 2])).tolist()
        [0.5, 0.5, 3.0]
    """
    _, index_B, size_G = torch.unique(group_B, return_inverse=True, return_counts=True)
    total_G = torch.zeros(len(size_G), dtype=torch.float64, device=reward_B.device)
    mean_G = total_G.index_add(0, index_B, reward_B.double()) / size_G
    mean_B: Tensor = mean_G[index_B]
    return mean_B


def group_std(reward_B: Tensor, group_B: Tensor) -> Tensor:
    """Standard deviation of each completion's own group with ddof 1, ``std_B`` in float64.

    The unbiased form (ddof 1) is what TRL, verl, OpenRLHF and SkyRL use. A group of one has 0.

    Example:
        >>> group_std(torch.tensor([1.0, 0.0, 3.0]), torch.tensor([0, 0, 1])).tolist()
        [0.7071067811865476, 0.7071067811865476, 0.0]
    """
    n_B = group_size(group_B)
    deviation_B = reward_B.double() - group_mean(reward_B, group_B)
    variance_B = group_mean(deviation_B**2, group_B) * n_B / (n_B - 1).clamp(min=1)
    return variance_B.sqrt()


def no_baseline(reward_B: Tensor, group_B: Tensor) -> Tensor:
    """Nothing is subtracted: 0 for every completion."""
    return torch.zeros_like(reward_B, dtype=torch.float64)


def batch_mean(reward_B: Tensor, group_B: Tensor) -> Tensor:
    """Mean reward of the whole batch, for every completion."""
    return reward_B.double().mean().expand(len(reward_B))


def leave_one_out(reward_B: Tensor, group_B: Tensor) -> Tensor:
    """Mean reward of the *other* completions of the item (RLOO, arXiv:2402.14740, eq. 5).

    A completion that is alone in its group (the others could not be scored) has its own reward as
    its baseline, so that its advantage is 0.

    Example:
        >>> leave_one_out(torch.tensor([1.0, 0.0, 0.5]), torch.tensor([0, 0, 0])).tolist()
        [0.25, 0.75, 0.5]
    """
    n_B, reward_B = group_size(group_B), reward_B.double()
    others_B = group_mean(reward_B, group_B) * n_B - reward_B
    return torch.where(n_B > 1, others_B / (n_B - 1).clamp(min=1), reward_B)


def on_last_token(reward_B: Tensor, mask_BT: Tensor) -> Tensor:
    """Put each completion's reward on its last counted token, ``reward_BT``.

    A row without any counted token gets nothing.
    """
    position_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    last_B = torch.where(mask_BT > 0, position_T, -1).amax(1)
    return (position_T == last_B[:, None]) * reward_B[:, None]


def gae(
    reward_BT: Tensor, value_BT: Tensor, mask_BT: Tensor, *, gamma: float, lam: float
) -> Tensor:
    """Generalised advantage estimation, ``adv_BT`` (arXiv:1506.02438, eq. 16).

    ``A_t = d_t + gamma * lam * A_{t+1}`` with ``d_t = r_t + gamma * V_{t+1} - V_t``, where
    ``t + 1`` is the next *counted* token: observations and padding in between are stepped over, so
    that the result is that of the same completion with those tokens cut out. After the last
    counted token the value is 0: every completion ends its episode, a truncated one too.
    """
    adv_BT = torch.zeros_like(value_BT)
    next_adv_B = torch.zeros_like(value_BT[:, 0])
    next_value_B = torch.zeros_like(value_BT[:, 0])
    for t in reversed(range(value_BT.shape[1])):
        counts_B = mask_BT[:, t] > 0
        delta_B = reward_BT[:, t] + gamma * next_value_B - value_BT[:, t]
        next_adv_B = torch.where(counts_B, delta_B + gamma * lam * next_adv_B, next_adv_B)
        next_value_B = torch.where(counts_B, value_BT[:, t], next_value_B)
        adv_BT[:, t] = torch.where(counts_B, next_adv_B, 0.0)
    return adv_BT


def whiten(adv_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Shift and scale to mean 0 and variance 1 (ddof 1) over all counted tokens, ``adv_BT``.

    A batch with fewer than two counted tokens is only shifted.
    """
    n = mask_BT.double().sum()
    adv64_BT = adv_BT.double()
    mean = (adv64_BT * mask_BT).sum() / n.clamp(min=1)
    variance = ((adv64_BT - mean) ** 2 * mask_BT).sum() / (n - 1).clamp(min=1)
    return ((adv64_BT - mean) * (variance + 1e-8).rsqrt() * mask_BT).to(adv_BT.dtype)


def per_token(adv_B: Tensor, mask_BT: Tensor) -> Tensor:
    """Give every counted token its completion's advantage, ``adv_BT`` in the mask's dtype."""
    return adv_B[:, None].to(mask_BT.dtype) * mask_BT
