"""From logits to tokens: one of each row, by its own random number.

The cumulative distribution is inverted at the number, so two policies that agree draw the same.
The softmax is in fp32; what it sums up to is added in fp64, block by block and then within the
block that the number falls into, so that a large vocabulary costs little more than its softmax.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bakeoff.training.sampling.protocol import Decoding

BLOCK = 256
"""Tokens of the vocabulary whose probabilities are added up at a time."""


def choose(logits_BV: Tensor, uniform_B: Tensor, decoding: Decoding) -> tuple[Tensor, Tensor]:
    """Return one token for each row, ``token_B``, and its log-probability, ``logp_B``.

    Args:
        logits_BV: in any precision; the log-probabilities are in fp32.
        uniform_B: a number in [0, 1) for each row, in fp64.
        decoding: how to choose.

    Raises:
        FloatingPointError: a logit is nan, or all of a row are infinite.

    Example:
        >>> logits_BV = torch.tensor([[0.1, 0.2, 0.7]]).log().expand(3, 3)
        >>> uniform_B = torch.tensor([0.0, 0.25, 0.99], dtype=torch.float64)
        >>> choose(logits_BV, uniform_B, Decoding(max_new_tokens=1))[0].tolist()
        [0, 1, 2]
    """
    logits_BV = logits_BV.float()
    if decoding.temperature == 0:
        normaliser_B = logits_BV.logsumexp(-1)
        _check_finite(normaliser_B)
        token_B = logits_BV.argmax(-1)
        return token_B, logits_BV.gather(-1, token_B[:, None])[:, 0] - normaliser_B
    if decoding.temperature != 1:
        logits_BV = logits_BV / decoding.temperature
    probability_BV = logits_BV.softmax(-1)
    _check_finite(probability_BV[:, 0])  # a softmax with a nan in it is nan throughout
    likely_BV = probability_BV
    if decoding.top_p < 1 or decoding.top_k:
        likely_BV = keep_likely(probability_BV.double(), decoding.top_p, decoding.top_k)
    token_B = drawn(likely_BV, uniform_B)
    return token_B, probability_BV.gather(-1, token_B[:, None])[:, 0].log()


def drawn(weight_BV: Tensor, uniform_B: Tensor) -> Tensor:
    """Return ``token_B``: the first whose cumulative weight exceeds that share of the row's sum.

    A token of weight 0 is never drawn.

    Args:
        weight_BV: not negative, and not all 0 in a row.
        uniform_B: in [0, 1), in fp64.
    """
    vocabulary = weight_BV.shape[-1]
    whole = vocabulary // BLOCK * BLOCK
    if whole < 2 * BLOCK:
        return _inverted(weight_BV.double(), uniform_B)[0][:, 0]
    sums_BS = weight_BV[:, :whole].reshape(len(weight_BV), -1, BLOCK).sum(-1)
    if whole < vocabulary:
        sums_BS = torch.cat([sums_BS, weight_BV[:, whole:].sum(-1, keepdim=True)], 1)
    sums_BS = sums_BS.double()
    block_B1, cumulative_BS, target_B1 = _inverted(sums_BS, uniform_B)
    sum_B1 = sums_BS.gather(-1, block_B1)
    beyond_B1 = target_B1 - (cumulative_BS.gather(-1, block_B1) - sum_B1)
    share_B = (beyond_B1 / sum_B1)[:, 0].clamp(0.0, 1 - 1e-9)
    index_BS = block_B1 * BLOCK + torch.arange(BLOCK, device=weight_BV.device)
    inside_BS = weight_BV.gather(-1, index_BS.clamp(max=vocabulary - 1)).double()
    place_B1, _, _ = _inverted(inside_BS.where(index_BS < vocabulary, 0.0), share_B)
    return (block_B1 * BLOCK + place_B1)[:, 0]


def _inverted(weight_BS: Tensor, uniform_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return where each row's share of the sum falls, the cumulative weights, and the share."""
    cumulative_BS = weight_BS.cumsum(-1)
    target_B1 = uniform_B[:, None] * cumulative_BS[:, -1:]
    # the first whose cumulative weight exceeds the target: its own is above 0
    return torch.searchsorted(cumulative_BS, target_B1, right=True), cumulative_BS, target_B1


def _check_finite(number_B: Tensor) -> None:
    if not torch.isfinite(number_B).all():
        raise FloatingPointError("the model's logits are not finite")


def keep_likely(probability_BV: Tensor, top_p: float, top_k: int) -> Tensor:
    """Return the probabilities with all but the likeliest tokens set to 0, not renormalised.

    ``top_k`` keeps that many (0 keeps all); ``top_p`` keeps the fewest that hold at least that
    much probability (nucleus sampling, https://arxiv.org/abs/1904.09751).

    Example:
        >>> keep_likely(torch.tensor([[0.2, 0.5, 0.3]]), top_p=0.6, top_k=0).tolist()
        [[0.0, 0.5, 0.30000001192092896]]
    """
    vocabulary = probability_BV.shape[-1]
    if top_k in range(1, vocabulary) or top_p < 1:
        sorted_BV, order_BV = probability_BV.sort(dim=-1, descending=True, stable=True)
        before_BV = sorted_BV.cumsum(-1) - sorted_BV
        drop_BV = before_BV >= top_p if top_p < 1 else torch.zeros_like(before_BV).bool()
        if top_k:
            drop_BV[:, top_k:] = True
        return torch.zeros_like(probability_BV).scatter(
            -1, order_BV, sorted_BV.masked_fill(drop_BV, 0.0)
        )
    return probability_BV
