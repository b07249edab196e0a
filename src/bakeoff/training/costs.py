"""What an update used up: tokens and operations, added to the run's counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bakeoff.training.flops import FlopModel
from bakeoff.training.learner import Learner
from bakeoff.training.packing.support import packs
from bakeoff.training.reports import Counters, Sample
from bakeoff.types import Batch


def count_sampled(counters: Counters, flops: FlopModel, samples: Sequence[Sample]) -> None:
    """Count completions that were written: those of one group share one pass over the prompt."""
    counters.completions += len(samples)
    counters.unscored_completions += sum(sample.score.value is None for sample in samples)
    prefilled: set[int] = set()
    for sample in samples:
        prompt, tokens = _lengths(sample)
        counters.completion_tokens += sample.completion.sampled
        counters.train_flops += flops.forward(prompt, tokens, tokens)
        if sample.group in prefilled:
            counters.train_flops -= flops.forward(prompt, 0, 0)
        else:
            counters.prompt_tokens += prompt
        prefilled.add(sample.group)


def count_given(counters: Counters, samples: Sequence[Sample]) -> None:
    """Count the prompts of gold replies: nothing was sampled."""
    counters.prompt_tokens += sum(_lengths(sample)[0] for sample in samples)


def count_learned(
    counters: Counters,
    flops: FlopModel,
    samples: Sequence[Sample],
    learner: Learner,
    batch: Batch,
) -> None:
    """Count completions that are learned from in the update that the counters stand at.

    ``batch`` is made of them: those of ``silent_B`` make no backward pass of the policy. A prompt
    is read once for each minibatch that its completions are dealt to, and by each of them if the
    policy cannot be read in packed rows.
    """
    none = [0.0] * len(samples)
    silent = none if batch.silent_B is None else batch.silent_B.tolist()
    kinds = [learner.passes(counters.updates, silent=kind) for kind in (False, True)]
    readings = learner.config.minibatches if packs(learner.policy) else len(samples)
    read = Counter[int]()
    for sample, spared in zip(samples, silent, strict=True):
        passes = kinds[spared > 0]
        prompt, tokens = _lengths(sample)
        read[sample.group] += 1
        if read[sample.group] > readings:  # minus what those before it have read
            counters.train_flops -= (passes.policy + passes.critic) * flops.forward(prompt, 0, 0)
            counters.train_flops -= passes.adapter * flops.adapter(prompt)
        counters.trained_tokens += sample.completion.sampled * learner.algorithm.epochs
        counters.train_flops += passes.policy * flops.forward(prompt, tokens, tokens)
        counters.train_flops += passes.critic * flops.forward(prompt, tokens, 0)
        counters.train_flops += passes.adapter * flops.adapter(prompt + tokens)


def count_measured(
    counters: Counters, flops: FlopModel, samples: Sequence[Sample], passes: float
) -> None:
    """Count the passes over completions that measured how far a step of the policy went."""
    operations = sum(
        flops.forward(prompt, tokens, tokens) for prompt, tokens in map(_lengths, samples)
    )
    counters.train_flops += round(passes * operations)


def _lengths(sample: Sample) -> tuple[int, int]:
    """Return the tokens of a sample's prompt, and those that follow."""
    return len(sample.completion.prompt_ids), len(sample.completion.token_ids)
