"""Standard input and output: the program is run as a script, once for every input."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bakeoff.rewards.code.cage import Cage
from bakeoff.rewards.code.comparing import same_output
from bakeoff.rewards.code.conversation import Stream
from bakeoff.rewards.code.judging import SLACK_BYTES, ended, messages, order, raised, trusted
from bakeoff.rewards.code.kinds import Close, Limits, StdioTests
from bakeoff.rewards.code.showing import shortened
from bakeoff.rewards.code.verdicts import ERROR, NOT_RUN, PASSED, WRONG, Outcome, Run


class _Listening:
    """A conversation in which nothing is said before the end."""

    def __init__(self, channel: Stream, stdout: Stream, limits: Limits, until: float) -> None:
        self.channel, self.stdout = channel, stdout
        self.streams: Sequence[Stream] = [channel, stdout]
        self.seconds, self.until = limits.seconds, until
        self.steps = 0

    def heard(self) -> bool:
        return True


def run(cage: Cage, program: str, tests: StdioTests, *, stop_early: bool) -> Run:
    """Run a program on every input, in order.

    Raises:
        CageBroken: there is no verdict.
    """
    outcomes: list[Outcome] = []
    refused: Counter[str] = Counter()
    compiled = False
    until = time.monotonic() + tests.limits.total_seconds
    for stdin, stdout in tests.cases:
        failed = stop_early and outcomes and outcomes[-1].status != PASSED
        if failed or time.monotonic() >= until:
            outcomes.append(Outcome(NOT_RUN))
            continue
        outcome, said, acts = _run_once(cage, program, stdin, tests.limits, until)
        if outcome is None:
            outcome = _compared(said["output"], stdout, tests.close)
        compiled = compiled or "compiled" in said
        refused.update(acts)
        outcomes.append(outcome)
    return Run(outcomes, compiled, refused)


def _run_once(
    cage: Cage, program: str, stdin: str, limits: Limits, until: float
) -> tuple[Outcome | None, dict[str, Any], Counter[str]]:
    """Return how a run ended, if not well, what was said and written, and what was refused."""
    ours, theirs = socket.socketpair()
    read_end, write_end = os.pipe()
    source = _file(stdin)
    try:
        channel = Stream(ours.fileno(), trusted(program), SLACK_BYTES)
        output = Stream(read_end, b"", limits.output_mib * 2**20)
        passed = [theirs.fileno(), source, write_end]
        listening = _Listening(channel, output, limits, until)
        report = cage.run(order("main", limits, 1), passed, listening)
    finally:
        for descriptor in (read_end, write_end, source):
            os.close(descriptor)
        ours.close()
        theirs.close()
    said: dict[str, Any] = {}
    for message in messages(channel):
        said |= message
    said["output"] = bytes(output.received)  # whatever was forged under that name
    acts = Counter(report.refused)
    if report.cause or report.status:
        error = said.get("error", said.get("uncompiled"))
        told = raised(error) if error is not None and not report.cause else ended(report, limits)
        return told, said, acts
    return None, said, acts


def _file(text: str) -> int:
    """Return a descriptor of a file in memory: programs may ask for its size, or seek in it."""
    descriptor = os.memfd_create("stdin", os.MFD_CLOEXEC)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(text.encode(errors="surrogateescape"))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _compared(output: bytes, expected: str, close: Close | None) -> Outcome:
    try:
        text = output.decode()
    except UnicodeDecodeError:
        return Outcome(ERROR, "the output is not UTF-8", shortened(repr(output[:200])))
    if same_output(text, expected, close):
        return Outcome(PASSED)
    return Outcome(WRONG, got=shortened(text))
