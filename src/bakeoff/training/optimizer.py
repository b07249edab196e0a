"""AdamW and its schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from bakeoff.training.config import OptimizerConfig


def adamw(
    parameters: Iterable[torch.nn.Parameter], learning_rate: float, config: OptimizerConfig
) -> torch.optim.AdamW:
    """Return AdamW (https://arxiv.org/abs/1711.05101) with torch's betas of 0.9 and 0.999."""
    return torch.optim.AdamW(
        [p for p in parameters if p.requires_grad],
        lr=learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )


def trained(optimizer: torch.optim.Optimizer) -> list[torch.nn.Parameter]:
    """Return the parameters that an optimiser moves."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def schedule(update: int, updates: int, config: OptimizerConfig) -> float:
    """Return the factor on the learning rate in an update (0 for the first).

    It rises linearly over ``warmup_updates``, the first of which is not 0, and then stays, or falls
    towards 0 at the end of the run on a line or half a cosine.

    Example:
        >>> [schedule(u, 4, OptimizerConfig(warmup_updates=2, decay="linear")) for u in range(4)]
        [0.5, 1.0, 1.0, 0.5]
    """
    if update < config.warmup_updates:
        return (update + 1) / config.warmup_updates
    done = (update - config.warmup_updates) / max(1, updates - config.warmup_updates)
    if config.decay == "linear":
        return 1 - done
    if config.decay == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    return 1.0
