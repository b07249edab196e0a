"""Function calls: a program answers all of them in one process, or in more if it ends early."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.rewards.code.answering import Answering, answered
from bakeoff.rewards.code.cage import Cage, Report
from bakeoff.rewards.code.conversation import Stream
from bakeoff.rewards.code.jail.plain import encode as plain
from bakeoff.rewards.code.judging import SLACK_BYTES, order, raised, trusted
from bakeoff.rewards.code.kinds import Limits
from bakeoff.rewards.code.showing import shown
from bakeoff.rewards.code.splitting import Question
from bakeoff.rewards.code.verdicts import (
    OUTPUT_LIMIT,
    PASSED,
    WRONG,
    Outcome,
    Run,
)


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
    until = time.monotonic() + (limits.seconds * 10 if together else limits.total_seconds)

    def ask(done: int) -> tuple[Answering, Report]:
        asked = questions[done:]
        ours, theirs = socket.socketpair()
        with ours, theirs:
            room = limits.output_mib * 2**20 + SLACK_BYTES
            streams = [Stream(ours.fileno(), _payload(program, asked), room)]
            answering = Answering(
                streams, lambda message, test: _outcome(message, asked[test]), len(asked), limits,
                until, stop_early=stop_early, together=together,
            )  # fmt: skip
            tests = 1 if together else len(asked)
            report = cage.run(order("calls", limits, tests), [theirs.fileno()], answering)
        return answering, report

    return answered(ask, len(questions), limits, until, stop_early=stop_early)
