"""The engine that a run's settings ask for: in this process, or in one of its own.

Of several processes rank 0 alone has the server, and samples for all of them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bakeoff.training.sampling.protocol import Decoding
from bakeoff.training.sampling.server_config import SERVER
from bakeoff.training.sampling.server_engine import ServerEngine
from bakeoff.training.sampling.vllm_engine import Answer, Engine, Question
from bakeoff.training.sampling.vllm_sampler import VllmSampler

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from bakeoff.models.loading import LanguageModel
    from bakeoff.training.learner import Learner


class Bystander:
    """What a rank that does not drive the server has in the place of an engine.

    Attributes:
        kv_cache_bytes: 0.
        weight_bytes: 0 too.
    """

    kv_cache_bytes = 0
    weight_bytes = 0

    def __init__(self, model: PreTrainedModel, **named: object) -> None:
        """Have nothing to do with what is sampled."""

    def load(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Leave the weights to rank 0."""

    def answers(self, questions: Sequence[Question]) -> Generator[tuple[int, Answer], None, None]:
        """Raise an error: nobody asks this rank.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("rank 0 asks the server, for all ranks")

    def close(self) -> None:
        """Do nothing."""


def engine_of(
    language_model: LanguageModel, decoding: Decoding, learner: Learner
) -> VllmSampler | None:
    """Start an engine with weights of its own, in the numbers of the run's passes, if one is asked.

    Args:
        language_model: the learner's player, and its tokenizer.
        decoding: how most tokens are chosen.
        learner: has the weights; its ledger is told what an engine in this process holds, and of
            nothing that a server does. All ranks call this.

    Returns:
        The engine; None if the model samples itself.

    Raises:
        UsageError: vLLM is not installed, or a server has other flags than it needs.
        ModelError: vLLM cannot run the model, or a server cannot be had.
    """
    config, world, ledger = learner.config, learner.world, learner.ledger
    if config.sampler == "builtin":
        return None
    weights = language_model.model.dtype
    apart = config.sampler == SERVER
    server = Bystander if world.rank else partial(ServerEngine, server=config.server)
    engine = VllmSampler(
        language_model,
        decoding,
        rows=config.sample_batch,
        dtype=weights if config.precision == "fp32" else torch.bfloat16,
        start=server if apart else Engine,
        policy=learner.policy,
        world=world,
    )
    if not apart:
        ledger.set("sampler_weights", engine.weight_bytes, always=True)
        ledger.set("kv_cache", engine.kv_cache_bytes, always=True)
    return engine
