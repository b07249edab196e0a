"""AdamW, its states and its schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from bakeoff.models import require_bitsandbytes
from bakeoff.training.config import OptimizerConfig
from bakeoff.training.devices.shards import here
from bakeoff.training.masters import masters, publish
from bakeoff.training.memory.holdings import SMALL


def adamw(
    parameters: Iterable[torch.nn.Parameter], learning_rate: float, config: OptimizerConfig
) -> Optimizer:
    """Return AdamW (https://arxiv.org/abs/1711.05101) with torch's betas of 0.9 and 0.999.

    Of weights below fp32 it moves fp32 masters, and rounds these into the weights after each step.

    Raises:
        UsageError: its averages are to be of 8 bits, and bitsandbytes is not installed.
    """
    weights = masters(p for p in parameters if p.requires_grad)
    decay = config.weight_decay
    optimizer: Optimizer
    if config.optimizer_bits == 8:
        require_bitsandbytes("optimizer_bits 8")
        from bitsandbytes.optim import AdamW8bit

        optimizer = AdamW8bit(weights, lr=learning_rate, weight_decay=decay, min_8bit_size=SMALL)
    else:
        optimizer = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=decay, fused=True)
    optimizer.register_step_post_hook(lambda *_: publish(weights))
    return optimizer


def trained(optimizer: Optimizer) -> list[torch.nn.Parameter]:
    """Return the parameters that an optimiser moves: a model's own, or masters of them."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def states(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return an optimiser's states by name, as tensors that share no memory with each other."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for index, weight in enumerate(trained(optimizer)):
        for key, value in optimizer.state.get(weight, {}).items():
            tensor = torch.as_tensor(value)  # bitsandbytes counts its steps in an int
            place = here(tensor).untyped_storage().data_ptr()
            found[f"{index}.{key}"] = tensor.clone() if place in seen else tensor
            seen.add(place)
    return found


def restore(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put the states of ``states`` back."""
    state: dict[int, dict[str, object]] = {}
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        is_int = not value.dim() and not value.is_floating_point()
        state.setdefault(int(index), {})[key] = int(value) if is_int else value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def schedule(update: int, updates: int, config: OptimizerConfig, spent_frac: float = 0.0) -> float:
    """Return the factor on the learning rate in an update (0 for the first).

    It rises linearly over ``warmup_updates``, the first of which is not 0, and then stays, or falls
    towards 0 at the end of the run on a line or half a cosine. How near the end is follows from the
    updates, or from the budget if that is further: ``spent_frac`` is the part of it that was
    used up before this update.

    Example:
        >>> [schedule(u, 4, OptimizerConfig(warmup_updates=2, decay="linear")) for u in range(4)]
        [0.5, 1.0, 1.0, 0.5]
        >>> schedule(7, 1_000_000, OptimizerConfig(decay="linear"), spent_frac=0.75)
        0.25
    """
    if update < config.warmup_updates:
        return (update + 1) / config.warmup_updates
    done = (update - config.warmup_updates) / max(1, updates - config.warmup_updates)
    done = max(done, spent_frac)
    if config.decay == "linear":
        return 1 - done
    if config.decay == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    return 1.0
