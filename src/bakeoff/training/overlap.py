"""Scores of what is finished while the rest is still being sampled, where an environment allows it.

One thread calls the environment at a time: one of its own for as long as tokens are sampled, and
the main thread for what is left then.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from statistics import linear_regression
from types import TracebackType

from bakeoff.training.judging import Episode, samples, scores
from bakeoff.training.reports import Sample
from bakeoff.types import Environment, Score


def overlaps(environment: Environment) -> bool:
    """Tell whether an environment may judge some replies while others are still being sampled.

    It has to say so itself (``bakeoff.envs.TextEnv.overlaps``), and its episodes to be of one turn.
    """
    return environment.turns == 1 and bool(getattr(environment, "overlaps", False))


class Pace:
    """What past rounds took, which tells whether a call is worth it before the sampling is over.

    Say that a call on ``n`` episodes takes ``a + b n``, that ``w`` wait at the time ``t`` and ``r``
    more come until the sampling ends at ``E``. All is scored at

        now:    t + (a + b w) + (a + b r)       if the first call lasts beyond the end
        later:  E + a + b (w + r)

    so it is worth it if ``a`` is less than what is left of the sampling. Work that is shared out to
    processes has an ``a`` of nearly 0; a service that answers all at once has nothing else.

    Example:
        >>> pace = Pace()
        >>> pace.note_call(16, 0.5), pace.note_call(112, 0.5), pace.note_round(128, 3.0)
        (None, None, None)
        >>> pace.worth(128, 2.0), pace.worth(128, 2.75)
        (True, False)
    """

    def __init__(self) -> None:
        """Know nothing: every call is worth it."""
        self._calls: deque[tuple[int, float]] = deque(maxlen=32)
        self._rounds: dict[int, float] = {}

    def note_call(self, episodes: int, seconds: float) -> None:
        """Remember what a call took."""
        self._calls.append((episodes, seconds))

    def note_round(self, episodes: int, seconds: float) -> None:
        """Remember what the sampling of a round of so many episodes took."""
        self._rounds[episodes] = seconds

    def worth(self, episodes: int, elapsed_s: float) -> bool:
        """Tell whether to start a call so long after the sampling of a round began."""
        return self._fixed_s() < self._rounds.get(episodes, math.inf) - elapsed_s

    def _fixed_s(self) -> float:
        """Return ``a``, fitted to the last calls."""
        shortest = min((seconds for _, seconds in self._calls), default=0.0)
        if len({episodes for episodes, _ in self._calls}) < 2:
            return shortest
        return min(max(0.0, linear_regression(*zip(*self._calls, strict=True)).intercept), shortest)


class Judge:
    """Has the environment score a round of episodes, some while others are still being sampled.

    Sampling goes on inside of ``with judge:``, and ``samples`` is called after it. If the
    environment does not overlap, everything is scored there, in one call.

    Attributes:
        overlaps: whether episodes are wanted before the round is over; see ``take``.
        hidden_s: wall seconds of scoring that ran beside the sampling.
    """

    SETTLE_S = 0.05
    """How long a call waits for those that finish at the same moment."""

    def __init__(self, environment: Environment, pace: Pace, expected: int, at_least: int) -> None:
        """Score episodes with ``environment``.

        Args:
            environment: judges them.
            pace: of the rounds before; it is told of this one.
            expected: how many episodes there will be.
            at_least: how many are worth a call while others are being sampled; not less than an
                eighth of all.
        """
        self.environment, self.overlaps = environment, overlaps(environment)
        self.hidden_s = 0.0
        self._pace, self._expected = pace, expected
        self._enough = max(at_least, expected // 8)
        self._news = threading.Condition()
        self._waiting: dict[int, Episode] = {}
        self._scores: dict[int, Score] = {}
        self._calls: list[tuple[float, float]] = []
        self._error: BaseException | None = None
        self._began_s, self._over_s = 0.0, math.inf
        self._thread = threading.Thread(target=self._work, name="bakeoff-judge", daemon=True)

    def __enter__(self) -> Judge:
        """Begin the round."""
        self._began_s = time.perf_counter()
        if self.overlaps:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Start no further call; one that runs is not waited for here."""
        with self._news:
            self._over_s = time.perf_counter()
            self._news.notify()
        self._pace.note_round(self._expected, self._over_s - self._began_s)

    def take(self, row: int, episode: Episode) -> None:
        """Take an episode as soon as it is over; ``row`` is its place among those to come."""
        with self._news:
            self._waiting[row] = episode
            if len(self._waiting) >= self._enough:
                self._news.notify()

    def samples(self, episodes: Sequence[Episode], groups: Sequence[int]) -> list[Sample]:
        """Return the samples of all episodes of the round, as ``judged`` would.

        What has not been scored yet is scored now, in one call. An error of the environment is
        raised here, whichever thread it came from.
        """
        if self.overlaps:
            self._thread.join()
        if self._error is not None:
            raise self._error
        calls = ((start, min(end, self._over_s)) for start, end in self._calls)
        self.hidden_s = sum(max(0.0, end - start) for start, end in calls)
        self._score({row: one for row, one in enumerate(episodes) if row not in self._scores})
        return samples(episodes, [self._scores[row] for row in range(len(episodes))], groups)

    def _score(self, waiting: dict[int, Episode]) -> None:
        """Score some episodes in one call, in the order of their places."""
        if not waiting:
            return
        rows, start = sorted(waiting), time.perf_counter()
        found = scores(self.environment, [waiting[row] for row in rows])
        self._scores |= dict(zip(rows, found, strict=True))
        end = time.perf_counter()
        self._calls.append((start, end))
        self._pace.note_call(len(rows), end - start)

    def _work(self) -> None:
        try:
            while waiting := self._next():
                self._score(waiting)
        except BaseException as error:  # a SystemExit too: it is for the main thread
            self._error = error

    def _next(self) -> dict[int, Episode]:
        """Return what is to be scored in one call; nothing when the sampling is over."""
        with self._news:
            self._news.wait_for(lambda: self._over or len(self._waiting) >= self._enough)
            self._news.wait_for(lambda: self._over, timeout=self.SETTLE_S)
            elapsed_s = time.perf_counter() - self._began_s
            if self._over or not self._pace.worth(self._expected, elapsed_s):
                return {}
            waiting, self._waiting = self._waiting, {}
            return waiting

    @property
    def _over(self) -> bool:
        return self._over_s < math.inf
