"""The engine that a run's settings ask for: in this process, or in one of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from bakeoff.training.config import TrainConfig
from bakeoff.training.ledger import Ledger
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.training.sampling.server_config import SERVER
from bakeoff.training.sampling.server_engine import ServerEngine
from bakeoff.training.sampling.vllm_engine import Engine
from bakeoff.training.sampling.vllm_sampler import VllmSampler

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel


def engine_of(
    language_model: LanguageModel, decoding: Decoding, config: TrainConfig, ledger: Ledger
) -> VllmSampler | None:
    """Start an engine with weights of its own, in the numbers of the run's passes, if one is asked.

    Args:
        language_model: whose weights it is given.
        decoding: how most tokens are chosen.
        config: of the run.
        ledger: is told what an engine in this process holds; what a server holds is not held here.

    Returns:
        The engine; None if the model samples itself.

    Raises:
        UsageError: vLLM is not installed, or a server has other flags than it needs.
        ModelError: vLLM cannot run the model, or a server cannot be had.
    """
    if config.sampler == "builtin":
        return None
    weights = language_model.model.dtype
    apart = config.sampler == SERVER
    engine = VllmSampler(
        language_model,
        decoding,
        rows=config.sample_batch,
        dtype=weights if config.precision == "fp32" else torch.bfloat16,
        start=partial(ServerEngine, server=config.server) if apart else Engine,
    )
    if not apart:
        ledger.set("sampler_weights", engine.weight_bytes, always=True)
        ledger.set("kv_cache", engine.kv_cache_bytes, always=True)
    return engine
