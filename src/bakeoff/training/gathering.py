"""From items to what an update learns from: asked, answered, judged, filtered, and made a batch.

    items -> completions -> scores -> filter -> (further rounds) -> batch

An algorithm with a filter may have further rounds of items, one for each group of which nothing was
kept (dynamic sampling). One that learns from gold replies has them in the place of completions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.streams import stream_seed
from bakeoff.training.batch import collate
from bakeoff.training.curriculum import ORDERS
from bakeoff.training.gold import gold_completion
from bakeoff.training.judging import Episode, judged, without_baseline
from bakeoff.training.learner import Learner
from bakeoff.training.meter import Meter
from bakeoff.training.order import item_indices
from bakeoff.training.reports import GOLD, Sample
from bakeoff.training.rollout import rollout
from bakeoff.training.sampler import CacheSampler, Decoding, Sampler
from bakeoff.training.statistics import (
    filter_metrics,
    group_metrics,
    length_metrics,
    sample_metrics,
)
from bakeoff.training.steps import Diverged
from bakeoff.types import Algorithm, Batch, Environment, Item, Metrics

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel


class Gathered(NamedTuple):
    """What one update asked and got.

    Attributes:
        samples: all completions, of all rounds; or the gold replies.
        greedy: the greedy replies, if the algorithm needs them.
        learned: those of the samples that are in the batch, in its order.
        batch: what is learned from; None if nothing is left.
        metrics: of all samples, and of what was kept.
    """

    samples: list[Sample]
    greedy: list[Sample]
    learned: list[Sample]
    batch: Batch | None
    metrics: Metrics


class Gatherer:
    """Asks items and gathers what comes of them.

    Attributes:
        order: which items are asked.
        sampler: writes the replies.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        environment: Environment,
        learner: Learner,
        *,
        seed: int,
        meter: Meter,
    ) -> None:
        """Have ``language_model`` answer what ``environment`` asks, as ``learner`` needs it.

        Raises:
            UsageError: the algorithm needs gold replies, and the first items have none.
        """
        config, sampling = learner.config, learner.config.sampling
        assert sampling.max_new_tokens is not None, "the caller resolves the environment's default"
        self.language_model, self.environment = language_model, environment
        self.learner, self.config = learner, config
        self.seed, self.meter = seed, meter
        self.order = ORDERS[config.curriculum](environment, seed)
        self.sampler: Sampler = CacheSampler(language_model, rows=config.sample_batch)
        self.decoding = Decoding(
            max_new_tokens=sampling.max_new_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
        )
        self.greedy_decoding = Decoding(max_new_tokens=sampling.max_new_tokens, temperature=0.0)
        if self.algorithm.on_gold:  # a data set without any shows now, and not after minutes
            for index in item_indices(seed, 0, config.prompts_per_update, self.order.size):
                self._gold(environment.item(index, "train"), 0)

    @property
    def algorithm(self) -> Algorithm:
        """What the learner makes of the samples."""
        return self.learner.algorithm

    def gather(self, update: int) -> Gathered:
        """Return what an update learns from, and all that was asked to get there.

        Raises:
            Diverged: the model's logits are not finite.
            UsageError: a gold reply is missing.
        """
        wanted = self.config.prompts_per_update
        samples: list[Sample] = []
        greedy: list[Sample] = []
        learned: list[Sample] = []
        rounds = 0
        for number in range(1 + self.algorithm.refill):
            missing = wanted - len({sample.group for sample in learned})
            if not missing:
                break
            rounds = number
            more, more_greedy = self._round(update, number, missing)
            learned += self._kept(more, more_greedy)
            samples, greedy = samples + more, greedy + more_greedy
        self.order.learn(samples)
        metrics = self._metrics(samples, greedy)
        if self.algorithm.keep is not None:
            metrics |= filter_metrics(samples, learned)
        if self.algorithm.refill:
            metrics["refill/rounds"] = rounds
        return Gathered(samples, greedy, learned, self._batch(learned, greedy), metrics)

    def held_out(self, n: int) -> list[Sample]:
        """Answer the first ``n`` held-out items greedily; the same ones for every run."""
        items = [self.environment.item(index, "eval") for index in range(n)]
        with self.meter.phase("eval") as phase:
            with self.learner.sampling():
                episodes = self._played(items, 1, self.greedy_decoding, 0)
            phase.tokens += sum(completion.sampled for _, completion in episodes)
            return judged(self.environment, episodes, range(n))

    def _round(self, update: int, number: int, n_items: int) -> tuple[list[Sample], list[Sample]]:
        """Ask some items and judge the answers: samples, and greedy replies."""
        order = self.order
        items = order.further(update, number, n_items) if number else order.items(update, n_items)
        groups = list(range(len(order.asked) - n_items, len(order.asked)))
        if self.algorithm.on_gold:
            return list(map(self._gold, items, groups)), []
        n = self.config.group_size
        keys = ("sampling", self.seed, update, *([number] if number else []))
        with self.meter.phase("rollout") as phase, self.learner.sampling():
            greedy = []
            if self.algorithm.needs_greedy:
                greedy = self._played(items, 1, self.greedy_decoding, 0)
            episodes = self._played(items, n, self.decoding, stream_seed(*keys))
            phase.tokens += sum(completion.sampled for _, completion in greedy + episodes)
        owners = groups[: len(greedy)] + [group for group in groups for _ in range(n)]
        with self.meter.phase("reward"):
            answers = judged(self.environment, greedy + episodes, owners)
        baselines, samples = answers[: len(greedy)], answers[len(greedy) :]
        return without_baseline(samples, baselines), baselines

    def _played(
        self, items: Sequence[Item], n: int, decoding: Decoding, seed: int
    ) -> list[Episode]:
        model, sampler = self.language_model, self.sampler
        try:
            episodes, cache_bytes = rollout(
                self.environment, model, sampler, items, n, decoding, seed
            )
        except FloatingPointError as error:
            raise Diverged(str(error)) from error
        self.learner.ledger.set("kv_cache", cache_bytes)
        return episodes

    def _gold(self, item: Item, group: int) -> Sample:
        model, decoding = self.language_model, self.decoding
        return Sample(item, gold_completion(self.environment, model, item, decoding), GOLD, group)

    def _metrics(self, samples: Sequence[Sample], greedy: Sequence[Sample]) -> Metrics:
        if self.algorithm.on_gold:
            return length_metrics(samples)
        return sample_metrics(samples, score="reward") | group_metrics(samples, greedy)

    def _kept(self, samples: Sequence[Sample], greedy: Sequence[Sample]) -> list[Sample]:
        """Return the samples to learn from: those with a score that the filter keeps."""
        found = [sample for sample in samples if sample.usable]
        if self.algorithm.keep is None or not found:
            return found
        with self.meter.phase("advantage"):
            batch = self._batch(found, greedy)
            assert batch is not None
            keep_B = self.algorithm.keep(batch)
        return [sample for sample, keep in zip(found, keep_B.tolist(), strict=True) if keep]

    def _batch(self, samples: Sequence[Sample], greedy: Sequence[Sample]) -> Batch | None:
        """Return samples as tensors; None if there are none."""
        if not samples:
            return None
        baselines = {s.group: s.score.value for s in greedy if s.score.value is not None}
        return collate(
            [sample.completion for sample in samples],
            [math.nan if (r := sample.score.value) is None else r for sample in samples],
            [sample.group for sample in samples],
            limit=self.decoding.max_new_tokens * self.environment.turns,
            pad_id=self.language_model.pad_id,
            device=str(self.language_model.model.device),
            greedy=[baselines[sample.group] for sample in samples] if baselines else None,
        )
