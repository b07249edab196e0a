"""The scoring process and the tests' process under attack.

A program owns its own process: it can send anything at all on its descriptors. That must cost the
others bounded time and memory, never raise, never make a test pass that is not answered, and never
take a failed program's zero away, by a reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from code_hosts import SAY, judged

from bakeoff.rewards.code import (
    AssertTests,
    Call,
    CallTests,
    CheckTests,
    Limits,
    Sandbox,
    SandboxUnavailable,
    StdioTests,
    Tests,
)

BOUND_S = 4.0  # for the host to be done with 16 MiB of anything
LIMITS = Limits(seconds=20)
# What is sent where 2.5, or a set, a dict or a tuple is expected.
ANSWERS = {
    "lists": 'many(b"[],")',
    "dicts": """many(b'{"":1},')""",
    "nested dicts": """many(b'{"":' * 300 + b"1" + b"}" * 300 + b",")""",
    "deep": 'b"[" * MIB16',
    "a tuple of lists": """b'{"t":' + many(b"[],") + b"}" """,
    "short texts": """many(b'"ab",', b'""')""",
    "floats": 'many(b"1e9,")',
    "an integer of 5000 digits": 'b"9" * 5000',
    "an integer of 16 MiB": 'b"9" * MIB16',
    "a hexadecimal integer": "digits(2**23)",
    "a fraction": """b'{"F":[%b,%b]}' % (digits(2**22), digits(2**22))""",
    "fractions": """many(b'{"F":[%b,%b]},' % (digits(4000), digits(4000)))""",
    "a range": """b'{"r":[0,%b,%b]}' % (digits(2**22), digits(2**21))""",
    "a complex": """b'{"c":[%b,1]}' % digits(2**22)""",
    "a decimal": """b'{"D":"1e999999999"}'""",
    "a long decimal": """b'{"D":"' + b"9" * MIB16 + b'"}' """,
    "bytes": """b'{"b":"' + b"00" * (2**23 - 100) + b'"}' """,
    "an endless range": """b'{"r":[0,1000000000000000000,1]}' """,
    "equal hashes in a set": 'json.dumps({"s": same_hashes}).encode()',
    "equal hashes in a dict": 'json.dumps({"d": [[x, 0] for x in same_hashes]}).encode()',
    "unhashable keys": """json.dumps({"d": [[[1], 1]] * 20000}).encode()""",
    "no pairs": """json.dumps({"d": [1] * 20000}).encode()""",
    "two tags": """b'{"t":[1],"s":[1]}' """,
    "UTF-16": """'"x"'.encode("utf-16")""",
    "nan": 'b"NaN"',
    "nothing": 'b""',
}  # fmt: skip
EXPECTED = [2.5, set(range(20000)), dict.fromkeys(range(20000), 1), (1, 2), 10**30]

# What a program says to the tests' process, before any question and as an answer to one.
OPENINGS = [
    b"", b"[]", b"5", b"[" * 10**5, b'{"gone":1}', b'{"gone":1,"loaded":1}', b'{"passed":1}',
    b'{"unsupported":"x"}', b'{"loaded":1,"unsupported":"x"}', b'{"loaded":1,"passed":1}',
    b'{"failed":5}', b'{"uncompiled":[1,2]}',
]  # fmt: skip
LIES: list[Any] = [
    {}, {"end": 1}, {"unsupported": "x"}, {"passed": 1}, {"gone": 1}, {"names": 1},
    {"value": {"o": "x"}}, {"value": {"t": [1, {"o": "x"}]}}, {"value": {"d": [[[1], 2]]}},
    {"value": {"k": 0}}, {"value": {"k": -1}}, {"value": {"h": 10**9}}, {"value": {"h": [1]}},
    {"value": {"r": [0, 10**18, 1]}}, {"value": {"F": [1, 0]}}, {"value": {"kept": 5}},
    {"value": {"kept": ["deque", [1]]}}, {"value": {"kept": ["Link", []]}},
    {"value": 1, "after": 5}, {"value": 1, "after": [[], {"x": 1}]}, {"error": 5},
    {"error": ["SystemExit", "x"]}, {"error": ["Gone", "x"]}, {"error": ["Unsupported", "x"]},
    {"error": ["StopIteration", ""]}, {"error": [[], {}]}, {"callback": 0}, {"callback": {}},
    {"callback": -1, "arguments": [], "keywords": {"d": []}},
]  # fmt: skip
KINDS = [
    {"module": "unittest.__main__"}, {"module": "this"}, {"module": 5}, {"value": {"o": "x"}},
    {"exception": "AssertionError"}, {"exception": "Gone"}, {"value": {"h": 1}}, {"callable": 1},
    5, {},
]  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        with Sandbox(workers=2) as made:
            assert made.level
            yield made
    except SandboxUnavailable as error:
        pytest.skip(f"no sandbox on this machine: {error}")


@pytest.mark.parametrize("name", ANSWERS)
def test_a_forged_answer_costs_the_host_little_time(name: str, sandbox: Sandbox) -> None:
    for expected in EXPECTED if "equal hashes" in name else EXPECTED[:1]:
        tests = CallTests("f", [Call((), expected)], limits=LIMITS)
        started = time.process_time()
        verdict = judged(f"{SAY}answer({ANSWERS[name].strip()})", tests, sandbox)

        assert verdict.statuses[0] in ("wrong", "error", "output limit")
        assert time.process_time() - started < BOUND_S


@pytest.mark.parametrize(
    "holds",
    ["abs(f() - 1) < 1e-6", "sorted(f()) == [1]", "f()", "not f()", "set(f()) == {1}",
     "len(f()) == 10", "tuple(f()) == (1,)"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["an endless range", "equal hashes in a set", "a fraction"])
def test_a_forged_answer_to_an_assertion_costs_the_host_little_time(
    name: str, holds: str, sandbox: Sandbox
) -> None:
    tests = AssertTests([f"assert {holds}"], limits=Limits(seconds=2))
    started = time.process_time()
    verdict = judged(f"{SAY}answer({ANSWERS[name].strip()})", tests, sandbox)

    # a large answer is left to the tests' own process, whose channel is another one
    assert verdict.statuses != ("passed",) or holds == "f()"
    assert time.process_time() - started < BOUND_S


def test_forged_answers_cost_the_host_little_memory(sandbox: Sandbox) -> None:
    code = """
