"""Log-probabilities of tokens from hidden states, without logits of all of them at once.

Logits are a token's hidden state times the whole vocabulary: for 1,000 tokens and 50,000 words
200 MB, several times over in a backward pass. Here they are made for some tokens at a time and
forgotten; the backward pass makes them again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from bakeoff.training.packing.products import product

LOGITS = 2**24
"""How many logits are held at once, at most: 64 MiB in fp32."""


def chosen_logps(
    hidden_MH: Tensor, head_VH: Tensor, token_M: Tensor, *, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return ``logp_M`` of some tokens, with gradient, and ``entropy_M``, without.

    Both are in nats, of ``softmax(head @ hidden / temperature)``, computed in fp32 from logits of
    the precision of the head (or of autocast).

    Args:
        hidden_MH: the hidden states from which the tokens are predicted.
        head_VH: the weights of the output layer.
        token_M: the tokens.
        temperature: what the logits are divided by.

    Example:
        >>> logp_M, entropy_M = chosen_logps(torch.zeros(1, 3), torch.ones(4, 3), torch.tensor([2]))
        >>> logp_M.exp().item(), entropy_M.exp().item()
        (0.25, 4.0)
    """
    device = hidden_MH.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        hidden_MH, head_VH = hidden_MH.to(dtype), head_VH.to(dtype)
    with torch.autocast(device, enabled=False):
        arguments = (hidden_MH, head_VH, token_M, 1.0 / temperature)
        logp_M, entropy_M = _ChosenLogps.apply(*arguments)  # type: ignore[no-untyped-call]
    return logp_M, entropy_M


class _ChosenLogps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_MH: Tensor, head_VH: Tensor, token_M: Tensor, sharpness: float
    ) -> tuple[Tensor, Tensor]:
        lse_M = hidden_MH.new_empty(len(hidden_MH), dtype=torch.float32)
        logp_M, entropy_M = torch.empty_like(lse_M), torch.empty_like(lse_M)
        for part in _parts(hidden_MH, head_VH):
            logits_CV = _logits(hidden_MH[part], head_VH, sharpness)
            chosen_C = logits_CV.gather(1, token_M[part, None])[:, 0]
            highest_C = logits_CV.amax(1)
            shifted_CV = logits_CV.sub_(highest_C[:, None])
            weight_CV = shifted_CV.exp()
            total_C = weight_CV.sum(1)
            # the sum of p log p, by one product of rows: a tensor of C x V less
            mean_C = torch.einsum("cv,cv->c", weight_CV, shifted_CV) / total_C
            lse_M[part] = total_C.log() + highest_C
            logp_M[part] = chosen_C - lse_M[part]
            entropy_M[part] = total_C.log() - mean_C
        ctx.save_for_backward(hidden_MH, head_VH, token_M, lse_M)
        ctx.sharpness = sharpness
        ctx.mark_non_differentiable(entropy_M)
        return logp_M, entropy_M

    @staticmethod
    def backward(ctx: Any, grad_M: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        hidden_MH, head_VH, token_M, lse_M = ctx.saved_tensors
        grad_hidden_MH = torch.empty_like(hidden_MH)
        grad_head_VH = None
        if ctx.needs_input_grad[1]:
            grad_head_VH = torch.zeros_like(head_VH, dtype=torch.float32)
        for part in _parts(hidden_MH, head_VH):
            grad_C = grad_M[part] * ctx.sharpness
            # d logp / d logits = (one at the token) - p
            grad_CV = _logits(hidden_MH[part], head_VH, ctx.sharpness)
            grad_CV.sub_(lse_M[part, None]).exp_().mul_(-grad_C[:, None])
            grad_CV.scatter_add_(1, token_M[part, None], grad_C[:, None])
            grad_CV = grad_CV.to(head_VH.dtype)
            grad_hidden_MH[part] = product(grad_CV, head_VH.T)
            if grad_head_VH is not None:
                _add_product(grad_head_VH, grad_CV.T, hidden_MH[part])
        if grad_head_VH is not None:
            grad_head_VH = grad_head_VH.to(head_VH.dtype)
        return grad_hidden_MH, grad_head_VH, None, None


def _parts(hidden_MH: Tensor, head_VH: Tensor) -> Iterator[slice]:
    size = max(1, LOGITS // len(head_VH))
    return (slice(at, at + size) for at in range(0, len(hidden_MH), size))


def _logits(hidden_CH: Tensor, head_VH: Tensor, sharpness: float) -> Tensor:
    """Return ``logits_CV`` in fp32, in a tensor of its own."""
    logits_CV = product(hidden_CH, head_VH).float()
    return logits_CV if sharpness == 1 else logits_CV.mul_(sharpness)


def _add_product(total_VH: Tensor, one_VC: Tensor, other_CH: Tensor) -> None:
    """Add a product of matrices, which may be of a lower precision, to a total in fp32."""
    if one_VC.dtype == total_VH.dtype:
        total_VH.addmm_(one_VC, other_CH)
    else:
        total_VH += one_VC @ other_CH
