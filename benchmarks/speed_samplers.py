"""Samplers under the clock: this project's, transformers' ``generate`` and ``generate_batch``.

All sample from the same model at temperature 1, with the same prompts and number of completions.
Either no token ends a reply, and all are full; or one of the vocabulary's in ``ENDING`` does, so
that some end long before others, which is what continuous batching is for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from speed_own import Job, prepare, training_of
from speed_world import Endless

from bakeoff.training.meter import status_bytes

ENDING = 256

CPU_BLOCKS = 64
"""Pages of 256 tokens in the cache of ``generate_batch``."""

Sample = Callable[[int], list[int]]
"""Samples with a seed and returns how many tokens each completion has."""


class Sampled(NamedTuple):
    """What a process measured.

    Attributes:
        seconds: of each call that counts.
        tokens: that each of them sampled.
        baseline_bytes: what the process held once the model was loaded.
        peak_bytes: the most it held from then on.
    """

    seconds: list[float]
    tokens: list[int]
    baseline_bytes: int
    peak_bytes: int


def sampled(job: Job) -> Sampled:
    """Sample once for each of the job's updates.

    ``knobs`` has the ``engine``, and whether replies are ``uneven``.
    """
    knobs = dict(job.knobs)
    engine, uneven = knobs.pop("engine"), knobs.pop("uneven")
    model, texts, baseline = prepare(job)
    if uneven:
        model = replace(model, ends=max(1, model.eos_ids[0] // ENDING))
    sample = ENGINES[engine](job._replace(knobs=knobs), model, texts)
    seconds, tokens = [], []
    for turn in range(job.warmup + job.updates):
        start = time.perf_counter()
        lengths = sample(turn)
        if job.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
        tokens.append(sum(lengths))
        assert len(lengths) == job.shape.completions
    cuda = job.device == "cuda"
    peak = torch.cuda.max_memory_allocated() if cuda else status_bytes("VmHWM:") or 0
    return Sampled(seconds[job.warmup :], tokens[job.warmup :], baseline, peak)


def own(job: Job, model: Endless, texts: Sequence[str]) -> Sample:
    """Return this project's sampler, all completions at once if it can."""
    rows = {"sample_batch": job.shape.completions}
    training = training_of(job._replace(knobs={**rows, **job.knobs}), model, texts)
    gatherer, asked = training.gatherer, [model.prompt_ids(text) for text in texts]

    def sample(seed: int) -> list[int]:
        with training.learner.sampling():
            found = gatherer.sampler.sample(asked, job.shape.group, gatherer.decoding, seed)
        return [len(completion.token_ids) for completion in found]

    return sample


def generate(job: Job, model: Endless, texts: Sequence[str]) -> Sample:
    """Return ``model.generate`` over all completions at once."""
    ids = [model.prompt_ids(text) for text in texts for _ in range(job.shape.group)]
    prompt_BP = torch.tensor(ids, device=job.device)
    options = _options(job, model)

    def sample(seed: int) -> list[int]:
        torch.manual_seed(seed)
        with _numbers(job):
            found_BS = model.model.generate(
                prompt_BP, attention_mask=torch.ones_like(prompt_BP), generation_config=options
            )
        token_BT = found_BS[:, prompt_BP.shape[1] :]
        ended_BT = torch.isin(token_BT, torch.tensor(model.eos_ids, device=token_BT.device))
        lengths_B = ended_BT.int().argmax(1) + 1
        return torch.where(ended_BT.any(1), lengths_B, token_BT.shape[1]).tolist()

    return sample


def generate_batch(job: Job, model: Endless, texts: Sequence[str]) -> Sample:
    """Return ``model.generate_batch``, transformers' continuous batching."""
    ids = [list(model.prompt_ids(text)) for text in texts for _ in range(job.shape.group)]
    options, more = _options(job, model), {}
    if job.device == "cpu":  # where it would take most of the machine's memory
        from transformers import ContinuousBatchingConfig

        more["continuous_batching_config"] = ContinuousBatchingConfig(num_blocks=CPU_BLOCKS)

    def sample(seed: int) -> list[int]:
        torch.manual_seed(seed)
        with _numbers(job):
            found = model.model.generate_batch(ids, generation_config=options, **more)
        return [len(output.generated_tokens) for output in found.values()]

    return sample


ENGINES = {"bakeoff": own, "generate": generate, "generate_batch": generate_batch}


def _options(job: Job, model: Endless) -> Any:
    from transformers import GenerationConfig

    return GenerationConfig(
        max_new_tokens=job.shape.completion_tokens,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        pad_token_id=model.pad_id,
        eos_token_id=list(model.eos_ids),
    )


def _numbers(job: Job) -> Any:
    """Return the context in which passes are in the numbers of the run."""
    if job.precision == "bf16_autocast":
        return torch.autocast(job.device, torch.bfloat16)
    return nullcontext()
