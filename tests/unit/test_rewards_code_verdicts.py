"""Verdicts: every status, the limits, and what people are told."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from bakeoff.errors import UsageError
from bakeoff.rewards.code import (
    AssertTests,
    Call,
    CallTests,
    CheckTests,
    Close,
    Failure,
    Limits,
    Sandbox,
    Score,
    StdioTests,
    Tests,
    score,
)

LIMITS = Limits(seconds=0.5, memory_mib=100, output_mib=1)


@pytest.fixture
def judged(sandbox: Sandbox) -> Any:
    def verdict(program: str, tests: Tests, **knobs: Any) -> Score:
        found = score(program, tests, sandbox=sandbox, **knobs)
        assert found.reason == ""
        return found

    return verdict


def calls(*pairs: tuple[Any, Any], limits: Limits = LIMITS, close: Close | None = None) -> Tests:
    return CallTests("f", [Call((x,), expected) for x, expected in pairs], close, limits)


ENDS = {
    "passed": "def f(x): return x * x",
    "wrong": "def f(x): return x",
    "error": "def f(x): raise KeyError(x)",
    "timed out": "def f(x):\n    while True: pass",
    "out of memory": "def f(x): return len(bytearray(10**9))",
    "output limit": "def f(x): return 'x' * 2**21",
}
KINDS = {
    "call": calls((3, 9)),
    "assertion": AssertTests(["assert f(3) == 9"], limits=LIMITS),
    "check": CheckTests("def check(g):\n    assert g(3) == 9", "f", LIMITS),
}
SCRIPTS = {
    "script assertion": AssertTests(["y = 9\nassert f(3) == y"], limits=LIMITS),
    "script check": CheckTests("def check(g):\n    y = 9\n    assert g(3) == y", "f", LIMITS),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", ENDS)
def test_every_status_of_a_function(status: str, kind: str, judged: Any) -> None:
    assert judged(ENDS[status], KINDS[kind]).statuses == (status,)


@pytest.mark.parametrize("kind", SCRIPTS)
@pytest.mark.parametrize("status", [status for status in ENDS if status != "output limit"])
def test_every_status_of_a_script(status: str, kind: str, judged: Any) -> None:
    """A large result is no output there: it stays in the sandbox."""
    assert judged(ENDS[status], SCRIPTS[kind]).statuses == (status,)


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("print(int(input()) ** 2)", "passed"),
        ("print(input())", "wrong"),
        ("print(9)\nraise SystemExit(3)", "error"),
        ("print(9)\n1 / 0", "error"),
        ("print(9, flush=True)\nwhile True: pass", "timed out"),
        ("print(9)\nbytearray(10**9)", "out of memory"),
        ("while True: print('9' * 1000)", "output limit"),
        ("print(9)\nraise SystemExit", "passed"),
        ("import os, sys\nos.write(1, b'9')\nos._exit(0)", "passed"),
        ("import sys\nsys.stdout.buffer.write(b'\\xff')", "error"),
        ("import sys\nprint(9)\nprint('x' * 1000, file=sys.stderr)", "passed"),
    ],
)
def test_every_status_of_a_script_on_standard_streams(
    program: str, status: str, judged: Any
) -> None:
    assert judged(program, StdioTests([("3\n", "9\n")], limits=LIMITS)).statuses == (status,)


@pytest.mark.parametrize("text", ["y = 1\nassert f({}) == 1", "assert f({}) == 1"])
def test_an_end_in_one_test_is_not_the_end_of_the_others(text: str, judged: Any) -> None:
    program = """
import os
def f(x):
    if x == 1: os._exit(0)
    if x == 2:
        while True: pass
    if x == 3: return len(bytearray(10**9))
    return 1
