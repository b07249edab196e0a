"""What the process of a run holds before it has a model: Python and the libraries that it needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.training.config import TrainConfig
    from bakeoff.types import Algorithm


def baseline_bytes(algorithms: Iterable[Algorithm], config: TrainConfig) -> int:
    """Import what runs of some algorithms need, and return what this process then holds."""
    import transformers.modeling_utils  # noqa: F401

    from bakeoff.training.meter import status_bytes
    from bakeoff.training.sampling import vllm_engine

    if any(needs_peft(algorithm, config) for algorithm in algorithms):
        import peft  # noqa: F401
    if config.optimizer.optimizer_bits == 8:
        import bitsandbytes  # noqa: F401
    if config.sampler == "vllm":
        vllm_engine.library()
    return status_bytes("VmRSS:") or 0


def needs_peft(algorithm: Algorithm, config: TrainConfig) -> bool:
    """Tell whether a run has a LoRA, as its policy or its critic.

    Example:
        >>> from bakeoff.algorithms import make
        >>> from bakeoff.training.config import train_config
        >>> needs_peft(make("grpo"), train_config({"lora_rank": 16}))
        True
    """
    critic = algorithm.critic
    return bool(config.lora.lora_rank) or (critic is not None and critic.kind == "lora")
