"""Floating-point operations of transformer passes, by formula.

A forward pass costs ``2 N`` a token for the ``N`` weights of matrix products (embeddings are looked
up, not multiplied), ``2 V H`` a token whose logits are computed, and ``4 L D`` per pair of tokens
that attend (``L`` layers, ``D`` the width of all query heads); a backward pass costs twice that
(https://arxiv.org/abs/2001.08361, section 2.1). Padding is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

METHOD = "analytic"


@dataclass(frozen=True)
class FlopModel:
    """The sizes that the formula needs."""

    body_weights: int
    head_weights: int
    attention_width: int

    def forward(self, prompt: int, completion: int, logits: int) -> int:
        """FLOPs of a sequence of ``prompt + completion`` tokens, ``logits`` of them with logits."""
        tokens = prompt + completion
        pairs = tokens * (tokens + 1) // 2
        return (
            2 * self.body_weights * tokens
            + 2 * self.head_weights * logits
            + 4 * self.attention_width * pairs
        )


def flop_model(model: PreTrainedModel) -> FlopModel:
    """Read the sizes off a transformers model."""
    config = model.config.get_text_config()
    embedding = model.get_input_embeddings().weight
    matrices = sum(p.numel() for p in model.base_model.parameters() if p.dim() >= 2)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return FlopModel(
        body_weights=matrices - embedding.numel(),
        head_weights=embedding.numel(),
        attention_width=config.num_hidden_layers * config.num_attention_heads * head_dim,
    )