"""
    tests = AssertTests([text.format(n) for n in range(5)], limits=LIMITS)

    # f(3) needs 1 GB
    assert judged(program, tests).statuses == (
        "passed", "error", "timed out", "out of memory", "passed",
    )  # fmt: skip


def test_each_input_has_a_process_of_its_own(judged: Any) -> None:
    program = "x = input()\nif x == '2':\n    while True: pass\nprint(x)"
    cases = [(f"{n}\n", f"{n}\n") for n in (1, 2, 3)]

    statuses = judged(program, StdioTests(cases, limits=LIMITS)).statuses

    assert statuses == ("passed", "timed out", "passed")


def test_the_time_of_all_tests_is_limited_too(judged: Any) -> None:
    # two tests of 0.2 s begin within 0.3 s, the rest does not, however busy the machine is
    limits = Limits(seconds=0.2, total_seconds=0.3)
    tests = calls(*[(n, n) for n in range(6)], limits=limits)

    statuses = judged("import time\ndef f(x): time.sleep(60)", tests).statuses

    assert statuses[0] == "timed out"
    assert statuses[2:] == ("not run",) * 4


@pytest.mark.parametrize(
    "tests",
    [
        calls((1, 1), (2, 5), (3, 9)),
        AssertTests(["assert f(1) == 1", "assert f(2) == 5", "assert f(3) == 9"]),
        AssertTests(["y = 1\nassert f(y) == 1", "assert f(2) == 5", "assert f(3) == 9"]),
        StdioTests([("1\n", "1\n"), ("2\n", "5\n"), ("3\n", "9\n")]),
    ],
)
def test_what_comes_after_a_failure_can_be_left_out(tests: Tests, judged: Any) -> None:
    program = "def f(x): return x * x\nif __name__ == '__main__': print(f(int(input())))"

    assert judged(program, tests, stop_early=True).statuses == ("passed", "wrong", "not run")
    assert judged(program, tests).statuses == ("passed", "wrong", "passed")


@pytest.mark.parametrize(
    "tests",
    [
        calls((1, 1), (2, 5), (3, 9)),
        AssertTests(["y = 1\nassert f(y) == 1", "assert f(2) == 5", "assert f(3) == 9"]),
    ],
)
def test_what_is_left_out_is_not_run_even_if_all_answers_are_there_at_once(
    tests: Tests, judged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*arguments: Any) -> int:
        sent = send_fds(*arguments)
        time.sleep(0.3)  # the program has ended before this process listens
        return sent

    send_fds = socket.send_fds
    monkeypatch.setattr(socket, "send_fds", late)

    statuses = judged("def f(x): return x * x", tests, stop_early=True).statuses

    assert statuses == ("passed", "wrong", "not run")


def test_parts_are_shares(judged: Any) -> None:
    parts = judged("def f(x): return 4", calls((1, 1), (2, 4), (3, 9), (4, 16))).parts

    assert parts == {"passed": 0.25, "all": 0.0, "compiled": 1.0}


@pytest.mark.parametrize("tests", [*KINDS.values(), *SCRIPTS.values(), StdioTests([("", "9\n")])])
@pytest.mark.parametrize(
    ("program", "compiled"),
    [("def f(x) return 9", 0.0), ("def f(x): return 8", 1.0), ("1 / 0", 1.0), ("\0", 0.0)],
)
def test_what_is_python_has_compiled(
    program: str, compiled: float, tests: Tests, judged: Any
) -> None:
    assert judged(program, tests).parts["compiled"] == compiled


@pytest.mark.parametrize("tests", [KINDS["call"], *SCRIPTS.values()])
@pytest.mark.parametrize("program", ["while True: pass", "import os\nos._exit(0)"])
def test_a_program_that_never_gets_to_its_end_has_compiled(
    program: str, tests: Tests, judged: Any
) -> None:
    assert judged(program, tests).parts == {"passed": 0.0, "all": 0.0, "compiled": 1.0}


def test_a_failure_says_what_was_asked_and_answered(judged: Any) -> None:
    failure = judged("def f(x): return {x: [1.5]}", calls((1, {1: [1.5]}), (2, 5), (3, 6))).failure

    assert failure == Failure(1, "wrong", "", "f(2)", "5", "{2: [1.5]}")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("def f(x): raise KeyError('no')", "KeyError: 'no'"),
        ("def f(x): raise SystemExit(4)", "SystemExit: 4"),
        ("def f(x): raise ValueError('\\ud800')", r"ValueError: \ud800"),
        ("def f(x): raise type('E' * 1000, (Exception,), {})('m' * 1000)", "E" * 100 + ": "),
        ("class E(Exception):\n  __str__ = 0\ndef f(x): raise E", "E: (its message cannot be read"),
        ("g = 1", "NameError: the program defines no 'f'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import os\ndef f(x): os._exit(7)", "the program ended with exit code 7"),
        ("import signal\ndef f(x):\n  signal.setitimer(0, 0.01)\n  while True: pass", "SIGALRM"),
        ("def f(x): return 'x' * 2**21", "more than 1 MiB of output"),
        ("import time\ndef f(x): time.sleep(60)", "no answer within 0.5 s"),
    ],
)
def test_a_failure_says_why(program: str, message: str, judged: Any) -> None:
    failure = judged(program, calls((1, 1))).failure

    assert message in failure.message
    assert len(failure.message) <= 200
    failure.message.encode()  # can be printed


def test_tests_that_would_let_everything_pass_are_refused() -> None:
    for make in (lambda: CallTests("f", []), lambda: StdioTests([]), lambda: AssertTests([]),
                 lambda: CheckTests("x = 1", "f"), lambda: Call((object(),), 1)):  # fmt: skip
        with pytest.raises(UsageError):
            make()
