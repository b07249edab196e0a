"""In which numbers a run computes: fp32, bf16 under autocast, or bf16 with fp32 master weights.

    precision       weights   passes      moved by the optimiser
    fp32            fp32      fp32        the weights
    bf16_autocast   fp32      bf16        the weights
    bf16            bf16      bf16        fp32 masters of them (``bakeoff.training.masters``)

Sampling, values, reference, update and evaluation are all computed in the same numbers, so that the
sampler's log-probabilities can be those that the ratio is to. Always fp32: log-probabilities from
logits on, losses, value heads, LoRA adapters, optimiser states.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def weight_type(precision: str) -> torch.dtype:
    """Return the number type of a model's weights.

    Example:
        >>> weight_type("bf16_autocast")
        torch.float32
    """
    return torch.bfloat16 if precision == "bf16" else torch.float32


@torch.no_grad()
def cast(model: PreTrainedModel, precision: str) -> None:
    """Put a model's fp32 weights into the numbers of a run, in place.

    Buffers stay: those of rotary positions are fp32 in a model of any type, and must be. A model
    that was loaded in bf16 is left alone, with whatever its makers keep in fp32.
    """
    dtype = weight_type(precision)
    if model.dtype == torch.float32 and dtype != torch.float32:
        for weight in model.parameters():
            weight.data = weight.data.to(dtype)
        model.config.dtype = dtype


@contextmanager
def passes_in(precision: str, device: torch.device) -> Iterator[None]:
    """Make the forward passes within in the numbers of a run; backward passes go outside.

    Weights must not move within: autocast keeps its copies of them until the end. Nor may passes
    with gradient follow one without: they would find copies that no gradient flows through.

    Example:
        >>> layer = torch.nn.Linear(2, 2)
        >>> with passes_in("bf16_autocast", torch.device("cpu")):
        ...     layer(torch.ones(2)).dtype, layer.weight.dtype
        (torch.bfloat16, torch.float32)
    """
    if precision != "bf16_autocast":
        yield
        return
    with torch.autocast(device.type, torch.bfloat16):
        yield


@contextmanager
def many_passes_in(precision: str, model: PreTrainedModel) -> Iterator[None]:
    """Make many passes of a model within without gradient, in the numbers of a run: sampling.

    Autocast keeps its copy of a weight only if the weight requires a gradient; a frozen one would
    be cast again for every token.
    """
    cast_each_time = model.parameters() if precision == "bf16_autocast" else ()
    frozen = [weight for weight in cast_each_time if not weight.requires_grad]
    for weight in frozen:
        weight.requires_grad_(True)
    try:
        with torch.no_grad(), passes_in(precision, model.device):
            yield
    finally:
        for weight in frozen:
            weight.requires_grad_(False)
