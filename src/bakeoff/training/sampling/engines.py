"""The engine that a run's settings ask for: in this process, or in one of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from bakeoff.training.config import TrainConfig
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.training.sampling.server_config import SERVER
from bakeoff.training.sampling.server_engine import ServerEngine
from bakeoff.training.sampling.vllm_engine import Engine
from bakeoff.training.sampling.vllm_sampler import VllmSampler

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel


def vllm_sampler(
    language_model: LanguageModel, decoding: Decoding, config: TrainConfig
) -> VllmSampler:
    """Start an engine with weights of its own, in the numbers of the run's passes.

    Raises:
        UsageError: vLLM is not installed, or a server has other flags than it needs.
        ModelError: vLLM cannot run the model, or a server cannot be had.
    """
    weights = language_model.model.dtype
    return VllmSampler(
        language_model,
        decoding,
        rows=config.sample_batch,
        dtype=weights if config.precision == "fp32" else torch.bfloat16,
        start=partial(ServerEngine, server=config.server) if config.sampler == SERVER else Engine,
    )
