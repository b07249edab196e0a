"""Assertions as questions, and values written as expressions."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bakeoff.rewards.code import (
    AssertTests,
    Limits,
    Sandbox,
    literal,
    score,
    splitting,
)
from bakeoff.rewards.code.comparing import Equal, Is, Near, Truth
from bakeoff.rewards.code.splitting import Question, of_asserts, of_check

NAN, INF = float("nan"), float("inf")

QUESTIONS = [
    ("assert f(1, x=[2]) == 3", Question("f", (1,), {"x": [2]}, Equal(3))),
    ("assert 3 == f(1)", Question("f", (1,), {}, Equal(3))),
    ("assert f() == (-1, {2: 'x'}, set())", Question("f", (), {}, Equal((-1, {2: "x"}, set())))),
    ("assert f(1) == 2, 'a message'", Question("f", (1,), {}, Equal(2))),
    ("assert set(f(1)) == {2}", Question("f", (1,), {}, Equal({2}, None, (("set", ()),)))),
    ("assert len(sorted(f(1))) == 2",
     Question("f", (1,), {}, Equal(2, None, (("sorted", ()), ("len", ()))))),
    ("assert round(f(1), 2) == .5", Question("f", (1,), {}, Equal(0.5, None, (("round", (2,)),)))),
    ("assert f(1) is None", Question("f", (1,), {}, Is(None))),
    ("assert f(1) is True", Question("f", (1,), {}, Is(True))),
    ("assert f(1)", Question("f", (1,), {}, Truth(True))),
    ("assert not f(1)", Question("f", (1,), {}, Truth(False))),
    ("assert abs(f(1) - 2.5) < 1e-6", Question("f", (1,), {}, Near(2.5, 1e-6, False))),
    ("assert abs(f(1) - 2.5) <= 1e-6", Question("f", (1,), {}, Near(2.5, 1e-6, True))),
]  # fmt: skip
NO_QUESTIONS = [
    "f(1)",
    "x = 1\nassert f(x) == 1",
    "assert f(1) == f(2)",
    "assert f(g(1)) == 2",
    "assert f(x) == 1",
    "assert f(*[1]) == 2",
    "assert f(**{'a': 1}) == 2",
    "assert f(lambda: 1) == 2",
    "assert f(1) != 2",
    "assert f(1) == 2 == 3",
    "assert f(1) in [1, 2]",
    "assert f(1)[0] == 2",
    "assert f(1) == 2 and f(2) == 3",
    "assert f(1) is 5",
    "assert abs(f(1) + 2) < 1e-6",
    "assert sorted(f(1), reverse=True) == [1]",
    "assert f.g(1) == 2",
    "assert (f)(1)(2) == 3",
    "assert str(f(1)) == '2'",
    "assert f(1 / 0) == 2",
    "for x in [1]:\n    assert f(x) == 1",
]

FORMS = [
    "assert f({}) == 1",
    "assert f({}) == [1, 2]",
    "assert f({}) == {{1, 2}}",
    "assert f({}) == (1, 2)",
    "assert f({}) == {{'a': 1}}",
    "assert f({})",
    "assert not f({})",
    "assert f({}) is None",
    "assert f({}) is True",
    "assert set(f({})) == {{1, 2}}",
    "assert sorted(f({})) == [1, 2]",
    "assert len(f({})) == 2",
    "assert tuple(f({})) == (1, 2)",
    "assert round(f({}), 1) == 1.0",
    "assert abs(f({})) == 1",
    "assert abs(f({}) - 1) < 1e-3",
]
ANSWERS = """
from collections import Counter, OrderedDict, deque
from decimal import Decimal
from fractions import Fraction
class Liar:
    def __eq__(self, other): return True
    def __len__(self): return 2
    def __bool__(self): return False
    def __abs__(self): return 1
    def __sub__(self, other): return 0
    def __iter__(self): return iter([2, 1])
class Int(int):
    def __eq__(self, other): return True
    def __sub__(self, other): return 0
    def __abs__(self): return 1
ANSWERS = [
    1, True, 1.0, 1.0001, Decimal(1), Fraction(1), 1 + 0j, -1, 0, None, float("nan"), "1", "", b"",
    [1, 2], [2, 1], [1, 1, 2], (1, 2), {1, 2}, frozenset({1, 2}), {1: 2}, {"a": 1}, {2: 0, 1: 0},
    OrderedDict(a=1), Counter("a"), deque([1, 2]), range(1, 3), range(10**18), "12", b"12", [],
    [[1], 2], [1, "x"], Int(7), Liar(), [Liar(), 2], (x for x in (1, 2)), object(), len, Liar,
    [1] * 5000,
]
def f(n):
    if n == len(ANSWERS): raise AssertionError("no")
    return ANSWERS[n]
"""
COUNT = 42


@pytest.mark.parametrize(("text", "question"), QUESTIONS)
def test_an_assertion_of_a_simple_form_is_a_question(text: str, question: Question) -> None:
    assert of_asserts([text], "import math", {"f"}) == [question]


@pytest.mark.parametrize("text", NO_QUESTIONS)
def test_an_assertion_of_another_form_is_none(text: str) -> None:
    assert of_asserts([text], "", {"f"}) is None


def test_one_assertion_of_another_form_makes_a_script_of_all() -> None:
    assert of_asserts(["assert f(1) == 2", "assert f(1) == f(2)"], "", {"f"}) is None


def test_a_set_up_that_does_something_makes_a_script() -> None:
    assert of_asserts(["assert f(1) == 2"], "import sys\nsys.x = 1", {"f"}) is None


def test_a_check_of_simple_assertions_is_questions_about_its_candidate() -> None:
    script = """