import resource, sys
from bakeoff.rewards.code import *
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
with Sandbox(workers=1) as sandbox:
    tests = CallTests("f", [Call((), 2.5)], limits=Limits(seconds=40))
    score("def f(): return 2.5", tests, sandbox=sandbox)
    before = peak()
    for program in sys.argv[1:]:
        score(program, tests, sandbox=sandbox)
    print(peak() - before)
"""
    names = ["lists", "dicts", "nested dicts", "a tuple of lists", "short texts", "floats", "bytes"]
    programs = [f"{SAY}answer({ANSWERS[name].strip()})" for name in names]

    done = subprocess.run([sys.executable, "-c", code, *programs], capture_output=True, check=True)

    # 3.3 million short texts of 56 bytes in a list, and the frame itself three times: 260 MiB
    assert int(done.stdout) < 400


@pytest.mark.parametrize("frame", ["bytes(4)", "b'\\0\\0\\0\\2{}'", "b'\\xff' * 4", "b'x'"])
def test_frames_without_end_are_cut_off(frame: str, sandbox: Sandbox) -> None:
    program = f"import os\nwhile True: os.write(3, {frame} * 10000)"
    tests = CallTests("f", [Call((), 1)] * 3, limits=LIMITS)

    verdict = judged(program, tests, sandbox)

    assert set(verdict.statuses) <= {"error", "output limit"}
    assert verdict.seconds < LIMITS.seconds


@pytest.mark.parametrize(
    "said", [{"output": 1}, {"output": "1\n"}, {"error": 5}, {"uncompiled": 5}], ids=json.dumps
)
@pytest.mark.parametrize(("ending", "status"), [("print(1)", "passed"), ("print(2)", "wrong"),
                                                ("1 / 0", "error")])  # fmt: skip
def test_what_a_script_forges_does_not_count(
    said: Any, ending: str, status: str, sandbox: Sandbox
) -> None:
    program = f"{SAY}say(3, {said!r})\n{ending}"

    verdict = judged(program, StdioTests([("", "1\n")], limits=LIMITS), sandbox)

    assert verdict.statuses == (status,)


FORMS: list[Tests] = [
    AssertTests(["y = [lambda x: 1]\nassert f(y[0]) == 3"], limits=LIMITS),
    AssertTests(["assert dec(enc([1])) == 3"], limits=LIMITS),
    AssertTests(["x = enc(1)\nassert dec(x) == 3 and dec([x]) == 3"], limits=LIMITS),
    CheckTests("def check(g):\n    y = [2]\n    assert g(y) == 3 and y == [2]", "f", limits=LIMITS),
]


@pytest.mark.parametrize("lie", LIES, ids=json.dumps)
def test_no_lie_to_the_tests_lets_them_pass_or_not_count(lie: Any, sandbox: Sandbox) -> None:
    program = f"""{SAY}
