"""What an update used up: tokens and operations, added to the run's counters.

What is counted is returned as well, by the phases of the update that it was used up in. The last
token of a completion is drawn, and read by nobody but a critic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bakeoff.training.flops import FlopModel
from bakeoff.training.learner import Learner
from bakeoff.training.packing.support import packs
from bakeoff.training.reports import Counters, Sample
from bakeoff.types import Batch

Spent = Counter[str]
"""Floating-point operations by phase."""


def count_sampled(counters: Counters, flops: FlopModel, samples: Sequence[Sample]) -> Spent:
    """Count completions that were written: those of one group share one pass over the prompt."""
    spent = 0
    counters.completions += len(samples)
    counters.unscored_completions += sum(sample.score.value is None for sample in samples)
    prefilled: set[int] = set()
    for sample in samples:
        prompt, tokens = _lengths(sample)
        counters.completion_tokens += sample.completion.sampled
        spent += flops.forward(prompt, tokens - 1, tokens)
        if sample.group in prefilled:
            spent -= flops.forward(prompt, 0, 0)
        else:
            counters.prompt_tokens += prompt
        prefilled.add(sample.group)
    return _taken(counters, Spent(rollout=spent))


def count_given(counters: Counters, samples: Sequence[Sample]) -> None:
    """Count the prompts of gold replies: nothing was sampled."""
    counters.prompt_tokens += sum(_lengths(sample)[0] for sample in samples)


def count_learned(
    counters: Counters,
    flops: FlopModel,
    samples: Sequence[Sample],
    learner: Learner,
    batch: Batch,
) -> Spent:
    """Count completions that are learned from in the update that the counters stand at.

    ``batch`` is made of them: those of ``silent_B`` make no backward pass of the policy. A prompt
    is read once before the update and once for each minibatch that its completions are dealt to,
    and by each of them if the policy cannot be read in packed rows.
    """
    none = [0.0] * len(samples)
    silent = none if batch.silent_B is None else batch.silent_B.tolist()
    kinds = [learner.passes(counters.updates, silent=kind) for kind in (False, True)]
    packed = packs(learner.policy)
    read = Counter[int]()
    spent = Spent()
    for sample, spared in zip(samples, silent, strict=True):
        prompt, tokens = _lengths(sample)
        read[sample.group] += 1
        counters.trained_tokens += sample.completion.sampled * learner.algorithm.epochs
        for phase, passes in kinds[spared > 0].items():
            readings = learner.config.minibatches if phase.startswith("update_") else 1
            known = prompt if packed and read[sample.group] > readings else 0
            spent[phase] += passes.policy * flops.forward(prompt, tokens - 1, tokens)
            spent[phase] += passes.critic * flops.forward(prompt, tokens, 0)
            spent[phase] += passes.adapter * flops.adapter(prompt + tokens)
            spent[phase] -= (passes.policy + passes.critic) * flops.forward(known, 0, 0)
            spent[phase] -= passes.adapter * flops.adapter(known)
    return _taken(counters, spent)


def count_measured(
    counters: Counters, flops: FlopModel, samples: Sequence[Sample], passes: float
) -> Spent:
    """Count the passes over completions that measured how far a step of the policy went."""
    operations = sum(
        flops.forward(prompt, tokens - 1, tokens) for prompt, tokens in map(_lengths, samples)
    )
    return _taken(counters, Spent(update_policy=round(passes * operations)))


def _taken(counters: Counters, spent: Spent) -> Spent:
    counters.train_flops += spent.total()
    return spent


def _lengths(sample: Sample) -> tuple[int, int]:
    """Return the tokens of a sample's prompt, and those that follow."""
    return len(sample.completion.prompt_ids), len(sample.completion.token_ids)
