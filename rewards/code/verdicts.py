"""What came of running a program's tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

PASSED, WRONG, ERROR = "passed", "wrong", "error"
TIMED_OUT, OUT_OF_MEMORY, OUTPUT_LIMIT = "timed out", "out of memory", "output limit"
NOT_RUN = "not run"
STATUSES = (PASSED, WRONG, ERROR, TIMED_OUT, OUT_OF_MEMORY, OUTPUT_LIMIT, NOT_RUN)


class NoVerdict(Exception):
    """An answer does not say how its test ended, and no other run of this kind would."""


class Outcome(NamedTuple):
    """How one test ended.

    Attributes:
        status: one of ``STATUSES``.
        message: the last line of the exception, or what else there is to say.
        got: what the program answered, shortened.
    """

    status: str
    message: str = ""
    got: str = ""


class Run(NamedTuple):
    """How all tests of a program ended.

    Attributes:
        outcomes: one per test.
        compiled: whether the program is Python at all.
        refused: how often the sandbox refused what, by kind of act.
    """

    outcomes: list[Outcome]
    compiled: bool
    refused: Mapping[str, int]


@dataclass(frozen=True)
class Failure:
    """The first test that was not passed, for people to read.

    Attributes:
        test: its index.
        status: how it ended.
        message: the last line of the exception, or what else there is to say.
        asked: the call, the input or the assertion.
        expected: the right result or output.
        got: what the program answered.
    """

    test: int
    status: str
    message: str
    asked: str
    expected: str
    got: str


@dataclass(frozen=True)
class Score:
    """How a program did, or why that could not be found out.

    Attributes:
        statuses: how each test ended; empty if the program could not be scored.
        compiled: whether the program is Python at all.
        reason: why it could not be scored; empty if it could.
        failure: the first test that was not passed.
        flaky: the tests that ended differently when run again (with ``runs=2`` or more).
        refused: the kinds of forbidden acts that the sandbox refused, such as "network".
        seconds: wall time of the scoring.
    """

    statuses: tuple[str, ...]
    compiled: bool = False
    reason: str = ""
    failure: Failure | None = None
    flaky: tuple[int, ...] = ()
    refused: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def parts(self) -> dict[str, float]:
        """The share of tests passed, whether all were, and whether it compiled; or nothing.

        A flaky test does not count as passed.
        """
        if self.reason:
            return {}
        passed = [status == PASSED and test not in self.flaky
                  for test, status in enumerate(self.statuses)]  # fmt: skip
        share = sum(passed) / len(passed)
        return {"passed": share, "all": float(all(passed)), "compiled": float(self.compiled)}