def f(*_):
    say(4, {lie!r})
    os._exit(0)
def enc(x): say(4, {lie!r})
def dec(x): return 4
"""
    for tests in FORMS:
        assert judged(program, tests, sandbox).parts["passed"] == 0


@pytest.mark.parametrize("first", OPENINGS)
def test_no_forged_beginning_lets_tests_pass_or_not_count(first: bytes, sandbox: Sandbox) -> None:
    for tests in FORMS:
        for ending in ("os._exit(0)", "def f(*_): return 4", "def enc(x): return x\ndec = enc"):
            program = f"{SAY}say(4, json.loads({json.dumps(first.decode())!r}).encode())\n{ending}"

            assert judged(program, tests, sandbox).parts["passed"] == 0


@pytest.mark.parametrize("kind", KINDS, ids=json.dumps)
def test_no_forged_name_lets_tests_pass_or_not_count(kind: Any, sandbox: Sandbox) -> None:
    names = {"names": dict.fromkeys(("f", "enc", "dec"), kind)}
    for tests in FORMS:
        program = f"{SAY}say(4, {{'loaded': True}})\nsay(4, {names!r})"

        assert judged(program, tests, sandbox).parts["passed"] == 0


@pytest.mark.parametrize(
    "definition",
    ["class enc(Exception): pass", "import decimal as enc", "enc = {}.keys", "enc = 5", "enc = len",
     "from collections import deque\ndef enc(x): return deque([x])", "def enc(x): return enc",
     "def enc(x): return (y for y in [x])", "def enc(x): return {x: x}.items()"],
)  # fmt: skip
@pytest.mark.parametrize("text", ["dec(enc(1))", "dec(enc)", "dec([enc])", "dec(x=enc(1))"])
def test_nothing_that_a_program_defines_makes_its_tests_not_count(
    definition: str, text: str, sandbox: Sandbox
) -> None:
    tests = AssertTests([f"y = 3\nassert {text} == y"], limits=LIMITS)

    verdict = judged(f"{definition}\ndef dec(x): return 4", tests, sandbox)

    assert verdict.parts["passed"] == 0


def test_a_program_cannot_claim_to_contain_everything(sandbox: Sandbox) -> None:
    program = "class All:\n    __contains__ = lambda *_: True\ndef f(): return All()"

    assert judged(program, AssertTests(["assert 3 in f()"]), sandbox).parts["passed"] == 0
