"""Texts that are no programs, and bytes that are no answers: always a verdict, and life goes on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from code_hosts import SAY, judged
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bakeoff.rewards.code import (
    AssertTests,
    Call,
    CallTests,
    Limits,
    Sandbox,
    StdioTests,
    Tests,
)

SHORT, LIMITS = Limits(seconds=0.5), Limits(seconds=20)
MANGLED = [
    "", "\0", "\ud800", "x = '\ud800'", "\ufeffdef f(): return 1", "\x0c\x1a\r\r\n",
    "# coding: utf-7\nx = 1", "# coding: no\nx = 1", "def f():\n\treturn 1\n        return 2",
    "(" * 10**4, "[" * 10**5 + "]" * 10**5, "f(" * 5000 + ")" * 5000, "'" * 3 + "x" * 10**5,
    "-" * 10**5 + "1", "not " * 10**5 + "1", "1+" * 10**5 + "1", "x = " * 10**4 + "1",
    "lambda: " * 10**4 + "1", "if 1:\n" + " if 1:\n" * 200, "class A:\n pass\n" * 10**3,
    "9" * 10**5, "x" * 2**20, "x" * (2**20 + 1), "exec('x' * 10**5)", "async def f(): pass",
    "import sys\nsys.setrecursionlimit(10**9)\ndef g(): g()\ng()", "import sys\nsys.exit()",
    "import sys\nsys.modules.clear()", "import builtins\nbuiltins.__dict__.clear()", "yield 1",
    "import os\nos.close(3)", "import os\nos.dup2(1, 3)", "import ctypes\nctypes.string_at(0)",
    "import gc\n[o.clear() for o in gc.get_objects() if type(o) is dict]",
    "raise BaseException", "raise GeneratorExit", "raise SystemExit(object())", "1 / 0",
]  # fmt: skip


def sources() -> list[str]:
    """Return real code: of this folder."""
    paths = sorted(Path(__file__).parent.glob("test_rewards_code_*.py"))
    return [path.read_text() for path in paths[:5]]


@pytest.mark.parametrize("tests", [
    CallTests("f", [Call((), 0)] * 2, limits=SHORT),
    StdioTests([("", "0"), ("", "1")], limits=SHORT),
    AssertTests(["y = 1\nassert f() == 0"] * 2, limits=SHORT),
])  # fmt: skip
def test_no_text_breaks_the_sandbox(tests: Tests, sandbox: Sandbox) -> None:
    rng = random.Random("code fuzz")
    programs = list(MANGLED)
    for text in sources():
        cut = rng.randrange(len(text))
        programs += [text[:cut], text[cut:], text[:cut] + chr(rng.randrange(0xD800)) + text[cut:]]
    programs += [rng.randbytes(200).decode("latin-1") for _ in range(20)]

    for program in programs:
        verdict = judged(program, tests, sandbox)
        assert "passed" not in verdict.statuses, program[:80]
        assert verdict.seconds < 20

    right = CallTests("f", [Call((), 0)], limits=LIMITS)
    assert judged("def f(): return 0", right, sandbox).statuses == ("passed",)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(st.binary(max_size=40), max_size=6), whole=st.booleans())
@example(frames=[b'{"loaded":1}', b'{"value":{"d":[[{"s":[[]]},1]]}}'], whole=True)
def test_no_bytes_on_its_channel_raise(frames: list[bytes], whole: bool, sandbox: Sandbox) -> None:
    send = "say(3, frame)" if whole else "os.write(3, frame)"
    program = f"{SAY}\nfor frame in {frames!r}: {send}\nos._exit(0)"

    tests = CallTests("f", [Call((), 1.5), Call((), {2})], limits=LIMITS)

    assert judged(program, tests, sandbox).parts["passed"] == 0
