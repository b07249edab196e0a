"""The one training loop. Algorithms differ only in the functions they hand it.

items -> completions -> scores -> batch -> advantages -> loss -> optimiser -> metrics
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.errors import UsageError
from bakeoff.streams import stream_seed
from bakeoff.training.batch import collate
from bakeoff.training.checkpoint import load_checkpoint, save_checkpoint, saved_updates
from bakeoff.training.config import TrainConfig
from bakeoff.training.curriculum import ORDERS
from bakeoff.training.flops import FlopModel, flop_model
from bakeoff.training.learner import Diverged, Learner
from bakeoff.training.ledger import Ledger, tensor_bytes
from bakeoff.training.meter import Meter
from bakeoff.training.reports import Counters, Report, Sample
from bakeoff.training.rollout import rollout
from bakeoff.training.sampler import CacheSampler, Decoding, Sampler
from bakeoff.training.statistics import batch_metrics, sample_metrics
from bakeoff.types import Algorithm, Batch, Completion, Environment, Item, Metrics, Score

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel


class Training:
    """One run, from its models to its metrics: iterate over ``run()``.

    Attributes:
        learner: the models and their optimisers.
        counters: what the run has used up so far.
        ledger: the bytes by component.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        environment: Environment,
        algorithm: Algorithm,
        config: TrainConfig,
        *,
        seed: int,
        meter: Meter,
        ledger: Ledger | None = None,
    ) -> None:
        """Set up a run.

        Args:
            language_model: the policy, which is trained in place, and its tokenizer.
            environment: where items and scores come from.
            algorithm: what is made of them.
            config: with ``max_new_tokens`` and ``learning_rate`` filled in.
            seed: the experiment's seed.
            meter: measures time and memory.
            ledger: the components' bytes, if some are known already.

        Raises:
            UsageError: the group is smaller than the algorithm needs.
        """
        if config.group_size < algorithm.min_group_size:
            raise UsageError(
                f"group_size {config.group_size} is too small: the algorithm compares at least "
                f"{algorithm.min_group_size} completions of one item"
            )
        for split in ("train", "eval"):
            if environment.size(split) < 1:
                raise UsageError(f"environment '{environment.id}' has no {split} items")
        assert config.sampling.max_new_tokens is not None
        self.language_model, self.environment = language_model, environment
        self.config, self.seed, self.meter = config, seed, meter
        self.ledger = ledger or Ledger()
        self.learner = Learner(language_model, algorithm, config, self.ledger)
        self.sampler: Sampler = CacheSampler(language_model, rows=config.sample_batch)
        self.order = ORDERS[config.curriculum](environment, seed)
        self.counters = Counters()
        self.flops: FlopModel = flop_model(language_model.model)
        sampling = config.sampling
        self.decoding = Decoding(
            max_new_tokens=config.sampling.max_new_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
        )
        meter.on_peak = self.ledger.mark_peak

    def run(self, checkpoints: Path | None = None) -> Iterator[Report]:
        """Train, yielding a report after each update and one before the first.

        Args:
            checkpoints: the folder of this run's checkpoint; the run goes on from the one that is
                there, and saves one every ``checkpoint_every`` updates.

        Raises:
            Diverged: a loss, a gradient or a logit is no longer finite.
            OutOfMemory: the process went over the meter's limit.
        """
        self.meter.start_update()
        state = None
        if checkpoints is not None:
            state = load_checkpoint(checkpoints, self.learner, self.counters)
        if state is None:
            yield self._report({}, [], evaluate=True)
        else:
            self.order.restore(state)
        for update in range(self.counters.updates, self.config.updates):
            self.meter.start_update()
            self._save(checkpoints)
            started = time.perf_counter()
            metrics, samples = self._update(update)
            self.counters.updates = update + 1
            self.counters.train_s += time.perf_counter() - started
            last = update + 1 == self.config.updates
            evaluate = last or (update + 1) % self.config.eval_every == 0
            kept = samples[: self.config.samples_per_update]
            yield self._report(metrics, kept, evaluate=evaluate)
        self._save(checkpoints)

    def _save(self, folder: Path | None) -> None:
        """Write a checkpoint if one is due.

        Called only after the last update's report was taken up: a checkpoint that is ahead of the
        rows would lose them, rows that are ahead of the checkpoint are written again.
        """
        every, done = self.config.checkpoint_every, self.counters.updates
        if folder is None or not every or not done or done == saved_updates(folder):
            return
        if done % every == 0 or done == self.config.updates:
            with self.meter.phase("checkpoint"):
                save_checkpoint(folder, self.learner, self.counters, self.order.state())

    def _report(
        self,
        metrics: Metrics,
        samples: Sequence[Sample],
        *,
        evaluate: bool,
    ) -> Report:
        eval_samples = self._evaluate() if evaluate else []
        eval_metrics = sample_metrics(eval_samples, score="score") if evaluate else {}
        return Report(
            update=self.counters.updates,
            metrics=metrics,
            eval_metrics=eval_metrics,
            phases=self.meter.finish_update(),
            samples=samples,
            eval_samples=eval_samples,
            counters=replace(self.counters),
        )

    def _update(self, update: int) -> tuple[Metrics, list[Sample]]:
        """Sample, score and learn once; return the metrics and all completions."""
        config = self.config
        items = self.order.items(update, config.prompts_per_update)
        decoding_seed = stream_seed("sampling", self.seed, update)
        with self.meter.phase("rollout") as phase:
            replies = self._sample(items, config.group_size, self.decoding, decoding_seed)
            phase.tokens = sum(completion.sampled for _, completion in replies)
        with self.meter.phase("reward"):
            samples = self._judged(replies)
        self.order.learn(samples)
        self._count(samples)
        metrics = sample_metrics(samples, score="reward")
        batch = self._batch(samples)
        if batch is None:  # nothing could be scored: there is nothing to learn from
            return metrics, samples
        batch = self.learner.annotate(batch, self.meter)
        with self.meter.phase("advantage"):
            credit = self.learner.algorithm.advantages(batch)
            batch = batch._replace(adv_BT=credit.adv_BT, return_BT=credit.return_BT)
            metrics |= batch_metrics(batch)
            self.ledger.set("rollout_buffer", tensor_bytes(batch))
        metrics |= self.learner.learn(batch, self.seed, update, self.meter)
        return metrics, samples

    def _evaluate(self) -> list[Sample]:
        """Answer the first held-out items greedily; the same ones for every run."""
        started = time.perf_counter()
        n = min(self.config.eval_items, self.environment.size("eval"))
        items = [self.environment.item(index, "eval") for index in range(n)]
        greedy = Decoding(max_new_tokens=self.decoding.max_new_tokens, temperature=0.0)
        with self.meter.phase("eval") as phase:
            replies = self._sample(items, 1, greedy, seed=0)
            samples = self._judged(replies)
            phase.tokens = sum(completion.sampled for _, completion in replies)
        self.counters.eval_s += time.perf_counter() - started
        return samples

    def _sample(
        self, items: Sequence[Item], n: int, decoding: Decoding, seed: int
    ) -> list[tuple[Item, Completion]]:
        try:
            replies, cache_bytes = rollout(
                self.environment, self.language_model, self.sampler, items, n, decoding, seed
            )
        except FloatingPointError as error:
            raise Diverged(str(error)) from error
        self.ledger.set("kv_cache", cache_bytes)
        return replies

    def _judged(self, episodes: Sequence[tuple[Item, Completion]]) -> list[Sample]:
        several = self.environment.turns > 1
        replies = [one.replies if several else one.text for _, one in episodes]
        scores = self.environment.score_many([item for item, _ in episodes], replies)
        return [
            Sample(item, completion, _finite(score))
            for (item, completion), score in zip(episodes, scores, strict=True)
        ]

    def _batch(self, samples: Sequence[Sample]) -> Batch | None:
        """Return the batch of what could be scored; group ``i`` is the ``i``-th item."""
        scored = [
            (index // self.config.group_size, sample)
            for index, sample in enumerate(samples)
            if sample.score.value is not None
        ]
        if not scored:
            return None
        return collate(
            [sample.completion for _, sample in scored],
            [float(sample.score.value) for _, sample in scored],  # type: ignore[arg-type]
            [group for group, _ in scored],
            limit=self.decoding.max_new_tokens * self.environment.turns,
            pad_id=self.language_model.pad_id,
            device=str(self.language_model.model.device),
        )

    def _count(self, samples: Sequence[Sample]) -> None:
        counters, group = self.counters, self.config.group_size
        counters.prompts += len(samples) // group
        counters.completions += len(samples)
        counters.unscored_completions += sum(s.score.value is None for s in samples)
        epochs = self.learner.algorithm.epochs
        passes = 3 * epochs  # forward and backward
        passes += self.learner.reference is not None
        critic_passes = 3 * epochs + 1 if self.learner.critic is not None else 0
        for index, sample in enumerate(samples):
            prompt = len(sample.completion.prompt_ids)
            tokens = len(sample.completion.token_ids)
            counters.completion_tokens += sample.completion.sampled
            prefill = index % group == 0
            counters.prompt_tokens += prompt if prefill else 0
            rollout = self.flops.forward(prompt, tokens, tokens)
            if not prefill:
                rollout -= self.flops.forward(prompt, 0, 0)
            counters.train_flops += rollout
            if sample.score.value is not None:
                counters.trained_tokens += sample.completion.sampled * epochs
                counters.train_flops += passes * self.flops.forward(prompt, tokens, tokens)
                counters.train_flops += critic_passes * self.flops.forward(prompt, tokens, 0)


def _finite(score: Score) -> Score:
    """Return a score whose value is a finite number, or that has none."""
    if score.value is None:
        return score
    value = float(score.value)
    parts = {name: float(part) for name, part in score.parts.items()}
    if not math.isfinite(value):
        return replace(score, value=None, parts=parts, reason=f"the score is {value}")
    return replace(score, value=value, parts=parts)
