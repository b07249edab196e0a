"""Credit assignment: pure functions from rewards to advantages. None of them sees a gradient.

Statistics over rewards are computed in float64: the mean of equal rewards is then exact, so that a
group without spread has a deviation of exactly 0 and not of a rounding error, which a division
would blow up to an advantage of thousands.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bakeoff.algorithms.manifest import says


def group_size(group_B: Tensor) -> Tensor:
    """How many completions share each completion's group, as float64 ``size_B``.

    Example:
        >>> group_size(torch.tensor([0, 0, 1])).tolist()
        [2.0, 2.0, 1.0]
    """
    _, index_B, size_G = torch.unique(group_B, return_inverse=True, return_counts=True)
    size_B: Tensor = size_G[index_B].double()
    return size_B


@says("reward - mean of the group")
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


def group_normalised(
    reward_B: Tensor, group_B: Tensor, *, ddof: int = 1, eps: float = 1e-6
) -> Tensor:
    """``(reward - mean) / (std + eps)`` of each completion's group (GRPO), ``adv_B`` in float64.

    Libraries differ in both numbers: ddof 1 and eps 1e-4 (TRL), 1e-6 (verl, SkyRL) or 1e-9
    (OpenRLHF); ddof 0 and 1e-8 (open-instruct).

    Example:
        >>> reward_B, group_B = torch.tensor([1.0, 0.0]), torch.tensor([0, 0])
        >>> [round(adv, 4) for adv in group_normalised(reward_B, group_B).tolist()]
        [0.7071, -0.7071]
    """
    n_B, std_B = group_size(group_B), group_std(reward_B, group_B)
    if ddof == 0:
        std_B = std_B * ((n_B - 1) / n_B).sqrt()
    return (reward_B - group_mean(reward_B, group_B)) / (std_B + eps)


def mean_normalised(reward_B: Tensor, group_B: Tensor) -> Tensor:
    """``(reward - mean) / mean`` of each completion's group (MaxRL, arXiv:2602.02710), ``adv_B``.

    A group whose mean is not above 0 gets 0: nothing in it is to be made likelier.

    Example:
        >>> mean_normalised(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0, 0, 1])).tolist()
        [1.0, -1.0, 0.0]
    """
    mean_B = group_mean(reward_B, group_B)
    adv_B = (reward_B - mean_B) / torch.where(mean_B > 0, mean_B, 1.0)
    return torch.where(mean_B > 0, adv_B, 0.0)


def spread_scale(reward_B: Tensor, group_B: Tensor) -> Tensor:
    """``B / (completions in groups with spread)``, a scalar (GPG's alpha, arXiv:2504.02546).

    It makes up for groups that add to the denominator and not to the gradient; 1 if no group has
    spread. verl counts the rewards that are not 0 in the place of those in groups with spread.

    Example:
        >>> spread_scale(torch.tensor([1.0, 0.0, 1.0, 1.0]), torch.tensor([0, 0, 1, 1])).item()
        2.0
    """
    with_spread = (group_std(reward_B, group_B) > 0).sum()
    return torch.where(with_spread > 0, len(reward_B) / with_spread.clamp(min=1).double(), 1.0)


@says("reward")
def no_baseline(reward_B: Tensor, group_B: Tensor) -> Tensor:
    """Nothing is subtracted: 0 for every completion."""
    return torch.zeros_like(reward_B, dtype=torch.float64)


@says("reward - mean of the batch")
def batch_mean(reward_B: Tensor, group_B: Tensor) -> Tensor:
    """Mean reward of the whole batch, for every completion."""
    return reward_B.double().mean().expand(len(reward_B))


@says("reward - mean of the other completions of the item")
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


def length_weighted_mean(reward_B: Tensor, group_B: Tensor, length_B: Tensor) -> Tensor:
    """Mean reward of each completion's group, weighted by length: ``sum(l r) / sum(l)``.

    The baseline of least variance if a completion's squared gradient norm grows with its length
    (OPO, arXiv:2505.23585). A group without any token has the baseline 0.

    Example:
        >>> reward_B, group_B = torch.tensor([1.0, 0.0]), torch.tensor([0, 0])
        >>> length_weighted_mean(reward_B, group_B, torch.tensor([3.0, 1.0])).tolist()
        [0.75, 0.75]
    """
    mean_length_B = group_mean(length_B, group_B)
    weighted_B = group_mean(reward_B.double() * length_B, group_B)
    return weighted_B / torch.where(mean_length_B > 0, mean_length_B, 1.0)


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
