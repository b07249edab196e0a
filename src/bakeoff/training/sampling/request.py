"""What is asked of a sampler: checked, its random numbers, and the completions' records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bakeoff.errors import UsageError
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.types import Completion

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel


def check_context(
    language_model: LanguageModel, prompts: Sequence[tuple[int, ...]], decoding: Decoding
) -> None:
    """Check that every prompt and its completions fit the model's context.

    Raises:
        UsageError: one does not.
    """
    config = language_model.model.config.get_text_config()
    context = getattr(config, "max_position_embeddings", None)
    longest = max(len(prompt) for prompt in prompts)
    if context is not None and longest + decoding.max_new_tokens > context:
        raise UsageError(
            f"a prompt of {longest} tokens and max_new_tokens {decoding.max_new_tokens} do not "
            f"fit the context of {context} tokens of model '{language_model.name}'"
        )


def uniforms(completions: int, decoding: Decoding, seed: int, first: int = 0) -> Tensor:
    """Return ``uniform_BT``, in [0, 1): the number that decides each token, in fp64, on the CPU.

    They are drawn up front, so that what a completion becomes does not depend on which others are
    sampled beside it, and when; and two policies that agree write the same text (common random
    numbers). Those of the completions before ``first`` are passed over: they are another
    process's.

    Example:
        >>> four = uniforms(4, Decoding(max_new_tokens=3), seed=0)
        >>> bool((four[2:] == uniforms(2, Decoding(max_new_tokens=3), seed=0, first=2)).all())
        True
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (first + completions, decoding.max_new_tokens)
    # below 1 by enough that the product with a total of 1 stays below the total
    drawn_BT = torch.rand(shape, generator=generator, dtype=torch.float64)
    return drawn_BT[first:].clamp(max=1 - 1e-9)


def completion(
    language_model: LanguageModel,
    prompt: Sequence[int],
    token_ids: Sequence[int],
    logprobs: Sequence[float],
    *,
    ended: bool,
) -> Completion:
    """Return the record of what was sampled after a prompt; truncated if it has not ended."""
    tokens = tuple(token_ids)
    return Completion(
        prompt_ids=tuple(prompt),
        token_ids=tokens,
        logprobs=tuple(logprobs),
        truncated=not ended,
        text=language_model.text(tokens),
    )
