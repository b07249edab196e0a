"""The least that an update must do: floating-point operations, and bytes between memory and cores.

Counted for the work and not for a program: the prompt once for all its completions, forward and
backward; no padding; no logits but those of sampled tokens; nothing done twice. What a program does
beyond that (recomputing logits or activations, copies, a merged adapter) is its distance to the
limit. A token's pass is ``2 N`` operations for the ``N`` weights of matrix products, ``2 V H`` for
its logits, and ``4 D`` for each pair of tokens that attend, ``D`` the width of all query heads of
all layers; a backward pass is twice that (https://arxiv.org/abs/2001.08361, section 2.1). Where
bytes are counted, activations are taken to stay in the cache, which makes the floor lower.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from speed_world import Shape

from bakeoff.training.flops import flop_model

FP32 = 4


class Sizes(NamedTuple):
    """What the counts need of a model.

    Attributes:
        body: weights of matrix products, without the head.
        head: weights of the head, a product as well: vocabulary times width.
        attention_width: the width of all query heads, summed over the layers.
        cache_width: the width of all key and value heads, summed over the layers: numbers that a
            token leaves in the cache.
        parameters: all weights; a head that is the embedding counts once.
        weight_bytes: of one weight as a matrix product reads it.
        state_bytes: of one weight as the optimiser keeps it.
    """

    body: int
    head: int
    attention_width: int
    cache_width: int
    parameters: int
    weight_bytes: int
    state_bytes: int = FP32


class Work(NamedTuple):
    """Floating-point operations, and bytes."""

    flops: int
    bytes: int


class Rates(NamedTuple):
    """What a machine can do: operations and bytes in a second."""

    flops: float
    bytes: float


def sizes_of(model: Any, precision: str) -> Sizes:
    """Read the sizes off a transformers model; those of adapters in it are not counted."""
    found = flop_model(model)
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    shared = getattr(config, "num_key_value_heads", None) or heads
    return Sizes(
        body=found.body_weights,
        head=found.head_weights,
        attention_width=found.attention_width,
        cache_width=2 * found.attention_width * shared // heads,
        parameters=sum(weight.numel() for weight in model.parameters()),
        weight_bytes=FP32 if precision == "fp32" else 2,
    )


def prefill(shape: Shape, sizes: Sizes) -> Work:
    """Return the pass over the prompts, each once, with the logits after the last token."""
    tokens = shape.prompts * shape.prompt_tokens
    pairs = shape.prompts * _triangle(shape.prompt_tokens)
    flops = 2 * sizes.body * tokens + 2 * sizes.head * shape.prompts
    flops += 4 * sizes.attention_width * pairs
    cache = tokens * sizes.cache_width * sizes.weight_bytes
    return Work(flops, _weights(sizes) + cache)


def decoding(shape: Shape, sizes: Sizes) -> Work:
    """Return the steps after the first token: all completions at once, one token each.

    Every step reads the weights once, each prompt's keys and values once for its whole group, and
    each completion's own.
    """
    prompts, group, prompt_tokens, tokens = shape
    steps, rows = tokens - 1, prompts * group
    own = _triangle(steps)  # step s sees the s tokens before it that were sampled, itself included
    pairs = rows * (steps * prompt_tokens + own)
    flops = 2 * (sizes.body + sizes.head) * rows * steps + 4 * sizes.attention_width * pairs
    cached = steps * prompts * prompt_tokens + rows * own
    return Work(flops, steps * _weights(sizes) + cached * sizes.cache_width * sizes.weight_bytes)


def update(shape: Shape, sizes: Sizes) -> Work:
    """Return the forward and backward passes and the optimiser's step.

    The last token of a completion is predicted and predicts nothing, so it is not passed. AdamW
    reads weight, gradient and two averages, and writes three of them; the gradient is written once
    and read once more for its norm; the passes read each weight twice.
    """
    prompts, group, prompt_tokens, tokens = shape
    rows, passed = prompts * group, tokens - 1
    body_tokens = prompts * prompt_tokens + rows * passed
    pairs = prompts * _triangle(prompt_tokens) + rows * (passed * prompt_tokens + _triangle(passed))
    forward = 2 * sizes.body * body_tokens + 2 * sizes.head * rows * tokens
    forward += 4 * sizes.attention_width * pairs
    states = sizes.parameters * sizes.state_bytes * (7 + 2)
    return Work(3 * forward, 2 * _weights(sizes) + states)


PHASES = {"prefill": prefill, "decoding": decoding, "update": update}
"""The phases of an update that have a floor."""


def floors(work: Work, rates: Rates) -> tuple[float, float]:
    """Return the least seconds that the operations take, and the bytes.

    Example:
        >>> floors(Work(flops=100, bytes=30), Rates(flops=50.0, bytes=10.0))
        (2.0, 3.0)
    """
    return work.flops / rates.flops, work.bytes / rates.bytes


def _weights(sizes: Sizes) -> int:
    """Return the bytes of all weights of matrix products; an embedding is looked up, not read."""
    return (sizes.body + sizes.head) * sizes.weight_bytes


def _triangle(n: int) -> int:
    """Return how many pairs of n tokens attend, each to itself and all before it."""
    return n * (n + 1) // 2
