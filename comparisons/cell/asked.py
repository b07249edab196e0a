"""What a cell is to run, as its ``spec.json`` says it, with everything filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from bakeoff.envs import TextEnv
    from bakeoff.training.config import TrainConfig
    from bakeoff.types import Algorithm


class Asked(NamedTuple):
    """What a cell is to run, its settings resolved."""

    algorithm: Algorithm
    environment: TextEnv
    config: TrainConfig
    device: str


def asked(spec: Mapping[str, Any]) -> Asked:
    """Return what a cell is to run.

    Args:
        spec: its ``spec.json``.

    Raises:
        UsageError: something in it does not exist, or is out of its range.
    """
    import torch

    from bakeoff import algorithms, envs
    from bakeoff.training.config import train_config

    config = train_config(spec["config"])
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    environment = envs.make(spec["environment"])
    # another engine's log-probabilities are not the training model's
    algorithm = algorithms.make(spec["algorithm"], corrected=config.corrected)
    return Asked(
        algorithm,
        environment,
        _resolved(config, environment.reply_tokens, spec["model"]),
        device,
    )


def _resolved(config: TrainConfig, reply_tokens: int, model: str) -> TrainConfig:
    """Fill in what depends on the model and the environment."""
    from bakeoff import models

    sampling, optimizer = config.sampling, config.optimizer
    if sampling.max_new_tokens is None:
        sampling = replace(sampling, max_new_tokens=reply_tokens)
    if optimizer.learning_rate is None:
        from bakeoff.training.models import LORA_RATE

        rate = models.default_learning_rate(model)
        rate *= LORA_RATE if config.lora.lora_rank else 1.0
        optimizer = replace(optimizer, learning_rate=rate)
    return replace(config, sampling=sampling, optimizer=optimizer)
