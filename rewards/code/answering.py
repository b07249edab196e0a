"""Answers, one for each test, of a program that may end before the last."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bakeoff.rewards.code.cage import Report
from bakeoff.rewards.code.conversation import Stream
from bakeoff.rewards.code.judging import ended, messages, raised
from bakeoff.rewards.code.kinds import Limits
from bakeoff.rewards.code.verdicts import NOT_RUN, PASSED, NoVerdict, Outcome, Run

# what an answer means for the test of an index
Judge = Callable[[Mapping[str, Any], int], Outcome]


class Answering:
    """A conversation: how the program was loaded, and then how each test ended.

    Args:
        streams: the first one brings the answers.
        judge: what an answer means; it may raise ``NoVerdict``.
        tests: how many answers there should be.
        limits: of each test, or of all of them if ``together``.
        until: when it must have ended, on the clock of ``time.monotonic``.
        stop_early: end it after the first test that is not passed.
        together: whether the clock goes on from test to test.
    """

    def __init__(
        self, streams: Sequence[Stream], judge: Judge, tests: int, limits: Limits, until: float,
        *, stop_early: bool, together: bool = False,
    ) -> None:  # fmt: skip
        self.streams = streams
        self.seconds, self.until, self.steps = limits.seconds, until, 0
        self.judge, self.tests = judge, tests
        self.stop_early, self.together = stop_early, together
        self.outcomes: list[Outcome] = []
        self.unloaded: Outcome | None = None
        self.compiled = self.started = False
        self.no_verdict: NoVerdict | None = None

    def heard(self) -> bool:
        """Take the answers that have come; return whether the program should go on."""
        for message in messages(self.streams[0]):
            self.streams[0].total = len(self.streams[0].received)
            if not self.takes(message):
                return False
        return True

    def takes(self, message: Mapping[str, Any]) -> bool:
        """Take one answer; return whether the program should go on."""
        if "compiled" in message and not self.compiled:
            self.compiled = True
        elif not self.started:
            self.started = True
            if "loaded" not in message:
                self.unloaded = raised(message.get("uncompiled", message.get("failed")))
        elif len(self.outcomes) < self.tests:
            try:
                self.outcomes.append(self.judge(message, len(self.outcomes)))
            except NoVerdict as error:
                self.no_verdict = error
                return False
            self.steps += not self.together
            return not self.stop_early or self.outcomes[-1].status == PASSED
        else:
            return False  # an answer to nothing: it could go on with that until its time is up
        return True

    def ending(self, report: Report, limits: Limits) -> Outcome:
        """Return the outcome of the test in which the program's process ended."""
        return ended(report, limits)


def answered(
    ask: Callable[[int], tuple[Answering, Report]],
    tests: int,
    limits: Limits,
    until: float,
    *,
    stop_early: bool,
) -> Run:
    """Have a program answer, and a new process of it the rest if it ends before the last.

    Args:
        ask: runs the program for the tests from an index on.
        tests: how many there are.
        limits: of each.
        until: when no other process is to be started.
        stop_early: leave out what comes after the first test that is not passed.

    Raises:
        NoVerdict: an answer said nothing of its test.
    """
    outcomes: list[Outcome] = []
    refused: Counter[str] = Counter()
    compiled = False
    while len(outcomes) < tests:
        over = stop_early and outcomes and outcomes[-1].status != PASSED
        if over or time.monotonic() >= until:
            outcomes += [Outcome(NOT_RUN)] * (tests - len(outcomes))
            break
        answering, report = ask(len(outcomes))
        if answering.no_verdict is not None:
            raise answering.no_verdict
        refused.update(report.refused)
        compiled = compiled or answering.compiled
        outcomes += answering.outcomes
        unloaded = answering.unloaded
        if not answering.started and report.cause != "enough":  # nor would it be loaded next time
            unloaded = ended(report, limits)
        if unloaded is not None:
            outcomes += [unloaded] * (tests - len(outcomes))
        elif len(outcomes) < tests and report.cause != "enough":
            outcomes.append(answering.ending(report, limits))
    return Run(outcomes, compiled, refused)
