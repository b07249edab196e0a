"""What several processes cannot do together, refused before anything starts. No torch here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bakeoff.errors import UsageError
from bakeoff.training.sampling.server_config import SERVER

if TYPE_CHECKING:
    from bakeoff.training.config import TrainConfig

UNSHARDED = {
    "lora_rank": (0, "an adapter is too small to split: leave sharding out"),
    "optimizer_bits": (32, "8-bit averages cannot be split: leave one of the two out"),
    "match": ("none", "a step is measured whole: leave one of the two out"),
    "activation_gib": (None, "it counts the activations of whole weights: use micro_batch"),
}
"""Settings that do not go with sharding: what they are when they are off, and what to do."""


def check_processes(values: Mapping[str, Any]) -> None:
    """Check the settings of a run of several processes.

    Args:
        values: flat settings; those that are missing have their defaults.

    Raises:
        UsageError: two of them do not go together.

    Example:
        >>> check_processes({"processes": 2, "sharding": "full", "lora_rank": 8})
        Traceback (most recent call last):
        bakeoff.errors.UsageError: sharding full does not go with lora_rank: an adapter is too \
small to split: leave sharding out
    """
    processes, sharded = values.get("processes", 1), values.get("sharding", "none") == "full"
    if processes > 1 and (sampler := values.get("sampler", "builtin")) not in ("builtin", SERVER):
        raise UsageError(
            f"{processes} processes do not go with sampler {sampler}, whose engine is in one of "
            f"them: use sampler {SERVER}, which writes for all of them, or builtin"
        )
    if not sharded:
        return
    if processes == 1:
        raise UsageError("sharding full needs several processes: set processes, for example to 2")
    for name, (off, instead) in UNSHARDED.items():
        if values.get(name, off) != off:
            raise UsageError(f"sharding full does not go with {name}: {instead}")


def check_launch(
    config: TrainConfig, size: int, critic: str | None, environ: Mapping[str, str] = os.environ
) -> None:
    """Check that a run is launched as its settings have it.

    Whoever starts it with a configuration of accelerate's own may have asked there for what the
    run's settings contradict, or for what nobody here does.

    Args:
        config: of the run.
        size: how many processes there are.
        critic: its kind, if the algorithm has one.
        environ: where accelerate's launcher writes its settings.

    Raises:
        UsageError: there are more or fewer processes, or other settings, or a critic that is not
            split.
    """
    if size != config.processes:
        raise UsageError(
            f"the run is of {config.processes} processes and was started as {size}: set processes "
            f"to {size}, or start it with --num-processes {config.processes}"
        )
    if config.sharding == "full" and critic == "lora":
        raise UsageError("sharding full does not go with critic=lora: use critic=separate")
    if (asked := asked_sharding(environ)) not in (None, config.sharding):
        raise UsageError(
            f"the accelerate configuration asks for sharding {asked}, and the run's settings for "
            f"{config.sharding}: change one of them"
        )
    numbers = environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if numbers != "no" and not (numbers == "bf16" and config.precision.startswith("bf16")):
        raise UsageError(
            f"the accelerate configuration asks for mixed precision {numbers}, and the run's "
            f"settings for {config.precision}: set mixed_precision to no there, or precision here"
        )


def asked_sharding(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the sharding that accelerate's launcher asks for; None if it asks for nothing.

    Raises:
        UsageError: it asks for an engine, or a kind of sharding, that the training has not.

    Example:
        >>> asked_sharding({}), asked_sharding({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"})
        (None, 'full')
    """
    for engine in ("DEEPSPEED", "MEGATRON_LM", "PARALLELISM_CONFIG"):
        if _said(environ, f"ACCELERATE_USE_{engine}"):
            raise UsageError(
                f"the accelerate configuration asks for {engine}, which the training does not use: "
                "leave it out, or use FSDP with fsdp_version 2"
            )
    if not _said(environ, "ACCELERATE_USE_FSDP"):
        return None
    if (version := environ.get("FSDP_VERSION", "1")) != "2":
        raise UsageError(
            f"the accelerate configuration has fsdp_version {version}: the training shards by "
            "version 2"
        )
    for key, wanted in (("FSDP_RESHARD_AFTER_FORWARD", "true"), ("FSDP_OFFLOAD_PARAMS", "false")):
        if environ.get(key, wanted).lower() not in (wanted, "full_shard"):
            raise UsageError(
                f"the accelerate configuration has {key.lower()} {environ[key]}: the training has "
                f"it {wanted} always"
            )
    return "full"


def _said(environ: Mapping[str, str], key: str) -> bool:
    return environ.get(key, "false").lower() in ("true", "1", "yes")
