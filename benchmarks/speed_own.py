"""This project's loop under the clock: the phases of each update, and the peak of the process."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from speed_floors import Sizes, sizes_of
from speed_world import Endless, Shape, Texts, endless, prompts

from bakeoff.algorithms import make
from bakeoff.training.config import train_config
from bakeoff.training.loop import Training
from bakeoff.training.meter import CLEAR_REFS, Meter, Phase, status_bytes

PHASES = ("generation", "scoring", "update", "other")
"""What an update is split into, here and in TRL: both have these and no more."""

PHASE_OF = {
    "rollout": "generation",
    "weight_sync": "generation",
    **dict.fromkeys(("reward", "values", "ref_logprob", "old_logprob", "advantage"), "scoring"),
    **dict.fromkeys(("update_policy", "update_critic"), "update"),
}
"""The loop's own phases, by those; what is in neither is ``other``."""

LEFT_OUT = ("eval", "checkpoint")
"""The loop's phases that are no part of an update."""

RATE = 1e-6


class Times(NamedTuple):
    """The seconds of one phase of one update."""

    wall_s: float
    cpu_s: float


class Job(NamedTuple):
    """What a process is to train.

    Attributes:
        model: one of ``speed_world.MODELS``.
        shape: what an update asks.
        precision: one of ``speed_world.DTYPES``.
        warmup: updates that are not counted.
        updates: those that are.
        threads: CPU threads; 0 takes all.
        device: ``cpu`` or ``cuda``.
        knobs: of this project's configuration, or of TRL's, beyond what both are given.
    """

    model: str
    shape: Shape
    precision: str
    warmup: int
    updates: int
    threads: int
    device: str
    knobs: Mapping[str, Any]


class Run(NamedTuple):
    """What a process measured.

    Attributes:
        updates: for each that counts, its phases.
        baseline_bytes: what the process held once the model was loaded.
        peak_bytes: the most it held from then on.
        asked: a digest of the prompts' tokens.
        tokens: how many were sampled in each update.
        parameters: of the model.
        vocabulary: of the model.
        sizes: what the floors are counted from.
    """

    updates: list[dict[str, Times]]
    baseline_bytes: int
    peak_bytes: int
    asked: str
    tokens: int
    parameters: int
    vocabulary: int
    sizes: Sizes


def prepare(job: Job) -> tuple[Endless, list[str], int]:
    """Load the model; return it, the prompts, and what the process holds now, in bytes.

    The high-water mark starts again from here. Weights that are still in their file are read first:
    else they would be counted as what the training adds.
    """
    torch.set_num_threads(job.threads or len(os.sched_getaffinity(0)))
    model = endless(job.model, job.precision, job.device)
    for weight in model.model.parameters():
        weight.data = weight.data.clone()
    texts = prompts(model.tokenizer, job.shape.prompts, job.shape.prompt_tokens)
    if job.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return model, texts, torch.cuda.memory_allocated()
    CLEAR_REFS.write_text("5")
    return model, texts, status_bytes("VmRSS:") or 0


def digest(prompts_of_ids: Sequence[Sequence[int]]) -> str:
    """Return a short name of some prompts, whatever their order and however often each comes."""
    distinct = sorted({tuple(ids) for ids in prompts_of_ids})
    return hashlib.sha256(repr(distinct).encode()).hexdigest()[:12]


def training_of(job: Job, model: Endless, texts: Sequence[str]) -> Training:
    """Return a run of GRPO on the texts, with one optimiser step an update."""
    values: dict[str, Any] = {
        "updates": job.warmup + job.updates,
        "prompts_per_update": job.shape.prompts,
        "group_size": job.shape.group,
        "max_new_tokens": job.shape.completion_tokens,
        "minibatches": 1,
        "learning_rate": RATE,
        "eval_every": 10**6,
        "eval_items": 1,
        "samples_per_update": 0,
        "threads": job.threads,
    }
    if job.precision != "fp32":
        values["precision"] = job.precision
    config = train_config({**values, **job.knobs})
    meter = Meter(job.device)
    return Training(model, Texts(texts), make("grpo"), config, seed=0, meter=meter)


def train(job: Job) -> Run:
    """Train, and return what was measured."""
    return _trained(job)[0]


def _trained(job: Job) -> tuple[Run, Training, list[tuple[int, ...]]]:
    """Train; return what was measured, the run with its models, and the prompts' tokens."""
    model, texts, baseline = prepare(job)
    asked = [model.prompt_ids(text) for text in texts]
    training = training_of(job, model, texts)
    updates = [phases_of(report.phases) for report in training.run() if report.update > job.warmup]
    meter, counters = training.meter, training.counters
    run = Run(
        updates=updates,
        baseline_bytes=baseline,
        peak_bytes=meter.peak_bytes if meter.cuda else meter.peak_rss_bytes,
        asked=digest(asked),
        tokens=counters.completion_tokens // counters.updates,
        parameters=sum(weight.numel() for weight in model.model.parameters()),
        vocabulary=model.eos_ids[0],
        sizes=sizes_of(model.model, job.precision),
    )
    return run, training, asked


def phases_of(phases: Sequence[Phase]) -> dict[str, Times]:
    """Return the seconds of an update by ``PHASES``.

    Example:
        >>> found = phases_of([Phase("reward", 1.0), Phase("values", 2.0), Phase("eval", 9.0)])
        >>> found["scoring"].wall_s, found["other"].wall_s
        (3.0, 0.0)
    """
    found = dict.fromkeys(PHASES, Times(0.0, 0.0))
    for phase in phases:
        if phase.name not in LEFT_OUT:
            name = PHASE_OF.get(phase.name, "other")
            wall_s, cpu_s = found[name]
            found[name] = Times(wall_s + phase.wall_s, cpu_s + phase.cpu_s)
    return found


class Probe(NamedTuple):
    """What ``limits.py`` needs: a run, and the time of the pass over the prompts.

    Attributes:
        run: the run.
        prefill_s: how long it takes to sample one token of each completion, by the same sampler.
    """

    run: Run
    prefill_s: list[float]


def probe(job: Job, times: int = 3) -> Probe:
    """Train, then time the pass over the prompts alone."""
    run, training, asked = _trained(job)
    gatherer = training.gatherer
    one_token = replace(gatherer.decoding, max_new_tokens=1)
    seconds = []
    with training.learner.sampling():
        for _ in range(times):
            start = time.perf_counter()
            gatherer.sampler.sample(asked, job.shape.group, one_token, 0)
            if job.device == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - start)
    return Probe(run, seconds)
