"""Bytes of sampling: the cache of keys and values, copies of weights, logits of a step.

As ``bakeoff.training.sampling.packed`` has it: a prompt's keys and values stand there once for all
of its completions, and each completion has a row of its own, as long as the longest so far.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from bakeoff.training.memory.activations import passing
from bakeoff.training.memory.sizes import ModelSizes
from bakeoff.training.memory.workload import Lengths, Machine

PREFILL_TOKENS = 4096
"""Prompts are read so many tokens at a time, at least one: as in the sampler."""

GROWTH, FIRST_TOKENS = 1.5, 16
"""How rows grow: as in the sampler's cache."""

SMALLEST = 100_000
"""Linear layers of fewer numbers than this have no copy: as in the products."""


class Asked(NamedTuple):
    """What is sampled: so many prompts, completions of each, and completions at a time."""

    prompts: int
    group: int
    rows: int

    @property
    def running(self) -> int:
        """The completions that are sampled at a time."""
        return max(1, min(self.rows, self.prompts * self.group))

    @property
    def held(self) -> int:
        """The prompts that they continue; those of two groups may be there in part."""
        if self.running == self.prompts * self.group:
            return self.prompts
        return min(self.prompts, self.running, math.ceil(self.running / self.group) + 1)


def cache_bytes(sizes: ModelSizes, asked: Asked, lengths: Lengths, precision: str) -> int:
    """Return the bytes of the keys and values, when the completions are at their longest.

    The last token of a completion is written and not read. While a buffer is made longer, the
    shorter one is there too, of one layer's keys at a time.

    Example:
        >>> sizes = ModelSizes(layers=2, hidden=4, inner=8, query=4, key=2, heads=2, vocabulary=9)
        >>> cache_bytes(sizes, Asked(1, 3, 8), Lengths(10, 10, 5), "fp32")  # 2 * 2 * 2 * 4 * 22
        704
    """
    item = 4 if precision == "fp32" else 2
    room = lengths.completion - 1
    tokens = asked.held * lengths.longest_prompt + asked.running * room
    shorter = asked.running * _before(room)
    return sizes.key * item * (2 * sizes.layers * tokens + shorter)


def _before(room: int) -> int:
    """Return how long a row was before it became as long as it may be; 0: it was so at once."""
    length, before = min(room, FIRST_TOKENS), 0
    while length < room:
        before, length = length, max(length + 1, int(length * GROWTH))
    return before


def copied_weights(sizes: ModelSizes, precision: str, machine: Machine) -> int:
    """Return the bytes of the copies of weights in oneDNN's own order, which CPUs sample with."""
    if not machine.cpu or (precision != "fp32" and not machine.bf16):
        return 0
    item = 4 if precision == "fp32" else 2
    return item * sizes.linear(SMALLEST, head=True)


def step_logits(sizes: ModelSizes, asked: Asked, precision: str, temperature: float) -> int:
    """Return the bytes of the logits of one step, and of their softmax in fp32."""
    numbers = asked.running * sizes.vocabulary
    logits = 4 if precision == "fp32" else 6
    scaled = 4 if temperature not in (0.0, 1.0) else 0
    return numbers * (logits + scaled + 4)


def prefill_bytes(sizes: ModelSizes, asked: Asked, lengths: Lengths, precision: str) -> int:
    """Return the bytes of a pass over the prompts that enter together."""
    tokens = max(lengths.longest_prompt, min(PREFILL_TOKENS, asked.held * lengths.prompt))
    return math.ceil(tokens * passing(sizes, precision))
