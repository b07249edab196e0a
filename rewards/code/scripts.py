"""Scripts: one process runs the tests, another the program, and the tests call it from there."""

from __future__ import annotations

import builtins
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from bakeoff.rewards.code.cage import Cage
from bakeoff.rewards.code.comparing import shortened
from bakeoff.rewards.code.conversation import Stream
from bakeoff.rewards.code.judging import SLACK_BYTES, ended, messages, order, raised, trusted
from bakeoff.rewards.code.kinds import AssertTests, CheckTests, Limits
from bakeoff.rewards.code.splitting import imported_modules, tested_names, used_modules, used_names
from bakeoff.rewards.code.verdicts import ERROR, NOT_RUN, PASSED, WRONG, Outcome, Run

_REMEMBERED = 1024


class Unjudged(Exception):
    """The tests need what cannot be done between two processes, or do not run themselves."""


class _Testing:
    """A conversation: how the program was loaded, and then how each test ended."""

    def __init__(
        self, verdicts: Stream, program: Stream, limits: Limits, until: float, tests: int,
        stop_early: bool,
    ) -> None:  # fmt: skip
        self.verdicts = verdicts
        self.streams: Sequence[Stream] = [verdicts, program]
        self.seconds, self.until, self.tests = limits.seconds, until, tests
        self.stop_early, self.steps = stop_early, 0
        self.outcomes: list[Outcome] = []
        self.unloaded: Outcome | None = None
        self.compiled = self.started = False
        self.unjudged = ""

    def heard(self) -> bool:
        for message in messages(self.verdicts):
            self.verdicts.total = len(self.verdicts.received)
            if "unsupported" in message:
                self.unjudged = str(message["unsupported"])
                return False
            if "gone" in message:
                continue
            if "compiled" in message and not self.compiled:
                self.compiled = True
            elif not self.started:
                self.started = True
                if "loaded" not in message:
                    self.unloaded = raised(message.get("uncompiled", message.get("failed")))
            elif len(self.outcomes) < self.tests:
                self.outcomes.append(_outcome(message))
                self.steps += 1
                if self.stop_early and self.outcomes[-1].status != PASSED:
                    return False
        return True


def _outcome(message: Mapping[str, Any]) -> Outcome:
    if "passed" in message:
        return Outcome(PASSED)
    if "wrong" in message:
        return Outcome(WRONG, shortened(str(message["wrong"])))
    return raised(message.get("error"))


def run(cage: Cage, program: str, tests: AssertTests | CheckTests, *, stop_early: bool) -> Run:
    """Run the tests of a script; if the program's process ends, the rest with a new one.

    Raises:
        CageBroken: there is no verdict.
        Unjudged: the tests cannot be run here, whatever the program does.
    """
    setup, texts, check = _parts(tests)
    names, imports = _names(tests), imported_modules([setup, *texts])
    modules = used_modules([setup, *texts])
    outcomes: list[Outcome] = []
    refused: Counter[str] = Counter()
    compiled = False
    until = time.monotonic() + tests.limits.total_seconds
    while len(outcomes) < len(texts):
        if time.monotonic() >= until or (stop_early and outcomes and outcomes[-1].status != PASSED):
            outcomes += [Outcome(NOT_RUN)] * (len(texts) - len(outcomes))
            break
        script = {"setup": setup, "tests": texts[len(outcomes) :], "check": check,
                  "names": names, "imports": imports, "modules": modules}  # fmt: skip
        testing, report = _run_once(cage, program, script, tests.limits, until, stop_early)
        if testing.unjudged:
            raise Unjudged(testing.unjudged)
        refused.update(report.refused)
        compiled = compiled or testing.compiled
        outcomes += testing.outcomes
        if not testing.started and report.cause != "enough":  # nor would it be loaded next time
            testing.unloaded = ended(report, tests.limits)
        if testing.unloaded is not None:
            outcomes += [testing.unloaded] * (len(texts) - len(outcomes))
        elif len(outcomes) < len(texts) and report.cause != "enough":
            ending = ended(report, tests.limits)
            outcomes.append(ending if report.cause else Outcome(ERROR, "the program has ended"))
    return Run(outcomes, compiled, refused)


def _parts(tests: AssertTests | CheckTests) -> tuple[str, list[str], str]:
    """Return the set-up, the tests, and the function that ``check`` is called with."""
    if isinstance(tests, CheckTests):
        return "", [tests.script], tests.entry
    return tests.setup, list(tests.asserts), ""


@lru_cache(maxsize=_REMEMBERED)
def _names(tests: AssertTests | CheckTests) -> list[str]:
    """Return the names that the tests take from the program, if it has them."""
    setup, texts, check = _parts(tests)
    entries = {check} if check else tested_names(texts)
    return sorted(used_names([setup, *texts]) - set(vars(builtins)) | entries)


def _run_once(
    cage: Cage, program: str, script: Mapping[str, Any], limits: Limits, until: float,
    stop_early: bool,
) -> tuple[_Testing, Any]:  # fmt: skip
    verdicts, verdicts_end = socket.socketpair()
    channel, channel_end = socket.socketpair()
    tests: Sequence[str] = script["tests"]
    with verdicts, verdicts_end, channel, channel_end:
        heard = Stream(verdicts.fileno(), trusted(script), 2**20)
        told = Stream(channel.fileno(), trusted(program), SLACK_BYTES)
        testing = _Testing(heard, told, limits, until, len(tests), stop_early)
        passed = [verdicts_end.fileno(), channel_end.fileno()]
        report = cage.run(order("script", limits, len(tests)), passed, testing)
    return testing, report
