"""From items to what an update learns from: asked, answered, judged, filtered, and made a batch.

    items -> completions -> scores -> filter -> (further rounds) -> batch

An algorithm with a filter may have further rounds of items, one for each group of which nothing was
kept (dynamic sampling). One that learns from gold replies has them in the place of completions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from bakeoff.streams import stream_seed
from bakeoff.training.batch import collate
from bakeoff.training.curriculum import ORDERS
from bakeoff.training.devices.shares import SharedSampler, Writing, alike, share
from bakeoff.training.gold import gold_completion
from bakeoff.training.judging import Episode, without_baseline
from bakeoff.training.learner import Learner
from bakeoff.training.meter import Meter, Phase
from bakeoff.training.order import item_indices
from bakeoff.training.overlap import Judge, Pace, overlaps
from bakeoff.training.reports import GOLD, Sample
from bakeoff.training.rollout import rollout
from bakeoff.training.rounds import Gathered, Round
from bakeoff.training.sampling.builtin import sampler_of
from bakeoff.training.sampling.engines import engine_of
from bakeoff.training.sampling.protocol import Decoding, Sampler
from bakeoff.training.sampling.server_config import SERVER
from bakeoff.training.statistics import gathered_metrics
from bakeoff.training.steps import Diverged
from bakeoff.types import Algorithm, Batch, Completion, Environment, Item

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel


class Gatherer:
    """Asks items and gathers what comes of them.

    Attributes:
        order: which items are asked.
        sampler: writes the replies.
        writing: which ranks write them.
        engine: the sampler, if it has weights of its own.
        hidden_s: wall seconds of the last update's scoring that ran beside its sampling.
        version: how many updates the policy has behind it; the loop counts them.
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
        # the policy, or the whole twin that samples for it
        self.language_model = replace(language_model, model=learner.player)
        self.environment = environment
        self.learner, self.config = learner, config
        self.seed, self.meter, self.hidden_s = seed, meter, 0.0
        self.version = 0
        self._loaded: int | None = None  # the version that an engine has
        self._pace = Pace()
        self.order = ORDERS[config.curriculum](environment, seed)
        self.decoding = Decoding(
            max_new_tokens=sampling.max_new_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
        )
        self.engine = engine_of(self.language_model, self.decoding, learner)
        self.sampler: Sampler = self.engine or sampler_of(
            self.language_model, rows=config.sample_batch
        )
        self.writing = Writing(learner.world, driven=self.apart)
        self.greedy_decoding = Decoding(max_new_tokens=sampling.max_new_tokens, temperature=0.0)
        if self.algorithm.on_gold:  # a data set without any shows now, and not after minutes
            for index in item_indices(seed, 0, config.prompts_per_update, self.order.size):
                self._gold(environment.item(index, "train"), 0)

    @property
    def algorithm(self) -> Algorithm:
        """What the learner makes of the samples."""
        return self.learner.algorithm

    @property
    def apart(self) -> bool:
        """Whether replies are written in another process, which needs none of this one's models."""
        return self.config.sampler == SERVER

    def close(self) -> None:
        """End an engine that has to be ended."""
        if self.engine is not None:
            self.engine.close()

    def gather(
        self, update: int, written: tuple[Round, Sequence[Episode]] | None = None
    ) -> Gathered:
        """Return what an update learns from, and all that was asked to get there.

        Args:
            update: 0 is the first.
            written: the first round of it and its episodes, if these are there already.

        Raises:
            Diverged: the model's logits are not finite.
            UsageError: a gold reply is missing.
        """
        wanted = self.config.prompts_per_update
        samples: list[Sample] = []
        greedy: list[Sample] = []
        learned: list[Sample] = []
        rounds, self.hidden_s = 0, 0.0
        for number in range(1 + self.algorithm.refill):
            missing = wanted - len({sample.group for sample in learned})
            if not missing:
                break
            rounds = number
            first = written if number == 0 else None
            more, more_greedy = self._round(update, number, missing, first)
            learned += self._kept(more, more_greedy)
            samples, greedy = samples + more, greedy + more_greedy
        self.order.learn(samples)
        metrics = gathered_metrics(self.algorithm, samples, greedy, learned)
        if self.algorithm.refill:
            metrics["refill/rounds"] = rounds
        if overlaps(self.environment) and not self.algorithm.on_gold:
            metrics["overlap/reward_s"] = self.hidden_s
        return Gathered(samples, greedy, learned, self.batch(learned, greedy), metrics)

    def held_out(self, indices: range) -> list[Sample]:
        """Answer held-out items greedily; the same ones for every run."""
        world, size = self.learner.world, len(indices)
        asked = indices[self.writing.asked(size)]
        items = [self.environment.item(index, "eval") for index in asked]
        groups = list(range(size))[share(size, world)]
        judge = Judge(self.environment, self._pace, len(groups), 1)

        def played() -> list[Episode]:
            return self._played(judge, items, 1, self.greedy_decoding, 0)

        self.synchronise()
        with self.meter.phase("eval") as phase:
            with self._sampling(), judge:
                episodes = self.writing.handed(played, 1)
            answers = world.everyone(alike(world, lambda: judge.samples(episodes, groups)))
            samples = [sample for some in answers for sample in some]
            phase.tokens += sum(sample.completion.sampled for sample in samples)
        return self._dated(samples)

    def synchronise(self) -> None:
        """Give an engine with weights of its own those of the policy, if they have moved."""
        if self.engine is not None and self._loaded != self.version:
            with self.meter.phase("weight_sync"), self.learner.sampling(here=False):
                self.engine.synchronise()
        self._loaded = self.version

    def _sampling(self) -> AbstractContextManager[None]:
        """Make the policy ready to sample, if it is the one that does."""
        return self.learner.sampling() if self.engine is None else nullcontext()

    def ask(self, update: int, number: int, n_items: int) -> Round:
        """Return the items of a round of an update, for ``write``; the first has the number 0."""
        order = self.order
        items = order.further(update, number, n_items) if number else order.items(update, n_items)
        groups = list(range(len(order.asked) - n_items, len(order.asked)))
        if not self.algorithm.on_gold:
            items = items[self.writing.asked(n_items)]
            groups = groups[share(n_items, self.learner.world)]
            self.synchronise()
        n, extra = self.config.group_size, len(groups) if self.algorithm.needs_greedy else 0
        keys = ("sampling", self.seed, update, *([number] if number else []))
        judge = Judge(self.environment, self._pace, extra + len(groups) * n, n)
        return Round(items, groups, extra, stream_seed(*keys), judge)

    def write(self, asked: Round) -> list[Episode]:
        """Have the items of a round answered, greedily first if that is needed.

        An engine that is ``apart`` may be called from a thread of its own.
        """
        judge = asked.judge
        greedy: list[Episode] = []
        with judge:
            if self.algorithm.needs_greedy:
                greedy = self._played(judge, asked.items, 1, self.greedy_decoding, 0)
            drawn = (self.config.group_size, self.decoding, asked.seed)
            return greedy + self._played(judge, asked.items, *drawn, first=asked.greedy)

    def handed(self, write: Callable[[], list[Episode]], phase: Phase) -> list[Episode]:
        """Return the episodes of a round that this rank judges, once ranks have made theirs."""
        greedy = self.algorithm.needs_greedy
        found = self.writing.handed(write, self.config.group_size, greedy=greedy)
        phase.tokens += sum(self.learner.world.everyone(sum(one.sampled for _, one in found)))
        return found

    def _round(
        self,
        update: int,
        number: int,
        n_items: int,
        written: tuple[Round, Sequence[Episode]] | None,
    ) -> tuple[list[Sample], list[Sample]]:
        """Ask some items and judge the answers: samples, and greedy replies."""
        world = self.learner.world
        if written is None:
            asked = self.ask(update, number, n_items)
            if self.algorithm.on_gold:
                return list(map(self._gold, asked.items, asked.groups)), []
            with self.meter.phase("rollout") as phase, self._sampling():
                # all wait here for the slowest, which is sampling's affair and not scoring's
                written = asked, self.handed(lambda: self.write(asked), phase)
        asked, episodes = written
        with self.meter.phase("reward"):
            judged = alike(world, lambda: asked.judged(episodes, self.config.group_size))
            answers = world.everyone(judged)
        self.hidden_s += asked.judge.hidden_s
        baselines = self._dated([sample for some, _ in answers for sample in some])
        samples = self._dated([sample for _, some in answers for sample in some])
        return without_baseline(samples, baselines), baselines

    def _played(
        self,
        judge: Judge,
        items: Sequence[Item],
        n: int,
        decoding: Decoding,
        seed: int,
        *,
        first: int = 0,
    ) -> list[Episode]:
        """Have items answered; ``first`` is the place of the first episode in the judge's round."""
        model, sampler = self.language_model, SharedSampler(self.sampler, self.writing.together)

        def finished(row: int, completion: Completion) -> None:
            judge.take(first + row, (items[row // n], completion))

        told = finished if judge.overlaps and not self.writing.alone else None
        with sampler.calls(self.environment.turns):
            if not items:  # there are more ranks than items
                return []
            try:
                episodes, cache_bytes = rollout(
                    self.environment, model, sampler, items, n, decoding, seed, told
                )
            except FloatingPointError as error:
                raise Diverged(str(error)) from error
        if not self.apart:
            self.learner.ledger.set("kv_cache", cache_bytes, always=self.engine is not None)
        return episodes

    def _dated(self, samples: Sequence[Sample]) -> list[Sample]:
        return [replace(sample, version=self.version) for sample in samples]

    def _gold(self, item: Item, group: int) -> Sample:
        model, decoding = self.language_model, self.decoding
        return Sample(item, gold_completion(self.environment, model, item, decoding), GOLD, group)

    def _kept(self, samples: Sequence[Sample], greedy: Sequence[Sample]) -> list[Sample]:
        """Return the samples to learn from: those with a score that the filter keeps."""
        found = [sample for sample in samples if sample.usable]
        if self.algorithm.keep is None or not found:
            return found
        with self.meter.phase("advantage"):
            batch = self.batch(found, greedy)
            assert batch is not None
            keep_B = self.algorithm.keep(batch)
        return [sample for sample, keep in zip(found, keep_B.tolist(), strict=True) if keep]

    def batch(self, samples: Sequence[Sample], greedy: Sequence[Sample]) -> Batch | None:
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
