"""Sampling with a transformer as it is: padded prompts, and the library's own key-value cache.

Each prompt is run once and its cache repeated for its completions; finished rows leave the batch.
It works with every model that transformers can cache, and is the simplest thing that does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bakeoff.training.sampling.choice import choose
from bakeoff.training.sampling.protocol import Decoding, Finished
from bakeoff.training.sampling.request import check_context, completion, uniforms
from bakeoff.types import Completion

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel

COMPACT_BELOW = 0.75
"""Finished rows leave the batch when this share of it, or less, is still running."""


class PaddedSampler:
    """Samples with the training model itself, in its own precision.

    Attributes:
        kv_cache_bytes: the largest cache that the last call held, in bytes.
    """

    def __init__(self, language_model: LanguageModel, *, rows: int = 128) -> None:
        """Sample from ``language_model``, about ``rows`` completions at a time."""
        self.language_model = language_model
        self.rows = rows
        self.kv_cache_bytes = 0

    @torch.no_grad()
    def sample(
        self,
        prompts: Sequence[tuple[int, ...]],
        n: int,
        decoding: Decoding,
        seed: int,
        finished: Finished | None = None,
        *,
        first: int = 0,
    ) -> list[Completion]:
        """Return ``n`` completions of each prompt; see ``Sampler``.

        Raises:
            UsageError: a prompt and ``max_new_tokens`` do not fit the model's context.
            FloatingPointError: the model's logits are not finite.
        """
        check_context(self.language_model, prompts, decoding)
        self.kv_cache_bytes = 0
        uniform_BT = uniforms(len(prompts) * n, decoding, seed, first)
        per_pass = max(1, self.rows // n)
        completions: list[Completion] = []
        for start in range(0, len(prompts), per_pass):
            part = prompts[start : start + per_pass]
            uniform_RT = uniform_BT[start * n : (start + len(part)) * n]
            completions += self._sample(part, n, decoding, uniform_RT, finished, start * n)
        return completions

    def _sample(
        self,
        prompts: Sequence[tuple[int, ...]],
        n: int,
        decoding: Decoding,
        uniform_RT: Tensor,
        finished: Finished | None,
        first: int,
    ) -> list[Completion]:
        model, device = self.language_model.model, self.language_model.model.device
        rows, tokens = uniform_RT.shape
        uniform_RT = uniform_RT.to(device)
        eos = torch.tensor(self.language_model.eos_ids, device=device)
        token_RT = torch.zeros((rows, tokens), dtype=torch.long, device=device)
        logp_RT = torch.zeros((rows, tokens), device=device)
        done: dict[int, Completion] = {}

        def finish(rows: list[int], length: int, *, ended: bool) -> None:
            for row in rows:
                token_ids, logprobs = token_RT[row, :length], logp_RT[row, :length]
                done[row] = completion(
                    self.language_model,
                    prompts[row // n],
                    token_ids.tolist(),
                    logprobs.tolist(),
                    ended=ended,
                )
                if finished is not None:
                    finished(first + row, done[row])

        logits_LV, cache, mask_LS = self._prefill(prompts, n)
        self.kv_cache_bytes = max(self.kv_cache_bytes, cache_bytes(cache))
        live_L = torch.arange(rows, device=device)
        for t in range(tokens):
            token_L, logp_L = choose(logits_LV, uniform_RT[live_L, t], decoding)
            token_RT[live_L, t], logp_RT[live_L, t] = token_L, logp_L
            ended_L = torch.isin(token_L, eos)
            finish([r for r in live_L[ended_L].tolist() if r not in done], t + 1, ended=True)
            if t + 1 == tokens or len(done) == rows:
                break
            if (rows - len(done)) <= COMPACT_BELOW * len(live_L):
                keep = torch.tensor([i for i, r in enumerate(live_L.tolist()) if r not in done])
                keep = keep.to(device)
                cache.batch_select_indices(keep)
                live_L, token_L, mask_LS = live_L[keep], token_L[keep], mask_LS[keep]
            mask_LS = torch.cat([mask_LS, mask_LS.new_ones(len(live_L), 1)], 1)
            output = model(
                input_ids=token_L[:, None],
                attention_mask=mask_LS,
                position_ids=mask_LS.sum(1, keepdim=True) - 1,
                past_key_values=cache,
                use_cache=True,
            )
            logits_LV = output.logits[:, -1]
            self.kv_cache_bytes = max(self.kv_cache_bytes, cache_bytes(cache))
        finish([row for row in range(rows) if row not in done], tokens, ended=False)
        return [done[row] for row in range(rows)]

    def _prefill(self, prompts: Sequence[tuple[int, ...]], n: int) -> tuple[Tensor, Any, Tensor]:
        """Run each prompt once; return logits, cache and mask, repeated for its completions."""
        model, pad = self.language_model.model, self.language_model.pad_id
        width = max(len(prompt) for prompt in prompts)
        padding = [width - len(prompt) for prompt in prompts]
        ids = [[pad] * k + [*prompt] for k, prompt in zip(padding, prompts, strict=True)]
        mask = [[0] * k + [1] * (width - k) for k in padding]
        mask_BP = torch.tensor(mask, device=model.device)
        output = model(
            input_ids=torch.tensor(ids, device=model.device),
            attention_mask=mask_BP,
            position_ids=(mask_BP.cumsum(1) - 1).clamp(min=0),
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        if n > 1:
            cache.batch_repeat_interleave(n)
        logits_BV = output.logits[:, -1]
        return logits_BV.repeat_interleave(n, 0), cache, mask_BP.repeat_interleave(n, 0)


def cache_bytes(cache: Any) -> int:
    """Bytes of the keys and values that a transformers cache holds."""
    tensors = (t for layer in cache.layers for t in (layer.keys, layer.values) if t is not None)
    return sum(t.nbytes for t in tensors)
