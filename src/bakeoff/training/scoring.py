"""Log-probabilities and values of tokens that were sampled before: the passes of training."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

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
    inputs = model_inputs(batch)
    tokens = batch.token_BT.shape[1]
    logits_BTV = model(**inputs, use_cache=False, logits_to_keep=tokens + 1).logits[:, :-1]
    logits_BTV = logits_BTV.float() / temperature
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


class Critic(nn.Module):
    """A value model of its own: the policy's transformer, copied, and a linear head.

    The head is fp32 and starts at zero, so every value is 0 at first and the first advantages are
    the plain returns; a bf16 head could not tell values near 1 apart.
    """

    def __init__(self, policy: PreTrainedModel) -> None:
        super().__init__()
        self.backbone: Any = copy.deepcopy(policy.base_model)
        hidden_size = policy.config.get_text_config().hidden_size
        self.head = nn.Linear(hidden_size, 1, dtype=torch.float32).to(policy.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: Batch) -> Tensor:
        """Return ``value_BT``: the expected score just before each token is written."""
        tokens = batch.token_BT.shape[1]
        hidden_BSH = self.backbone(**model_inputs(batch), use_cache=False).last_hidden_state
        value_BT: Tensor = self.head(hidden_BSH[:, -tokens - 1 : -1].float())[..., 0]
        return value_BT * batch.mask_BT
