"""Attention in a row of segments: each token sees its segment up to itself, some see a span more.

The two are computed apart and joined by their normalisers, as in flash attention's own blocks
(https://arxiv.org/abs/2205.14135, section 3.1). What a backward pass needs of a part is the joint
output and the joint normaliser, so both parts' gradients come from the kernel's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

NOWHERE = 1e30
"""The normaliser of a padded query: whatever it attends to, it attends with weight 0."""

_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_flash_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


class Across(NamedTuple):
    """Tokens ``start .. end`` that see all of ``seen_start .. seen_end`` beside their segments."""

    start: int
    end: int
    seen_start: int
    seen_end: int


class Segments(NamedTuple):
    """Who sees whom among ``N`` tokens.

    Attributes:
        padded: for segments of about one length, ``index_SL`` of their tokens, and ``real_SL``,
            whether it is one or padding on the right.
        across: spans of whole segments that see another segment too; they do not overlap.
    """

    padded: list[tuple[Tensor, Tensor]]
    across: Sequence[Across]


def segments(
    spans: Sequence[tuple[int, int]], across: Sequence[Across], device: torch.device
) -> Segments:
    """Return segments in groups in which the longest is less than twice as long as any.

    Args:
        spans: ``(start, end)`` of the segments; together they are all tokens.
        across: see ``Segments``.
        device: of the tokens.

    Example:
        >>> found = segments([(0, 4), (4, 7), (7, 9)], [], torch.device("cpu"))
        >>> [index_SL.tolist() for index_SL, _ in found.padded]
        [[[0, 1, 2, 3]], [[4, 5, 6], [7, 8, 7]]]
    """
    alike: dict[int, list[tuple[int, int]]] = {}
    for start, end in spans:
        alike.setdefault((end - start).bit_length(), []).append((start, end))
    padded = []
    for members in alike.values():
        start_S1, end_S1 = torch.tensor(members, device=device).T[..., None]
        longest = max(end - start for start, end in members)
        index_SL = start_S1 + torch.arange(longest, device=device)
        real_SL = index_SL < end_S1
        padded.append((torch.where(real_SL, index_SL, start_S1), real_SL))
    return Segments(padded, tuple(across))


def segment_attention(
    query_HND: Tensor, key_KND: Tensor, value_KND: Tensor, segments: Segments, scale: float
) -> Tensor:
    """Return ``out_HND``: each token's average of the values that it sees.

    Args:
        query_HND: of ``H`` heads.
        key_KND, value_KND: of ``K`` heads, each of which serves ``H / K`` neighbouring ones.
        segments: who sees whom.
        scale: of the dot products.
    """
    device = query_HND.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    q_HND, k_KND, v_KND = (t.to(dtype or value_KND.dtype) for t in (query_HND, key_KND, value_KND))
    if device == "cpu":
        arguments = (q_HND, k_KND, v_KND, segments, scale)
        out_HND: Tensor = _SegmentAttention.apply(*arguments)  # type: ignore[no-untyped-call]
        return out_HND
    return dense(q_HND, k_KND, v_KND, segments, scale)


class _SegmentAttention(torch.autograd.Function):
    """The same by the flash kernel of the CPU, holding nothing but its arguments and its result."""

    @staticmethod
    def forward(
        ctx: Any, q_HND: Tensor, k_KND: Tensor, v_KND: Tensor, segments: Segments, scale: float
    ) -> Tensor:
        serves = len(q_HND) // len(k_KND)
        out_HND = torch.empty_like(q_HND, memory_format=torch.contiguous_format)
        exact = torch.promote_types(q_HND.dtype, torch.float32)
        lse_NH = torch.empty(q_HND.shape[1::-1], dtype=exact, device=q_HND.device)
        for index_SL, real_SL in segments.padded:
            q, k, v = _gathered(q_HND, k_KND, v_KND, index_SL, serves)
            out_SHLD, lse_SHL = _flash(q, k, v, 0.0, True, scale=scale)
            index_M = index_SL[real_SL]
            out_HND[:, index_M] = out_SHLD.movedim(0, 1)[:, real_SL]
            lse_NH[index_M] = lse_SHL.movedim(1, 2)[real_SL]
        lse_HN = lse_NH.T
        for across in segments.across:
            seers, seen = slice(across.start, across.end), slice(across.seen_start, across.seen_end)
            there_1KMD, lse_1KM = _flash(
                _folded(q_HND[:, seers], serves),
                k_KND[None, :, seen],
                v_KND[None, :, seen],
                scale=scale,
            )
            there_HMD, there_HM = _unfolded(there_1KMD, serves), _unfolded(lse_1KM, serves)
            here_HM = lse_HN[:, seers]
            joint_HM = torch.logaddexp(here_HM, there_HM)
            here_HMD = out_HND[:, seers] * (here_HM - joint_HM).exp()[..., None]
            out_HND[:, seers] = here_HMD + there_HMD * (there_HM - joint_HM).exp()[..., None]
            lse_HN[:, seers] = joint_HM
        ctx.save_for_backward(q_HND, k_KND, v_KND, out_HND, lse_NH)
        ctx.segments, ctx.scale = segments, scale
        return out_HND

    @staticmethod
    def backward(ctx: Any, grad_HND: Tensor) -> tuple[Tensor | None, ...]:
        q_HND, k_KND, v_KND, out_HND, lse_NH = ctx.saved_tensors
        heads, kept = len(q_HND), len(k_KND)
        serves, scale = heads // kept, ctx.scale
        grads = tuple(
            torch.zeros_like(t, memory_format=torch.contiguous_format)
            for t in (q_HND, k_KND, v_KND)
        )
        for index_SL, real_SL in ctx.segments.padded:
            q, k, v = _gathered(q_HND, k_KND, v_KND, index_SL, serves)
            out_SHLD, grad_SHLD = (
                t[:, index_SL].movedim(1, 0).masked_fill(~real_SL[:, None, :, None], 0.0)
                for t in (out_HND, grad_HND)
            )
            lse_SHL = lse_NH[index_SL].masked_fill(~real_SL[..., None], NOWHERE).movedim(2, 1)
            found = _flash_backward(grad_SHLD, q, k, v, out_SHLD, lse_SHL, 0.0, True, scale=scale)
            index_M = index_SL[real_SL]
            for total_XND, part_SHLD in zip(grads, found, strict=True):
                part_HMD = part_SHLD.movedim(0, 1)[:, real_SL]
                if len(total_XND) != heads:
                    part_HMD = part_HMD.unflatten(0, (kept, serves)).sum(1)
                total_XND[:, index_M] = part_HMD
        for across in ctx.segments.across:
            seers, seen = slice(across.start, across.end), slice(across.seen_start, across.seen_end)
            dq_1KMD, dk_1KPD, dv_1KPD = _flash_backward(
                _folded(grad_HND[:, seers], serves),
                _folded(q_HND[:, seers], serves),
                k_KND[None, :, seen],
                v_KND[None, :, seen],
                _folded(out_HND[:, seers], serves),
                _folded(lse_NH.T[:, seers], serves).transpose(1, 2).contiguous().transpose(1, 2),
                0.0,
                False,
                scale=scale,
            )
            grads[0][:, seers] += _unfolded(dq_1KMD, serves)
            grads[1][:, seen] += dk_1KPD[0]
            grads[2][:, seen] += dv_1KPD[0]
        return (*grads, None, None)


def _gathered(
    q_HND: Tensor, k_KND: Tensor, v_KND: Tensor, index_SL: Tensor, serves: int
) -> tuple[Tensor, ...]:
    """Return the segments' queries, keys and values, ``SHLD``, the keys' heads repeated."""
    return tuple(
        t[:, index_SL].movedim(1, 0).repeat_interleave(1 if t is q_HND else serves, 1)
        for t in (q_HND, k_KND, v_KND)
    )


def _folded(t_HM: Tensor, serves: int) -> Tensor:
    """Put heads that one head of keys serves behind each other: ``1KM`` of ``HM``, also with D."""
    rest = t_HM.shape[2:]
    return t_HM.reshape(1, len(t_HM) // serves, -1, *rest)


def _unfolded(t_1KM: Tensor, serves: int) -> Tensor:
    rest = t_1KM.shape[3:]
    return t_1KM.reshape(t_1KM.shape[1] * serves, -1, *rest)


def dense(
    query_HND: Tensor, key_KND: Tensor, value_KND: Tensor, segments: Segments, scale: float
) -> Tensor:
    """Return the same by torch's own attention with masks, differentiable and on any device."""
    serves = len(query_HND) // len(key_KND)
    segment_N = torch.empty(query_HND.shape[1], dtype=torch.long, device=query_HND.device)
    for index_SL, real_SL in segments.padded:
        segment_N[index_SL[real_SL]] = index_SL[:, :1].expand_as(index_SL)[real_SL]
    blocks = [(across.seen_start, across.end) for across in segments.across]
    taken = torch.zeros_like(segment_N, dtype=torch.bool)
    for start, end in blocks:
        taken[start:end] = True
    starts, lengths = torch.unique_consecutive(segment_N[~taken], return_counts=True)
    blocks += zip(starts.tolist(), (starts + lengths).tolist(), strict=True)
    pieces = []
    for start, end in sorted(blocks):
        here = slice(start, end)
        sees_MM = (segment_N[here, None] == segment_N[None, here]) | (segment_N[here] == start)
        q, k, v = query_HND[None, :, here], key_KND[None, :, here], value_KND[None, :, here]
        k, v = k.repeat_interleave(serves, 1), v.repeat_interleave(serves, 1)
        attended = F.scaled_dot_product_attention(q, k, v, sees_MM.tril(), scale=scale)
        pieces.append(attended[0])
    return torch.cat(pieces, 1)
