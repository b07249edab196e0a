"""Everything that may differ between two runs apart from algorithm, environment, model and seed.

These dataclasses are the single source of the command line's flags and of the keys of a
``--config`` file: one field is one flag, its help stands beside it. No torch is imported here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bakeoff.errors import UsageError, unknown
from bakeoff.training.budget import with_budget
from bakeoff.training.devices.refusals import check_processes
from bakeoff.training.knob import knob
from bakeoff.training.sampling import server_config
from bakeoff.training.sampling.vllm_modes import logprobs_mode

AUTO_SANDBOX = "auto"
"""The best sandbox that there is here; see ``bakeoff doctor``."""


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How completions are drawn."""

    max_new_tokens: int | None = knob(
        None, "tokens a reply may have (default: the environment's)", low=1
    )
    temperature: float = knob(1.0, "softmax temperature of training samples; 0 is greedy", low=0)
    top_p: float = knob(1.0, "keep the likeliest tokens that hold this much probability", low=1e-6)
    top_k: int = knob(0, "keep this many tokens at most; 0 keeps all", low=0)


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW and its schedule; the critic has the same, but for its learning rate."""

    learning_rate: float | None = knob(
        None, "AdamW step size of the policy (default: the model's)", low=0
    )
    critic_learning_rate: float | None = knob(
        None,
        "and of the critic (default: the policy's; a LoRA has ten times that of weights)",
        low=0,
    )
    warmup_updates: int = knob(0, "updates over which the learning rate rises from 0", low=0)
    decay: str = knob("constant", "what it does then", choices=("constant", "linear", "cosine"))
    weight_decay: float = knob(0.0, "AdamW weight decay", low=0)
    max_grad_norm: float = knob(1.0, "gradients longer than this are shortened to it", low=1e-12)
    optimizer_bits: int = knob(
        32,
        "bits of AdamW's two averages of each weight; 8 needs bitsandbytes",
        choices=("32", "8"),
        later=True,
    )
    match: str = knob(
        "none",
        "make every step of the policy as long as match_target: its norm, or the KL it makes",
        choices=("none", "norm", "kl"),
        later=True,
    )
    match_target: float | None = knob(
        None, "norm of a step's weight change, or KL(old || new) per token", low=1e-12, later=True
    )


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Low-rank matrices that train in the place of the policy's weights."""

    lora_rank: int = knob(
        0,
        "train a LoRA adapter of this rank instead of all weights; 0 trains all",
        low=0,
        later=True,
    )
    lora_alpha: float | None = knob(
        None, "scale it by alpha / rank (default: twice the rank)", low=1e-12, later=True
    )

    @property
    def alpha(self) -> float:
        """What ``lora_alpha`` is, or is by default."""
        return 2.0 * self.lora_rank if self.lora_alpha is None else self.lora_alpha


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run."""

    updates: int = knob(40, "updates: rounds of sampling and learning", low=1)
    budget: str | None = knob(
        None,
        "what ends a run instead of updates: completion_tokens=N, train_s=SECONDS or flops=N; "
        "or memory=SIZE, which each algorithm fills with as large a group as fits",
        later=True,
    )
    prompts_per_update: int = knob(16, "items asked in one update", low=1)
    group_size: int = knob(8, "completions of each item", low=1)
    minibatches: int = knob(2, "optimiser steps in one pass over an update's completions", low=1)
    micro_batch: int = knob(
        64, "completions in one backward pass; changes memory, not results", low=1
    )
    activation_gib: float | None = knob(
        None,
        "GiB that the activations of a backward pass may take: fewer completions in it then",
        low=1e-6,
        later=True,
    )
    recompute: str = knob(
        "none",
        "layers holds only the inputs of layers and runs them twice: less memory, more time",
        choices=("none", "layers"),
        later=True,
    )
    sample_batch: int = knob(
        128, "completions sampled at a time; changes memory, not results", low=1
    )
    sampler: str = knob(
        "builtin",
        "what writes the completions; vllm and vllm_server correct the algorithms for their own "
        "log-probabilities",
        choices=("builtin", "vllm", server_config.SERVER),
        later=True,
    )
    staleness: int = knob(
        0,
        "updates that samples are old: those of an update are drawn so many updates before it, "
        "and by vllm_server beside the learning; corrects the algorithms",
        low=0,
        later=True,
    )
    eval_every: int = knob(10, "updates between evaluations on held-out items", low=1)
    eval_items: int = knob(128, "held-out items of one evaluation, answered greedily", low=1)
    eval_offset: int = knob(
        0,
        "held-out items left out before the first that is asked: tuning is judged on others",
        low=0,
        later=True,
    )
    curriculum: str = knob(
        "none",
        "adaptive takes items of middling solve rate more often than others",
        choices=("none", "adaptive"),
        later=True,
    )
    samples_per_update: int = knob(2, "completions kept for people to read, per update", low=0)
    checkpoint_every: int = knob(
        0, "updates between checkpoints; also keeps the final model; 0 keeps neither", low=0
    )
    threads: int = knob(0, "CPU threads; 0 takes one for a small model and all for others", low=0)
    device: str = knob("auto", "where to run", choices=("auto", "cpu", "cuda"))
    precision: str = knob(
        "fp32",
        "numbers of weights and passes; bf16 keeps fp32 master weights for the optimiser",
        choices=("fp32", "bf16_autocast", "bf16"),
        later=True,
    )
    processes: int = knob(
        1, "processes that share one run, each with a device of its own", low=1, later=True
    )
    sharding: str = knob(
        "none",
        "full splits weights, gradients and optimiser states over the processes (FSDP2)",
        choices=("none", "full"),
        later=True,
    )
    sandbox: str = knob(
        AUTO_SANDBOX,
        "what contains the programs that rewards for code run; none is NO isolation",
        choices=(AUTO_SANDBOX, "namespaces", "landlock", "none"),
        later=True,
    )
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    server: server_config.ServerConfig = field(default_factory=server_config.ServerConfig)

    @property
    def corrected(self) -> bool:
        """Whether the policy that samples is not quite the one that learns.

        Algorithms are then corrected for it, unless their specs say otherwise.
        """
        return self.sampler != "builtin" or self.staleness > 0


HIGHEST = 1e9
"""No number means anything beyond this; infinity is not a setting."""

GROUPS: dict[str, type] = {
    "sampling": SamplingConfig,
    "optimizer": OptimizerConfig,
    "lora": LoraConfig,
    "server": server_config.ServerConfig,
}


def knobs() -> dict[str, dataclasses.Field[Any]]:
    """Return every knob by its flat name, as flags and config files spell it."""
    own = [f for f in dataclasses.fields(TrainConfig) if f.name not in GROUPS]
    grouped = [f for group in GROUPS.values() for f in dataclasses.fields(group)]
    return {f.name: f for f in [*own, *grouped]}


def train_config(values: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration with flat ``values`` in place of the defaults, checked.

    Raises:
        UsageError: an unknown name, a value of the wrong type, one out of its range, or one of two
            that need each other.

    Example:
        >>> train_config({"updates": 3, "learning_rate": 1e-4}).optimizer.learning_rate
        0.0001
    """
    known = knobs()
    for name, value in values.items():
        if name not in known:
            raise unknown("key", name, known)
        _check(known[name], value)

    _check_pairs(values)
    server_config.check(values)
    values = with_budget(values)

    def build(kind: type, **extra: Any) -> Any:
        names = {f.name for f in dataclasses.fields(kind)}
        return kind(**{k: v for k, v in values.items() if k in names}, **extra)

    config: TrainConfig = build(TrainConfig, **{name: build(kind) for name, kind in GROUPS.items()})
    if config.sampler != "builtin":
        drawn = config.sampling
        logprobs_mode(drawn.temperature, drawn.top_p, drawn.top_k)
    return config


