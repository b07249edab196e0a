"""Log-probabilities of tokens that were sampled before: the policy's passes in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bakeoff.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def model_inputs(batch: Batch) -> dict[str, Tensor]:
    """Return a transformers model's inputs for ``[prompt_BP | token_BT]``.

    Only the padding left of the prompts has to be masked: attention is causal, so no counted token
    sees the padding on the right.
    """
    attention_BS = torch.cat([batch.prompt_mask_BP, torch.ones_like(batch.mask_BT)], 1).long()
    return {
        "input_ids": torch.cat([batch.prompt_BP, batch.token_BT], 1),
        "attention_mask": attention_BS,
        "position_ids": (attention_BS.cumsum(1) - 1).clamp(min=0),
    }


def token_logps(
    model: PreTrainedModel, batch: Batch, *, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return ``logp_BT`` of the batch's tokens, with gradient, and ``entropy_BT``, without.

    Both are of the distribution at the sampling temperature, computed in fp32, in nats, and 0
    where the mask is.
    """
    logits_BTV = _logits(model, batch, temperature)
    normaliser_BT = logits_BTV.logsumexp(-1)
    chosen_BT = logits_BTV.gather(-1, batch.token_BT[..., None])[..., 0]
    logp_BT = (chosen_BT - normaliser_BT).masked_fill(batch.mask_BT == 0, 0.0)
    with torch.no_grad():
        # row by row: another tensor of B x T x V would be the largest of the whole pass
        entropy_BT = torch.stack(
            [
                torch.special.entr((logits_TV - normaliser_T[:, None]).exp()).sum(-1)
                for logits_TV, normaliser_T in zip(logits_BTV, normaliser_BT, strict=True)
            ]
        )
    return logp_BT, entropy_BT * batch.mask_BT


@torch.no_grad()
def distribution(model: PreTrainedModel, batch: Batch, *, temperature: float = 1.0) -> Tensor:
    """Return ``logp_BTV``, the distribution that each of the batch's tokens was drawn from."""
    return _logits(model, batch, temperature).log_softmax(-1)


def _logits(model: PreTrainedModel, batch: Batch, temperature: float) -> Tensor:
    """Return ``logits_BTV`` in fp32, those from which each of the batch's tokens was drawn."""
    tokens = batch.token_BT.shape[1]
    output = model(**model_inputs(batch), use_cache=False, logits_to_keep=tokens + 1)
    logits_BTV: Tensor = output.logits[:, :-1].float()
    return logits_BTV / temperature
