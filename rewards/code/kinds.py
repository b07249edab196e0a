"""The kinds of tests: function calls, standard input and output, and scripts of assertions."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bakeoff.errors import UsageError
from bakeoff.rewards.code.jail.plain import Malformed, decode, encode


@dataclass(frozen=True)
class Limits:
    """What one test may use. All limits are of the program, not of the tests.

    Attributes:
        seconds: time of one test: a call, an input, an assertion; of a ``CheckTests`` the whole
            script. It is wall time without what the process spent waiting for a processor, so a
            busy machine does not change a verdict.
        total_seconds: wall time of all tests; those it leaves no time for are *not run*.
        memory_mib: address space on top of an idle interpreter.
        output_mib: how much the program may answer or write in one test.

    Raises:
        UsageError: one is not above 0.
    """

    seconds: float = 5.0
    total_seconds: float = 60.0
    memory_mib: int = 512
    output_mib: int = 16

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (value > 0 and math.isfinite(value)):
                raise UsageError(f"the limit {name} must be a number above 0, not {value}")


@dataclass(frozen=True)
class Close:
    """Approximate comparison of numbers: ``|got - expected| <= atol + rtol * |expected|``.

    A nan is close only to an expected nan, an infinity only to the same one; ints and bools among
    themselves stay exact.

    Raises:
        UsageError: a tolerance is negative.
    """

    rtol: float = 1e-6
    atol: float = 1e-9

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (value >= 0 and math.isfinite(value)):
                raise UsageError(f"{name} must be a number of 0 or more, not {value}")


@dataclass(frozen=True)
class Call:
    """One call of a function, and what it should return.

    Attributes:
        args: positional arguments, plain data.
        expected: the right result, plain data.
        kwargs: keyword arguments, plain data.

    Raises:
        UsageError: something is not plain data.
    """

    args: tuple[Any, ...]
    expected: Any
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "args", tuple(self.args))
        object.__setattr__(self, "kwargs", dict(self.kwargs))
        for what, value in list(vars(self).items()):
            object.__setattr__(self, what, _plain(what, value))


class _Tests:
    """What the kinds have in common."""

    limits: Limits

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that the tests hold."""
        return hashlib.blake2b(self._content().encode(errors="surrogatepass")).hexdigest()

    def _content(self) -> str:
        return repr(self)


@dataclass(frozen=True)
class CallTests(_Tests):
    """Calls of one function, in order, in one process; compared outside of it.

    Attributes:
        entry: the function, or a method of a class ``Solution``.
        calls: at least one.
        close: how numbers are compared; by default everything is compared by Python's ``==``.
        limits: of each call.

    Raises:
        UsageError: there is no test.

    Example:
        >>> CallTests("double", [Call((2,), 4), Call(("ab",), "abab")]).count
        2
    """

    entry: str
    calls: Sequence[Call]
    close: Close | None = None
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        object.__setattr__(self, "calls", tuple(self.calls))
        _check_some(self.calls, "calls")

    def _content(self) -> str:
        calls = [[encode(call.args), encode(call.kwargs), encode(call.expected)]
                 for call in self.calls]  # fmt: skip
        return json.dumps([self.entry, calls, repr(self.close), repr(self.limits)])

    @property
    def count(self) -> int:
        """How many tests there are."""
        return len(self.calls)


@dataclass(frozen=True)
class StdioTests(_Tests):
    """Runs of a script, each with an input and the output it should write.

    Lines are compared without trailing blanks, and blank lines at the end do not count. The exit
    status must be 0.

    Attributes:
        cases: ``(stdin, stdout)`` pairs, at least one.
        close: how numbers in the output are compared; by default all is compared as text.
        limits: of each run.

    Raises:
        UsageError: there is no test, or a case is no pair of texts.
    """

    cases: Sequence[tuple[str, str]]
    close: Close | None = None
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        object.__setattr__(self, "cases", tuple(tuple(case) for case in self.cases))
        _check_some(self.cases, "cases")
        for case in self.cases:
            if len(case) != 2 or not all(isinstance(text, str) for text in case):
                raise UsageError("a case is a pair of texts: standard input and standard output")

    @property
    def count(self) -> int:
        """How many tests there are."""
        return len(self.cases)


@dataclass(frozen=True)
class AssertTests(_Tests):
    """Assertions, one share of the reward each, as in MBPP.

    Attributes:
        asserts: statements; they see the names of the program and of the set-up.
        setup: statements that run after the program and before the assertions.
        limits: of each assertion.

    Raises:
        UsageError: there is no test, or one is not Python.
    """

    asserts: Sequence[str]
    setup: str = ""
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        object.__setattr__(self, "asserts", tuple(self.asserts))
        _check_some(self.asserts, "asserts")
        for text in (self.setup, *self.asserts):
            _check_python(text)

    @property
    def count(self) -> int:
        """How many tests there are."""
        return len(self.asserts)


@dataclass(frozen=True)
class CheckTests(_Tests):
    """A script that defines ``check(candidate)``, as in HumanEval: all or nothing.

    Attributes:
        script: the tests; what it defines comes before what the program defines.
        entry: the program's function that is checked.
        limits: of the whole script.

    Raises:
        UsageError: the script is not Python, or defines no ``check``.
    """

    script: str
    entry: str
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        _check_python(self.script)
        if "check" not in self.script:
            raise UsageError("the script defines no function check(candidate)")

    @property
    def count(self) -> int:
        """How many tests there are: one."""
        return 1


Tests = CallTests | StdioTests | AssertTests | CheckTests


def _check_some(tests: Sequence[object], what: str) -> None:
    if not tests:
        raise UsageError(f"there are no tests: {what} is empty, and every program would pass")


def _plain(what: str, value: object) -> Any:
    """Return a value without anything of its own class."""
    try:
        return decode(encode(value, _refused))
    except Malformed as error:
        raise UsageError(f"{what} of a call must be plain data: {error}") from None


def _refused(value: object) -> Any:
    raise Malformed(f"a {type(value).__name__} is not")


def _check_python(text: str) -> None:
    import ast

    try:
        ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"a test is not Python ({error}): {text[:80]}") from None
