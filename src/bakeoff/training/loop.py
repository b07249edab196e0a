"""The one training loop. Algorithms differ only in the functions they hand it.

items -> completions -> scores -> batch -> advantages -> loss -> optimiser -> metrics
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.algorithms.stages import credited
from bakeoff.errors import UsageError
from bakeoff.training.budget import parse, spent_frac
from bakeoff.training.checkpoint import load_checkpoint, save_checkpoint, saved_updates
from bakeoff.training.config import TrainConfig
from bakeoff.training.costs import count_given, count_learned, count_measured, count_sampled
from bakeoff.training.devices.refusals import check_launch
from bakeoff.training.devices.world import world
from bakeoff.training.flops import FlopModel, flop_model
from bakeoff.training.gathering import Gatherer
from bakeoff.training.learner import Learner
from bakeoff.training.ledger import Ledger, tensor_bytes
from bakeoff.training.meter import Meter
from bakeoff.training.packing.products import fast_products
from bakeoff.training.pipeline import Pipeline
from bakeoff.training.reports import Counters, Report, Sample
from bakeoff.training.rounds import Gathered
from bakeoff.training.statistics import critic_metrics, sample_metrics, silent_metrics
from bakeoff.types import Algorithm, Batch, Environment, Metrics

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
            UsageError: the group is smaller than the algorithm needs, or it learns from gold
                replies and the environment has none, or the budget is one of tokens, and it
                writes none, or the processes are not those of ``config``.
        """
        self.world = world(config.device)
        kind = algorithm.critic.kind if algorithm.critic is not None else None
        check_launch(config, self.world.size, kind)
        if config.group_size < algorithm.min_group_size:
            raise UsageError(
                f"group_size {config.group_size} is too small: the algorithm compares at least "
                f"{algorithm.min_group_size} completions of one item"
            )
        for split, first in (("train", 0), ("eval", config.eval_offset)):
            if environment.size(split) <= first:
                behind = f" behind the first {first}" if first else ""
                raise UsageError(f"environment '{environment.id}' has no {split} items{behind}")
        self.budget = parse(config.budget) if config.budget else None
        if self.budget and self.budget.kind == "completion_tokens" and algorithm.on_gold:
            raise UsageError(
                f"budget {self.budget} never ends a run that learns from gold replies: it writes "
                "no tokens; use flops or train_s"
            )
        self.environment, self.config, self.seed, self.meter = environment, config, seed, meter
        self.ledger = ledger or Ledger()
        self.learner = Learner(language_model, algorithm, config, self.ledger, seed=seed)
        self.gatherer = Gatherer(language_model, environment, self.learner, seed=seed, meter=meter)
        self.pipeline = Pipeline(self.gatherer)
        self.counters = Counters()
        self.flops: FlopModel = flop_model(language_model.model)
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
        try:
            yield from self._run(checkpoints)
        finally:
            self.pipeline.close()

    def _run(self, checkpoints: Path | None) -> Iterator[Report]:
        self.meter.start_update()
        state = None
        if checkpoints is not None:
            state = load_checkpoint(checkpoints, self.learner, self.counters)
        if state is None:
            yield self._report({}, [], evaluate=True)
        else:
            self.pipeline.restore(state)
        while not self.ended:
            self.meter.start_update()
            self._save(checkpoints)
            started = time.perf_counter()
            metrics, samples = self._update(self.counters.updates)
            self.counters.updates += 1
            # rank 0's clock, so that a budget of time ends all ranks at the same update
            self.counters.train_s += self.world.first(time.perf_counter() - started)
            evaluate = self.ended or self.counters.updates % self.config.eval_every == 0
            yield self._report(metrics, samples, evaluate=evaluate)
        self._save(checkpoints)

    @property
    def ended(self) -> bool:
        """Whether the run has made all its updates, or used up its budget."""
        return self._done_frac() >= 1

    def _done_frac(self) -> float:
        updates_frac = self.counters.updates / self.config.updates
        return max(updates_frac, spent_frac(self.budget, self.counters.as_dict()))

    def _save(self, folder: Path | None) -> None:
        """Write a checkpoint if one is due.

        Called only after the last update's report was taken up: a checkpoint that is ahead of the
        rows would lose them, rows that are ahead of the checkpoint are written again.
        """
        every, done = self.config.checkpoint_every, self.counters.updates
        if folder is None or not every or not done:
            return
        if (done % every and not self.ended) or done == self.world.first(saved_updates(folder)):
            return
        self._settle()
        with self.meter.phase("checkpoint"):
            save_checkpoint(folder, self.learner, self.counters, self.pipeline.state())

    def _settle(self, *, synchronise: bool = False) -> None:
        """Wait for samples in flight, and if asked move the weights to where samples are drawn.

        That is time of training, whatever comes after it.
        """
        started = time.perf_counter()
        self.pipeline.settle(self.counters.updates)
        if synchronise:
            self.gatherer.synchronise()
        self.counters.train_s += self.world.first(time.perf_counter() - started)

    def _report(
        self,
        metrics: Metrics,
        samples: Sequence[Sample],
        *,
        evaluate: bool,
    ) -> Report:
        if evaluate and self.counters.updates:
            self._settle(synchronise=True)
        if self.ended:
            for gathered in self.pipeline.left():
                self._count(gathered)
        eval_samples = self._evaluate() if evaluate else []
        eval_metrics = sample_metrics(eval_samples, score="score") if evaluate else {}
        return Report(
            update=self.counters.updates,
            metrics=metrics,
            eval_metrics=eval_metrics,
            phases=self.meter.finish_update(),
            samples=samples[: self.config.samples_per_update],
            eval_samples=eval_samples,
            counters=replace(self.counters),
            completions=len(samples),
            done_frac=self._done_frac(),
        )

    def _update(self, update: int) -> tuple[Metrics, list[Sample]]:
        """Sample, score and learn once; return the metrics and all completions."""
        spent = spent_frac(self.budget, self.counters.as_dict())
        gathered = self.pipeline.take(update)
        self._count(gathered)
        if spent_frac(self.budget, self.counters.as_dict()) < 1:
            self.pipeline.ahead(update, self.config.updates - 1)
        metrics, batch = gathered.metrics, gathered.batch
        if batch is None:  # nothing could be scored, or was kept: there is nothing to learn from
            return metrics, gathered.samples
        with fast_products(*(model for model in self.learner.models if model is not None)):
            metrics |= self._learn(batch, update, gathered.learned, spent)
        passes = metrics.get("match/passes", 0.0) * self.learner.algorithm.epochs
        measured = count_measured(self.counters, self.flops, gathered.learned, passes)
        self.meter.note_flops(measured)
        return metrics, gathered.samples

    def _learn(self, batch: Batch, update: int, learned: Sequence[Sample], spent: float) -> Metrics:
        """Learn from a batch, which is made of the samples ``learned``; return the metrics."""
        learner = self.learner
        batch = learner.annotate(batch, self.meter)
        with self.meter.phase("advantage"):
            batch = credited(learner.algorithm, batch)
            metrics = critic_metrics(batch) | silent_metrics(batch)
            self.ledger.set("rollout_buffer", tensor_bytes(batch))
        self.meter.note_flops(count_learned(self.counters, self.flops, learned, learner, batch))
        return metrics | learner.learn(batch, self.seed, update, self.meter, spent)

    def _count(self, gathered: Gathered) -> None:
        """Add to the counters what an update samples."""
        counters, flops = self.counters, self.flops
        counters.prompts += len({sample.group for sample in gathered.samples})
        if self.learner.algorithm.on_gold:
            count_given(counters, gathered.samples)
        else:
            for samples in (gathered.samples, gathered.greedy):
                self.meter.note_flops(count_sampled(counters, flops, samples))

    def _evaluate(self) -> list[Sample]:
        """Answer the first held-out items greedily; the same ones for every run."""
        started = time.perf_counter()
        first, size = self.config.eval_offset, self.environment.size("eval")
        samples = self.gatherer.held_out(range(first, min(first + self.config.eval_items, size)))
        self.counters.eval_s += self.world.first(time.perf_counter() - started)
        return samples
