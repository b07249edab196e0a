"""Scripts: one process runs the tests, another the program, and the tests call it from there."""

from __future__ import annotations

import builtins
import socket
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from bakeoff.rewards.code.answering import Answering, answered
from bakeoff.rewards.code.cage import Cage, Report
from bakeoff.rewards.code.conversation import Stream
from bakeoff.rewards.code.judging import SLACK_BYTES, order, raised, trusted
from bakeoff.rewards.code.kinds import AssertTests, CheckTests, Limits
from bakeoff.rewards.code.showing import shortened
from bakeoff.rewards.code.splitting import imported_modules, tested_names, used_modules, used_names
from bakeoff.rewards.code.verdicts import ERROR, PASSED, WRONG, NoVerdict, Outcome, Run

_REMEMBERED = 1024
_ENDED = Outcome(ERROR, "the program has ended")


class Unjudged(NoVerdict):
    """The tests need what cannot be done between two processes, or do not run themselves."""


class _Testing(Answering):
    """A conversation with the process of the tests, which alone may say that they cannot be run."""

    def takes(self, message: Mapping[str, Any]) -> bool:
        """Take one answer; return whether the program should go on."""
        if "unsupported" in message:
            self.no_verdict = Unjudged(str(message["unsupported"]))
            return False
        return "gone" in message or super().takes(message)

    def ending(self, report: Report, limits: Limits) -> Outcome:
        """Return the outcome of the test in which one of the processes ended."""
        return super().ending(report, limits) if report.cause else _ENDED


def _outcome(message: Mapping[str, Any], test: int) -> Outcome:
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
    until = time.monotonic() + tests.limits.total_seconds
    script = {
        "setup": setup,
        "check": check,
        "names": names,
        "imports": imports,
        "modules": modules,
    }

    def ask(done: int) -> tuple[Answering, Report]:
        rest = {**script, "tests": texts[done:]}
        return _run_once(cage, program, rest, tests.limits, until, stop_early)

    return answered(ask, len(texts), tests.limits, until, stop_early=stop_early)


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
) -> tuple[Answering, Report]:  # fmt: skip
    verdicts, verdicts_end = socket.socketpair()
    channel, channel_end = socket.socketpair()
    tests: Sequence[str] = script["tests"]
    with verdicts, verdicts_end, channel, channel_end:
        heard = Stream(verdicts.fileno(), trusted(script), 2**20)
        told = Stream(channel.fileno(), trusted(program), SLACK_BYTES)
        testing = _Testing(
            [heard, told], _outcome, len(tests), limits, until, stop_early=stop_early
        )
        passed = [verdicts_end.fileno(), channel_end.fileno()]
        report = cage.run(order("script", limits, len(tests)), passed, testing)
    return testing, report