METADATA = {"author": "x"}
def check(candidate):
    '''Check.'''
    assert True, "this holds"
    assert candidate(1) == 2
    assert candidate(3) is None
"""
    assert of_check(script, "f") == [
        Question("f", (1,), {}, Equal(2)),
        Question("f", (3,), {}, Is(None)),
    ]


@pytest.mark.parametrize(
    "body",
    ["for x in [1]: assert candidate(x) == 1", "x = 1", "assert True", "assert other(1) == 2",
     "assert False", "candidate(1)", "return"],
)  # fmt: skip
def test_a_check_that_does_more_or_nothing_is_a_script(body: str) -> None:
    script = f"def check(candidate):\n    {body}"

    assert of_check(script, "f") is None


@pytest.mark.parametrize(
    ("asserts", "names"),
    [
        (["assert f(1) == 2", "assert set(f(2)) == {3}"], {"f"}),
        (["assert f(g(1)) == 2", "assert f(3) == 4"], {"f"}),
        (["assert sum(1, 2) == 3"], {"sum"}),  # a program's own, as there is nothing else
        (["assert abs(f(1)) == 1", "assert abs(g(1)) == 1"], set()),
        (["assert all(C.f(x) for x in [1])"], set()),
    ],
)
def test_what_is_tested_is_what_all_assertions_call(asserts: list[str], names: set[str]) -> None:
    assert splitting.tested_names(asserts) == names


@pytest.mark.parametrize(
    "asserts",
    [
        ["assert abs(f(1) - 2) < 1e-6", "assert abs(g(1) - 3) < 1e-6"],
        ["assert all(f(x) == 2 for x in [1])", "assert all(g(x) == 3 for x in [1])"],
        ["assert all(C.f(x) == 2 for x in [1])"],
        ["import math\nassert math.isclose(f(1), 2)"],
        ["x = f(1)\nassert sum([x, x]) == 4"],
    ],
)
def test_a_program_cannot_replace_the_builtins_of_its_tests(
    asserts: list[str], sandbox: Sandbox
) -> None:
    program = """
import builtins, math
def abs(x): return 0
def all(x): return True
def sum(x): return 4
def f(x): return 0
math.isclose = lambda *_: True
builtins.abs, builtins.all, builtins.sum, g = abs, all, sum, f
class C: f = f
"""
    verdict = score(program, AssertTests(asserts), sandbox=sandbox)

    assert verdict.statuses == ("wrong",) * len(asserts)


@pytest.mark.parametrize("form", FORMS)
def test_an_assertion_has_the_same_verdict_as_a_question_and_as_a_script(
    form: str, sandbox: Sandbox
) -> None:
    """Not the same status: what raises an exception in a script is just not equal outside of it."""
    limits = Limits(seconds=20, memory_mib=100)
    questions = [form.format(n) for n in range(COUNT + 1)]
    scripts = [f"y = 1\n{text}" for text in questions]
    assert of_asserts(questions, "", {"f"})

    asked, run = (score(ANSWERS, AssertTests(texts, limits=limits), sandbox=sandbox).statuses
                  for texts in (questions, scripts))  # fmt: skip

    passed = [[n for n, status in enumerate(statuses) if status == "passed"]
              for statuses in (asked, run)]  # fmt: skip
    assert passed[0] == passed[1]
    assert COUNT not in passed[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(1, -2.5, +3, ~4)", (1, -2.5, 3, -5)),
        (" [set(), frozenset([1]), {1, 2}] ", [set(), frozenset([1]), {1, 2}]),
        ("{'a': [None, True, ...]}"[:-6] + "]}", {"a": [None, True]}),
        ("[inf, -math.inf, float('inf')]", [INF, -INF, INF]),
        ("10**3 + 7 // 2 - 1 % 2", 1002),
        ("1 / 4 + 2j", 0.25 + 2j),
        ("[0] * 3", [0, 0, 0]),
        ("'ab' * 2", "abab"),
        ("range(3)", range(3)),
        ("dict(a=1)", {"a": 1}),
        ("not 0", True),
        ("'a' 'b'", "ab"),
    ],
)
def test_literals_and_arithmetic_have_values(text: str, value: Any) -> None:
    assert repr(literal(text)) == repr(value)


@pytest.mark.parametrize(
    "text",
    ["", "x", "f(1)", "(lambda: 1)()", "[x for x in [1]]", "__import__('os')", "1 if 1 else 2",
     "'a'.upper()", "f'{1}'", "...", "1; 2", "{**{}}", "dict(**{})", "9**9**9", "2**-1", "1 << 9",
     "'x' * 10**9", "[0] * 10**9", "bytes(10**9)", "list(range(10**9))", "1 / 0", "-'a'",
     "{[]: 1}", "'%999999999d' % 1", "bytes('x', 'no such')", "range(10**30).start", "float('x')",
     "list(range(10**30))", "\0", "\ud800", "(" * 500, "-" * 100_000 + "1", "1+" * 50_000 + "1"],
)  # fmt: skip
def test_what_is_more_than_a_literal_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        literal(text)


@given(st.text())
@example("nan")
@example("9" * 5000)
def test_any_text_is_a_literal_or_refused(text: str) -> None:
    with suppress(ValueError):
        literal(text)
