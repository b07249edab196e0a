"""The procedural families of code: what their levels ask, and what may not be paid."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

import pytest

from bakeoff.envs import make
from bakeoff.envs.code.family import HIDDEN, Family, completed_program
from bakeoff.envs.code.fix_the_bug import FixTheBug
from bakeoff.envs.code.lists_and_strings import ListsAndStrings
from bakeoff.envs.code.longer_programs import LONGER
from bakeoff.envs.code.loops import LOOPS
from bakeoff.envs.code.one_expression import OneExpression
from bakeoff.envs.code.programs import Program
from bakeoff.envs.code.shapes import CHOSEN, COMBINED, ONE_STEP, Shape
from bakeoff.rewards.code import Call, CallTests, score
from bakeoff.types import Item

FAMILIES = [FixTheBug, ListsAndStrings, OneExpression]
VALUES = r"f\(.+\) = .+ and f\(.+\) = .+"
EXAMPLE = r"For example, f\(.+\) = .+\."
LINES = r"def f\(.+\):(\n +.+)+"
ASKED = {
    OneExpression: {
        1: rf"What is _ if {VALUES}\?\ndef f\(x\): return .*_.*",
        2: rf"Write f\(x\) in Python: x .+, then .+\.\n{EXAMPLE}",
        3: rf"Write f\(x\) in Python: if x is .+, x .+; else x .+\.\n{EXAMPLE}",
        4: rf"Write f\(x, y\) in Python: .+ x and y.*\.\n{EXAMPLE}",
    },
    ListsAndStrings: {
        1: rf"What is _ if {VALUES}\?\ndef f\([as]\): return .*_.*",
        2: rf"Write f\([as]\) in Python: .+\.\n{EXAMPLE}",
        3: rf"Write f\([as]\) in Python: .+\.\n{EXAMPLE}",
        4: rf"Write f\([as]\) in Python: .+\.\n{EXAMPLE}",
    },
    FixTheBug: {
        1: rf"What should \d be if {VALUES}\?\ndef f\(x\): return .*\d.*",
        2: rf"Repair this: f\(x\) should be .+\.\ndef f\(x\): return .+\n{EXAMPLE}",
        3: rf"Repair this: f\(.+\) should be .+\.\n{LINES}\n{EXAMPLE} Which line is right\?",
        4: rf"Repair this: f\(.+\) should be .+\.\n{LINES}\n{EXAMPLE} Which line is right\?",
    },
}


@pytest.fixture(params=[(f, level) for f in FAMILIES for level in f.levels], ids=str)
def family(request: pytest.FixtureRequest) -> Family:
    kind, level = request.param
    return kind(level=level)


def calls_of(item: Item) -> Sequence[Call]:
    tests = item.data["tests"]
    assert isinstance(tests, CallTests)
    return tests.calls


def value(env: Family, item: Item, reply: str) -> float:
    found = env.score(item, reply)
    assert found.value is not None, found.reason
    return found.value


def test_each_level_asks_what_it_says(family: Family) -> None:
    for item in map(family.item, range(100)):
        assert re.fullmatch(ASKED[type(family)][family.level], item.prompt), item.prompt


def test_the_gold_reply_fits_even_in_single_characters(family: Family) -> None:
    longest = max(len(family.item(index).gold) for index in range(300))

    assert longest < family.reply_tokens  # and the end-of-sequence token


def test_the_whole_program_is_right_too_bare_or_in_a_block(family: Family) -> None:
    for item in map(family.item, range(10)):
        assert value(family, item, item.answer) == 1.0
        assert value(family, item, f"Here:\n```python\n{item.answer}\n```\nDone.") == 1.0


def test_no_test_is_shown(family: Family) -> None:
    for item in map(family.item, range(100)):
        calls = [f"f({', '.join(map(repr, call.args))})" for call in calls_of(item)]

        assert len(calls) == HIDDEN and not any(call in item.prompt for call in calls)


def test_the_examples_learned_by_heart_earn_nothing(family: Family) -> None:
    for item in map(family.item, range(5)):
        shown = re.findall(r"f\(([^=]+)\) = (.+?)(?= and f\(|\?|\.\n|\.$|\. Which)", item.prompt)
        table = ", ".join(f"repr(({args},)): {result}" for args, result in shown)
        program = f"def f(*args): return {{{table}}}[repr(args)]"

        assert shown and value(family, item, program) == 0.0, (item.prompt, program)


def test_no_constant_earns_more_than_half(family: Family) -> None:
    for item in map(family.item, range(100)):
        results = Counter(repr(call.expected) for call in calls_of(item))
        result, count = results.most_common(1)[0]

        assert count <= HIDDEN // 2
    assert value(family, item, f"def f(*args): return {result}") == count / HIDDEN


def test_the_input_given_back_earns_at_most_half(family: Family) -> None:
    for item in map(family.item, range(10)):
        for place in range(len(calls_of(item)[0].args)):
            assert value(family, item, f"def f(*args): return args[{place}]") <= 0.5, item.prompt


def test_what_is_asked_in_eval_is_not_asked_in_train(family: Family) -> None:
    train, evaluation = (
        {item.prompt if family.level == 1 else item.answer for item in items}
        for items in ([family.item(i, split) for i in range(150)] for split in ("train", "eval"))
    )

    assert evaluation and not train & evaluation


def test_all_or_nothing_can_be_asked_for() -> None:
    part, whole = (make(f"bakeoff/OneExpression-v0:partial={p}") for p in ("true", "false"))
    items = [item for item in map(part.item, range(100)) if "x // _\n" in f"{item.prompt}\n"]
    scored = [(part.score(item, "99"), whole.score(item, "99")) for item in items]
    some = [(one.value, other.value) for one, other in scored if one.value]

    # dividing by 99 gives 0, as dividing by the right number does for a few small inputs
    assert some and all(0 < one <= 0.5 and other == 0 for one, other in some if one is not None)


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_level_that_is_not_there_is_refused(kind: type[Family]) -> None:
    with pytest.raises(ValueError, match=r"level must be one of 1, 2, 3, 4, not 5"):
        kind(level=5)


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_number_that_is_asked_for_does_not_stand_in_the_prompt(kind: type[Family]) -> None:
    for item in map(kind().item, range(200)):
        assert item.gold not in re.findall(r"[0-9]+", item.prompt), item.prompt


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_other_number_fails_a_test(kind: type[Family]) -> None:
    env = kind()
    for item in map(env.item, range(5)):
        for number in range(-3, 13):
            assert (value(env, item, str(number)) == 1.0) == (str(number) == item.gold)


@pytest.mark.parametrize("level", FixTheBug.levels)
def test_the_program_with_the_bug_earns_nothing(level: int) -> None:
    env = FixTheBug(level=level)
    for item in map(env.item, range(20)):
        program = re.search(r"def f.*(\n +.*)*", item.prompt)
        assert program

        assert value(env, item, program[0]) == 0.0, item.prompt


def test_a_condition_left_out_fails_a_test() -> None:
    env = OneExpression(level=3)
    for item in map(env.item, range(20)):
        one, _, rest = item.gold.partition(" if ")

        for reply in (one, rest.partition(" else ")[2]):
            assert value(env, item, reply) < 1.0, item.prompt


@pytest.mark.parametrize("shape", [*ONE_STEP, *CHOSEN, *COMBINED], ids=lambda shape: shape.code)
def test_a_shape_computes_what_its_code_does(shape: Shape) -> None:
    rng = random.Random(0)
    for n in shape.fills:
        inputs = [shape.inputs(rng) for _ in range(20)]
        calls = [Call((v,), shape.function(n, 3, v)) for v in inputs if len(v) > n]
        code = shape.code.format(n=n, m=3)

        assert not calls or score(
            f"def f({shape.name()}): return {code}", CallTests("f", calls)
        ).parts == {"passed": 1.0, "all": 1.0, "compiled": 1.0}


BUGS = [
    pytest.param(program, bug, wrong, id=bug)
    for program in (*LOOPS, *LONGER)
    for bug, wrong in [(program.line, program.function), *program.bugs]
]


@pytest.mark.parametrize(("program", "line", "function"), BUGS)
def test_a_line_right_or_wrong_computes_what_it_is_said_to(
    program: Program, line, function
) -> None:
    rng = random.Random(0)
    for n in (2, 5, 9):
        code = f"def {program.head}:\n{program.code.format(n=n)}".replace("_", line.format(n=n))
        calls = []
        while len(calls) < 20:
            args = program.arguments(rng)
            try:
                calls.append(Call(args, function(n, *args)))
            except (LookupError, ValueError):  # so does the program: the next test
                calls.append(Call(args, "an error"))
        statuses = score(code, CallTests("f", calls)).statuses

        errors = [call.expected == "an error" for call in calls]
        assert statuses == tuple("error" if error else "passed" for error in errors)


TEMPLATE = Item("", "", data={"template": "def f(x): return x * (_)"})


@pytest.mark.parametrize(
    ("reply", "program"),
    [
        ("3", "def f(x): return x * (3)"),
        ("  2 + 1\n", "def f(x): return x * (2 + 1)"),
        ("```python\n3\n```", "def f(x): return x * (3)"),
        ("def f(x): return 3 * x", "def f(x): return 3 * x"),
        ("f = lambda x: 3 * x", "f = lambda x: 3 * x"),
        ("import math\ndef f(x): return 3 * x", "import math\ndef f(x): return 3 * x"),
        ("def g(x): return 3 * x\nprint(g(2))", None),
        ("It is\n3", None),
        ("9" * 1000, None),
        ("", None),
    ],
)
def test_one_line_fills_the_blank_and_a_definition_of_f_does_not(
    reply: str, program: str | None
) -> None:
    assert completed_program(reply, TEMPLATE) == program


def test_acts_that_are_forbidden_are_counted_and_cost_nothing_by_themselves() -> None:
    env = OneExpression(level=2)
    item = env.item(0)
    tries = "import os, socket\nfor act in (socket.socket, os.fork):\n    try:\n        act()\n"
    program = f"{tries}    except OSError:\n        pass\n{item.answer}"

    # the network and a new process are refused; the function is right all the same
    score = env.score(item, program)
    assert (score.value, score.parts["refused"]) == (1.0, 2.0)
