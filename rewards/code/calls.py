"""Function calls: a program answers all of them in one process, or in more if it ends early."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.rewards.code.cage import Cage
from bakeoff.rewards.code.comparing import Undecided, shown
from bakeoff.rewards.code.conversation import Stream
from bakeoff.rewards.code.jail.plain import encode as plain
from bakeoff.rewards.code.judging import SLACK_BYTES, ended, messages, order, raised, trusted
from bakeoff.rewards.code.kinds import Limits
from bakeoff.rewards.code.splitting import Question
from bakeoff.rewards.code.verdicts import (
    NOT_RUN,
    OUTPUT_LIMIT,
    PASSED,
    WRONG,
    Outcome,
    Run,
)


class _Asking:
    """A conversation: one frame with the program and the calls, and one answer for each."""

    def __init__(
        self, stream: Stream, questions: Sequence[Question], limits: Limits, until: float,
        stop_early: bool, together: bool,
    ) -> None:  # fmt: skip
        self.streams: Sequence[Stream] = [stream]
        self.seconds, self.until = limits.seconds, until
        self.questions, self.stop_early, self.together = questions, stop_early, together
        self.steps = 0
        self.undecided = False
        self.outcomes: list[Outcome] = []
        self.unloaded: Outcome | None = None
        self.compiled = self.started = False

    def heard(self) -> bool:
        (stream,) = self.streams
        for message in messages(stream):
            stream.total = len(stream.received)
            if "compiled" in message and not self.compiled:
                self.compiled = True
            elif not self.started:
                self._begun(message)
            elif len(self.outcomes) < len(self.questions):
                question = self.questions[len(self.outcomes)]
                try:
                    self.outcomes.append(_outcome(message, question))
                except Undecided:
                    self.undecided = True
                    return False
                self.steps += not self.together
                if self.stop_early and self.outcomes[-1].status != PASSED:
                    return False
            else:
                return False  # an answer to nothing: it could go on with that until its time is up
        return True

    def _begun(self, message: Mapping[str, Any]) -> None:
        self.started = True
        if "loaded" not in message:
            self.unloaded = raised(message.get("uncompiled", message.get("failed")))


def _outcome(message: Mapping[str, Any], question: Question) -> Outcome:
    if "value" in message:
        value = message["value"]
        if question.expectation.holds(value):
            return Outcome(PASSED)
        return Outcome(WRONG, got=shown(value))
    if "too large" in message:
        return Outcome(OUTPUT_LIMIT, "the answer is too large")
    return raised(message.get("error"))


def _payload(program: str, questions: Sequence[Question]) -> bytes:
    """Return a program and its calls in the form that the program's process takes."""
    calls = [(one.entry, one.args, one.kwargs) for one in questions]
    try:
        return trusted((program, calls, False))
    except ValueError:  # a range, a Decimal or a Fraction
        encoded = [(entry, plain(list(args)), plain(kwargs)) for entry, args, kwargs in calls]
        return trusted((program, encoded, True))


def run(
    cage: Cage, program: str, questions: Sequence[Question], limits: Limits, *, stop_early: bool,
    together: bool = False,
) -> Run:  # fmt: skip
    """Ask questions, in order; a program that ends before the last is started again for the rest.

    Args:
        cage: where it runs.
        program: Python text.
        questions: what to ask.
        limits: of each question, or of all of them if ``together``.
        stop_early: leave out what comes after the first question that is not passed.
        together: whether the questions are one test.

    Raises:
        CageBroken: there is no verdict.
        Undecided: an answer cannot be judged outside of its process.
    """
    outcomes: list[Outcome] = []
    refused: Counter[str] = Counter()
    until = time.monotonic() + (limits.seconds * 10 if together else limits.total_seconds)
    compiled = False
    while len(outcomes) < len(questions):
        done = len(outcomes)
        if time.monotonic() >= until or (stop_early and done and outcomes[-1].status != PASSED):
            outcomes += [Outcome(NOT_RUN)] * (len(questions) - done)
            break
        ours, theirs = socket.socketpair()
        with ours, theirs:
            payload = _payload(program, questions[done:])
            stream = Stream(ours.fileno(), payload, limits.output_mib * 2**20 + SLACK_BYTES)
            asking = _Asking(stream, questions[done:], limits, until, stop_early, together)
            tests = 1 if together else len(questions) - done
            report = cage.run(order("calls", limits, tests), [theirs.fileno()], asking)
        if asking.undecided:
            raise Undecided
        refused.update(report.refused)
        compiled = compiled or asking.compiled
        outcomes += asking.outcomes
        if not asking.started and report.cause != "enough":  # nor would it be loaded next time
            asking.unloaded = ended(report, limits)
        if asking.unloaded is not None:
            outcomes += [asking.unloaded] * (len(questions) - len(outcomes))
        elif len(outcomes) < len(questions) and report.cause != "enough":
            outcomes.append(ended(report, limits))
    return Run(outcomes, compiled, refused)
