"""What the loop asks of an engine that samples, and how tokens are to be chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bakeoff.types import Completion

Finished = Callable[[int, Completion], None]
"""Is told of a completion as soon as it is done: its place in the list to come, and itself."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How tokens are chosen; temperature 0 is greedy."""

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0


class Sampler(Protocol):
    """What the loop asks of an engine that samples.

    Attributes:
        kv_cache_bytes: the most bytes that the keys and values of the last call took.
    """

    kv_cache_bytes: int

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
        """Return ``n`` completions of each prompt; the same seed gives the same completions.

        The log-probabilities are of the full distribution at the sampling temperature (1 if that
        is 0): ``top_p`` and ``top_k`` limit what is drawn and do not renormalise them. The token
        that ends a completion is in it; one that ran out of tokens before is truncated.

        Args:
            prompts: tokens to go on from, at least one.
            n: completions of each; those of one prompt stand next to each other.
            decoding: how tokens are chosen.
            seed: of the random numbers.
            finished: is told of each completion once, while others are still being sampled; it is
                called in the thread of the sampler, which waits for it.
            first: how many completions come before these in the same draw, where other processes
                sample those: each completion has the random numbers of its place among all.

        Raises:
            UsageError: a prompt and ``max_new_tokens`` do not fit the model's context.
            FloatingPointError: the model's logits are not finite.
        """
        ...
