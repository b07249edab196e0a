"""Attention to a part of what a query sees, with its normaliser, and two such parts as one.

A softmax over two parts is the average of the softmaxes over each, weighted by their normalisers,
as in flash attention's own blocks (https://arxiv.org/abs/2205.14135, section 3.1).
"""

from __future__ import annotations

import torch
from torch import Tensor

_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


def attend_part(
    query_XKMD: Tensor, key_XKTD: Tensor, value_XKTD: Tensor, bias_XT: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """Return ``out_XKMD``, and ``normaliser_XKM``: the log of the sum of the exponentials, in fp32.

    Args:
        query_XKMD: ``M`` queries to each of ``K`` heads of keys, in ``X`` places.
        key_XKTD, value_XKTD: of ``T`` tokens.
        bias_XT: 0 where a token is seen, and -inf where it is not; in fp32; all are if not given.
        scale: of the dot products.

    Example:
        >>> one, both = torch.ones(1, 1, 1, 2), torch.ones(1, 1, 2, 2)
        >>> bias_XT = torch.tensor([[0.0, -torch.inf]])
        >>> out, normaliser = attend_part(one, both, both, bias_XT, 0.5)
        >>> out.tolist(), normaliser.tolist()
        ([[[[1.0, 1.0]]]], [[[1.0]]])
    """
    bias_X11T = None if bias_XT is None else bias_XT[:, None, None]
    if query_XKMD.device.type != "cpu":
        return attend_part_plainly(query_XKMD, key_XKTD, value_XKTD, bias_X11T, scale)
    if bias_X11T is not None:
        bias_X11T = bias_X11T.to(query_XKMD.dtype)
    out_XKMD, normaliser_XKM = _flash(
        query_XKMD, key_XKTD, value_XKTD, 0.0, False, attn_mask=bias_X11T, scale=scale
    )
    return out_XKMD, normaliser_XKM


def attend_part_plainly(
    query_XKMD: Tensor, key_XKTD: Tensor, value_XKTD: Tensor, bias_X11T: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """Return the same by products and sums alone, on any device."""
    score_XKMT = (query_XKMD @ key_XKTD.transpose(-1, -2)).float() * scale
    if bias_X11T is not None:
        score_XKMT += bias_X11T
    highest_XKM1 = score_XKMT.amax(-1, keepdim=True)
    weight_XKMT = score_XKMT.sub_(highest_XKM1).exp_()
    total_XKM1 = weight_XKMT.sum(-1, keepdim=True)
    out_XKMD = weight_XKMT.div_(total_XKM1).to(value_XKTD.dtype) @ value_XKTD
    return out_XKMD, (highest_XKM1 + total_XKM1.log())[..., 0]


def joined(part: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    """Return the average over both parts, of outputs ``(..., D)`` and normalisers ``(...)``.

    Example:
        >>> one, three = torch.tensor([[1.0]]), torch.tensor([[3.0]])
        >>> joined((one, torch.tensor([0.0])), (three, torch.tensor([0.0]))).tolist()
        [[2.0]]
    """
    (out, normaliser), (other_out, other_normaliser) = part, other
    share = (other_normaliser - normaliser).sigmoid()[..., None]
    return torch.lerp(out.float(), other_out.float(), share).to(out.dtype)
