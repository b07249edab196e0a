"""Samples drawn before their turn: those of update ``u + K`` before update ``u`` is learned.

    staleness 0:  sample 0 . learn 0 . sample 1 . learn 1 . sample 2 . learn 2
    staleness 1:  sample 0 . sample 1 . learn 0 . sample 2 . learn 1 . sample 3 . learn 2

The samples of update ``u`` are so drawn from the policy that has ``max(0, u - K)`` updates behind
it. Where another process samples, that goes on while this one learns ("one-step off-policy",
https://arxiv.org/abs/2410.18252):

    here:         sample 0 . learn 0 . learn 1 . learn 2
    the server:   sample 0 . sample 1 . sample 2 . sample 3

Weights are moved between rounds only, so what is drawn from which weights is the same either way,
whatever takes how long. One round is in flight at most; with ``K > 1`` samples are older, and no
time is won over 1.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from statistics import fmean
from typing import Any, NamedTuple

from bakeoff.training.gathering import Gatherer
from bakeoff.training.judging import Episode
from bakeoff.training.pending import as_json, from_json
from bakeoff.training.rounds import Gathered, Round


class Written(NamedTuple):
    """A round's episodes, and when they were begun and done, by ``time.perf_counter``."""

    episodes: list[Episode]
    began_s: float
    done_s: float


class Pipeline:
    """Hands out what each update learns from, and has the updates after it sampled.

    Attributes:
        staleness: how many updates ahead samples are drawn.
    """

    def __init__(self, gatherer: Gatherer) -> None:
        """Sample with ``gatherer``; gold replies, which nobody samples, are never ahead."""
        self.gatherer = gatherer
        self.staleness = 0 if gatherer.algorithm.on_gold else gatherer.config.staleness
        self._ready: deque[tuple[Gathered, list[int]]] = deque()
        self._flying: tuple[int, Round, Future[Written]] | None = None
        beside = self.staleness > 0 and gatherer.apart
        self._thread = ThreadPoolExecutor(1, "bakeoff-sampling") if beside else None

    def take(self, update: int) -> Gathered:
        """Return what an update learns from; updates are asked for one after the other.

        Raises:
            Diverged: the model's logits are not finite.
        """
        self.settle(update)
        if not self._ready:
            self._gather(update)
        gathered, _ = self._ready.popleft()
        if not self.staleness:
            return gathered
        versions = [one.version for one in gathered.samples if one.version is not None]
        ages = [update - version for version in versions]
        stale = {"staleness/mean": fmean(ages), "staleness/max": float(max(ages))}
        return gathered._replace(metrics=gathered.metrics | stale)

    def ahead(self, update: int, last: int) -> None:
        """Draw samples from the policy as it is, as far ahead of an update as they may be.

        Args:
            update: the one that is learned next.
            last: no samples of an update after this one are needed.
        """
        end = min(update + self.staleness, last)
        for later in range(update + 1 + len(self._ready), end + 1):
            if self._thread is not None and later == end:
                asked = self.gatherer.ask(later, 0, self.gatherer.config.prompts_per_update)
                self._flying = later, asked, self._thread.submit(self._write, asked)
            else:
                self._gather(later)

    def settle(self, version: int) -> None:
        """Have what is being sampled come to its end, before the weights of a sampler may change.

        Args:
            version: how many updates the policy has behind it now.
        """
        if self._flying is not None:
            (update, asked, future), self._flying = self._flying, None
            waiting_s = time.perf_counter()
            with self.gatherer.meter.phase("rollout_wait") as phase:  # idle: others sample
                episodes = self.gatherer.handed(lambda: future.result().episodes, phase)
                _, began_s, done_s = future.result()
            self._gather(update, (asked, episodes), min(waiting_s, done_s) - began_s)
        self.gatherer.version = version

    def left(self) -> list[Gathered]:
        """Return what was sampled for updates that will not come, and forget it."""
        found = [gathered for gathered, _ in self._ready]
        self._ready.clear()
        return found

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold, as JSON has it: the order's state, and samples."""
        found = dict(self.gatherer.order.state())
        if self.staleness:
            found["ahead"] = [as_json(gathered, asked) for gathered, asked in self._ready]
        return found

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        gatherer = self.gatherer
        gatherer.order.restore(dict(state))
        for one in state.get("ahead", ()):
            self._ready.append(from_json(one, gatherer.environment, gatherer.batch))

    def close(self) -> None:
        """End the sampling, whatever state it is in."""
        self.gatherer.close()
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)

    def _gather(
        self,
        update: int,
        written: tuple[Round, Sequence[Episode]] | None = None,
        hidden_s: float = 0.0,
    ) -> None:
        gathered = self.gatherer.gather(update, written)
        if self._thread is not None:
            gathered.metrics["overlap/rollout_s"] = hidden_s
        self._ready.append((gathered, [index for index, _ in self.gatherer.order.asked]))

    def _write(self, asked: Round) -> Written:
        began_s = time.perf_counter()
        episodes = self.gatherer.write(asked)
        return Written(episodes, began_s, time.perf_counter())
