"""How much each token counts in a loss: pure functions from a mask to weights.

A loss is ``sum(weight_BT * x_BT)``. The weights are made once from the mask of a whole optimiser
step, so the denominator's scope is that step and nothing else: splitting the step into
micro-batches, or padding it wider, cannot change the gradient. Each is ``(mask_BT, limit_B) ->
weight_BT``; ``limit_B`` is how many tokens each completion might have had.
"""

from __future__ import annotations

from torch import Tensor

from bakeoff.algorithms.manifest import says


@says("mean over tokens")
def token_mean(mask_BT: Tensor, limit_B: Tensor) -> Tensor:
    """Mean over all counted tokens: ``1 / sum(mask)`` each. Long completions weigh more.

    Example:
        >>> import torch
        >>> mask_BT = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
        >>> token_mean(mask_BT, torch.tensor([4, 4])).tolist()
        [[0.25, 0.25, 0.25], [0.25, 0.0, 0.0]]
    """
    return mask_BT / mask_BT.sum().clamp(min=1)


@says("mean over a completion's tokens, then over completions")
def sequence_mean(mask_BT: Tensor, limit_B: Tensor) -> Tensor:
    """Mean over a completion's tokens, then over completions: all completions weigh the same.

    Completions without a counted token are in neither mean.

    Example:
        >>> import torch
        >>> sequence_mean(torch.tensor([[1.0, 1.0], [1.0, 0.0]]), torch.tensor([4, 4])).tolist()
        [[0.25, 0.25], [0.5, 0.0]]
    """
    length_B = mask_BT.sum(1, keepdim=True)
    completions = (length_B > 0).sum().clamp(min=1)
    return mask_BT / length_B.clamp(min=1) / completions


@says("sum over a completion's tokens, mean over completions")
def sequence_sum(mask_BT: Tensor, limit_B: Tensor) -> Tensor:
    """Sum over a completion's tokens, mean over completions: the gradient of the expected reward.

    Example:
        >>> import torch
        >>> sequence_sum(torch.tensor([[1.0, 1.0], [1.0, 0.0]]), torch.tensor([4, 4])).tolist()
        [[0.5, 0.5], [0.5, 0.0]]
    """
    completions = (mask_BT.sum(1) > 0).sum().clamp(min=1)
    return mask_BT / completions


@says("sum over a completion's tokens / the most it might have had, mean over completions")
def sequence_constant(mask_BT: Tensor, limit_B: Tensor) -> Tensor:
    """Sum over a completion's tokens over a constant, its limit (Dr. GRPO, arXiv:2503.20783).

    The constant is the limit of the run and not the padded width of a batch (verl's default), so
    that it is one number throughout a run.

    Example:
        >>> import torch
        >>> sequence_constant(torch.tensor([[1.0, 1.0], [1.0, 0.0]]), torch.tensor([4, 4])).tolist()
        [[0.125, 0.125], [0.125, 0.0]]
    """
    return sequence_sum(mask_BT, limit_B) / limit_B[:, None].clamp(min=1)
