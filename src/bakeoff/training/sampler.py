"""Sampling completions from a model, one token at a time, over its key-value cache.

Each prompt is run once and its cache repeated for its completions; finished rows leave the batch.
The random numbers are drawn up front, one per row and token, and turned into tokens by inverting
the cumulative distribution: what a row becomes depends neither on which others are still running
nor on how the rows were split over passes, and two policies that agree write the same text (common
random numbers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from bakeoff.errors import UsageError
from bakeoff.types import Completion

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel

COMPACT_BELOW = 0.75
"""Finished rows leave the batch when this share of it, or less, is still running."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How tokens are chosen; temperature 0 is greedy."""

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0


class Sampler(Protocol):
    """What the loop asks of an engine that samples."""

    kv_cache_bytes: int

    def sample(
        self, prompts: Sequence[tuple[int, ...]], n: int, decoding: Decoding, seed: int
    ) -> list[Completion]:
        """Return ``n`` completions of each prompt, those of one prompt next to each other."""
        ...


class CacheSampler:
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
        self, prompts: Sequence[tuple[int, ...]], n: int, decoding: Decoding, seed: int
    ) -> list[Completion]:
        """Return ``n`` completions of each prompt; the same seed gives the same completions.

        The log-probabilities are of the full distribution at the sampling temperature (1 if that
        is 0), in fp32: ``top_p`` and ``top_k`` limit what is drawn and do not renormalise them.

        Raises:
            UsageError: a prompt and ``max_new_tokens`` do not fit the model's context.
            FloatingPointError: the model's logits are not finite.
        """
        config = self.language_model.model.config.get_text_config()
        context = getattr(config, "max_position_embeddings", None)
        longest = max(len(prompt) for prompt in prompts)
        if context is not None and longest + decoding.max_new_tokens > context:
            raise UsageError(
                f"a prompt of {longest} tokens and max_new_tokens {decoding.max_new_tokens} do not "
                f"fit the context of {context} tokens of model '{self.language_model.name}'"
            )
        self.kv_cache_bytes = 0
        generator = torch.Generator().manual_seed(seed)
        shape = (len(prompts), n, decoding.max_new_tokens)
        # below 1 by enough that the product with a total of 1 stays below the total
        uniform_BT = torch.rand(shape, generator=generator, dtype=torch.float64).clamp(max=1 - 1e-9)
        per_pass = max(1, self.rows // n)
        completions: list[Completion] = []
        for start in range(0, len(prompts), per_pass):
            part = slice(start, start + per_pass)
            uniform_RT = uniform_BT[part].flatten(0, 1)
            completions += self._sample(prompts[part], n, decoding, uniform_RT)
        return completions

    def _sample(
        self,
        prompts: Sequence[tuple[int, ...]],
        n: int,
        decoding: Decoding,
        uniform_RT: Tensor,
    ) -> list[Completion]:
        model, device = self.language_model.model, self.language_model.model.device
        rows, tokens = uniform_RT.shape
        uniform_RT = uniform_RT.to(device)
        eos = torch.tensor(self.language_model.eos_ids, device=device)
        token_RT = torch.zeros((rows, tokens), dtype=torch.long, device=device)
        logp_RT = torch.zeros((rows, tokens), device=device)
        length_R = torch.full((rows,), tokens, device=device)
        finished_R = torch.zeros(rows, dtype=torch.bool, device=device)

        logits_LV, cache, mask_LS = self._prefill(prompts, n)
        self.kv_cache_bytes = max(self.kv_cache_bytes, cache_bytes(cache))
        live_L = torch.arange(rows, device=device)
        for t in range(tokens):
            token_L, logp_L = choose(logits_LV, uniform_RT[live_L, t], decoding)
            token_RT[live_L, t], logp_RT[live_L, t] = token_L, logp_L
            ended_L = torch.isin(token_L, eos) & ~finished_R[live_L]
            length_R[live_L[ended_L]] = t + 1
            finished_R[live_L] |= ended_L
            running_L = ~finished_R[live_L]
            if t + 1 == tokens or not running_L.any():
                break
            if running_L.double().mean() <= COMPACT_BELOW:
                keep = running_L.nonzero()[:, 0]
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

        lengths, finished = length_R.tolist(), finished_R.tolist()
        token_rows, logp_rows = token_RT.tolist(), logp_RT.tolist()
        return [
            Completion(
                prompt_ids=tuple(prompts[row // n]),
                token_ids=tuple(token_rows[row][: lengths[row]]),
                logprobs=tuple(logp_rows[row][: lengths[row]]),
                truncated=not finished[row],
                text=self.language_model.text(token_rows[row][: lengths[row]]),
            )
            for row in range(rows)
        ]

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


def choose(logits_BV: Tensor, uniform_B: Tensor, decoding: Decoding) -> tuple[Tensor, Tensor]:
    """Return one token for each row, ``token_B``, and its log-probability, ``logp_B``.

    Raises:
        FloatingPointError: a logit is nan, or all of a row are infinite.
    """
    logits_BV = logits_BV.float()
    if decoding.temperature > 0:
        logits_BV = logits_BV / decoding.temperature
    logp_BV = logits_BV.log_softmax(-1)
    if torch.isnan(logp_BV).any():
        raise FloatingPointError("the model's logits are not finite")
    if decoding.temperature == 0:
        token_B = logp_BV.argmax(-1)
    else:
        probability_BV = keep_likely(logp_BV.double().exp(), decoding.top_p, decoding.top_k)
        cumulative_BV = probability_BV.cumsum(-1)
        target_B1 = uniform_B[:, None] * cumulative_BV[:, -1:]
        # the first token whose cumulative probability exceeds the target: its own is above 0
        token_B = torch.searchsorted(cumulative_BV, target_B1, right=True)[:, 0]
    return token_B, logp_BV.gather(-1, token_B[:, None])[:, 0]


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


def cache_bytes(cache: Any) -> int:
    """Bytes of the keys and values that a transformers cache holds."""
    tensors = (t for layer in cache.layers for t in (layer.keys, layer.values) if t is not None)
    return sum(t.nbytes for t in tensors)