def flat(config: TrainConfig) -> dict[str, Any]:
    """Return the configuration as ``{knob: value}``, the inverse of ``train_config``.

    Knobs that the first release did not have are in it only if they were turned: other runs have
    the settings that they had before.

    Example:
        >>> "sandbox" in flat(TrainConfig()), flat(TrainConfig(sandbox="none"))["sandbox"]
        (False, 'none')
    """
    values = dataclasses.asdict(config)
    for name in GROUPS:
        values.update(values.pop(name))
    known = knobs()
    return {
        name: value
        for name, value in values.items()
        if not known[name].metadata["later"] or value != known[name].default
    }


def _check(knob: dataclasses.Field[Any], value: Any) -> None:
    kinds: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,)}
    base, _, optional = str(knob.type).partition(" | ")
    if value is None and optional:
        return
    low, choices = knob.metadata["low"], knob.metadata["choices"]
    if type(value) not in kinds[base]:  # isinstance would take True for a 1
        known = f" (known: {', '.join(choices)})" if choices else ""
        raise UsageError(f"{knob.name} must be {_article(base)}, not {value!r}{known}")
    if low is not None and not value >= low:  # nan fails every comparison
        raise UsageError(f"{knob.name} must be at least {low:g}, not {value}")
    if low is not None and value > HIGHEST:
        raise UsageError(f"{knob.name} must be at most {HIGHEST:g}, not {value}")
    if choices and str(value) not in choices:
        raise unknown(knob.name, str(value), choices)
    if knob.name == "top_p" and value > 1:
        raise UsageError(f"top_p must be at most 1, not {value}")


def _check_pairs(values: Mapping[str, Any]) -> None:
    """Check settings that need each other, or that do not go together."""
    match, target = values.get("match", "none"), values.get("match_target")
    if match != "none" and target is None:
        raise UsageError(f"match {match} needs a target: set match_target, for example to 0.001")
    if match == "none" and target is not None:
        raise UsageError("match_target is of no use without match: set match to norm or kl")
    if values.get("lora_alpha") is not None and not values.get("lora_rank"):
        raise UsageError("lora_alpha is of no use without lora_rank: set it, for example to 16")
    check_processes(values)


def _article(base: str) -> str:
    return {"int": "a whole number", "float": "a number", "str": "a word"}[base]
