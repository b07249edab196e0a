"""Small models of several makes, and random batches, for tests of packed rows."""

from __future__ import annotations

import random
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from bakeoff.training.batch import collate
from bakeoff.types import Batch, Completion

SIZES = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "vocab_size": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

MAKES: dict[str, dict[str, Any]] = {
    "llama": SIZES,
    "qwen2": SIZES,
    "qwen3": SIZES,
    "olmo2": SIZES,
    "gpt2": {"n_embd": 24, "n_layer": 2, "n_head": 6, **SIZES},
    "gpt_neox": SIZES,
}
"""Makes that packed rows can read: heads that share keys or not, rotary or learned positions."""


def model_of(make: str, **changes: Any) -> PreTrainedModel:
    """A small model of a make, of the same random weights each time."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(make, **{**MAKES.get(make, SIZES), **changes})
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():  # larger weights than at the start of a training: attention matters
        for name, weight in model.named_parameters():
            if weight.dim() == 2:
                weight.mul_(8.0 if "embed" not in name else 1.0)
    return model


def random_batch(seed: int, *, prompts: int = 4, longest: int = 9) -> Batch:
    """Completions of unequal prompts, one to four each, with observations in the middle of some."""
    draw = random.Random(seed)

    def tokens(n: int) -> tuple[int, ...]:
        return tuple(draw.randrange(3, 32) for _ in range(n))

    completions, groups = [], []
    for group in range(prompts):
        prompt = tokens(draw.randrange(1, longest))
        for _ in range(3 if group == 0 else draw.randrange(1, 5)):
            n = draw.randrange(1, longest)
            mask = (*(int(draw.random() < 0.8) for _ in range(n - 1)), 1)
            completions.append(Completion(prompt, tokens(n), (0.0,) * n, False, "", mask=mask))
            groups.append(group)
    order = list(range(len(groups)))
    draw.shuffle(order)
    return collate(
        [completions[i] for i in order],
        [float(i % 2) for i in order],
        [groups[i] for i in order],
        limit=longest,
        pad_id=0,
    )
