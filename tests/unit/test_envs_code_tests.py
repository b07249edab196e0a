"""Tasks of one's own: the formats of rows with tests, and what is wrong with a row."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from unit.envs.code_rows import apps_row, stdio_row

from bakeoff.envs.code.code_tests import CodeTests
from bakeoff.envs.code.formats import read
from bakeoff.envs.text_env import TextEnv
from bakeoff.rewards.code import Close, Limits, StdioTests, score
from bakeoff.types import Item


def one(row: dict[str, object]) -> Item:
    return read(row, "line 1", Limits())


def passed(item: Item, program: str) -> float:
    return score(program, item.data["tests"]).parts["passed"]


CALLS = {
    "prompt": "Write f(a, b), the set of a and b.",
    "entry": "f",
    "calls": [
        {"args": "(1, 2)", "expected": "{1, 2}"},
        {"args": "(1, 'x')", "expected": "{1, 'x'}"},
    ],
}
ASSERTS = {
    "prompt": "Write root(x).",
    "asserts": ["assert root(4) == 2", "assert math.isclose(root(2), 2 ** 0.5)"],
    "setup": "import math",
}
CHECK = {
    "prompt": "Write f(x), which doubles x.",
    "entry": "f",
    "check": "def check(candidate):\n    assert all(candidate(n) == 2 * n for n in range(9))",
}


@pytest.mark.parametrize(
    ("row", "right", "wrong", "share"),
    [
        (CALLS, "def f(a, b): return {a, b}", "def f(a, b): return {1, 2}", 0.5),
        (stdio_row(3), "print(int(input()) + 3)", "print(8 + 0 * int(input()))", 1 / 3),
        (ASSERTS, "def root(x): return x ** 0.5", "def root(x): return x // 2", 0.5),
        (CHECK, "def f(x): return 2 * x", "def f(x): return x ** 2", 0.0),
        (apps_row(2), "def added(v): return [n + 2 for n in v]", "def added(v): return []", 1 / 3),
    ],
)
def test_a_row_of_each_kind_is_tested(
    row: dict[str, object], right: str, wrong: str, share: float
) -> None:
    item = one(row)

    assert (passed(item, right), passed(item, wrong)) == (1.0, pytest.approx(share))


def test_a_method_of_a_solution_is_called() -> None:
    starter = "class Solution:\n    def most(self, a):\n        "
    tests = {"fn_name": "most", "inputs": [[[1, 3, 2]], [[5]]], "outputs": [3, 5]}
    item = one(
        {"question": "The largest.", "starter_code": starter, "input_output": json.dumps(tests)}
    )

    assert starter.rstrip() in item.prompt and "method `most`" in item.prompt
    assert passed(item, "class Solution:\n    def most(self, a): return max(a)") == 1.0


def test_arguments_may_be_json_a_line() -> None:
    tests = {"fn_name": "f", "inputs": ["[1, 2]\n3", "[]\n4"], "outputs": ["[1, 2, 3]", "[4]"]}
    item = one({"question": "Append.", "input_output": json.dumps(tests)})

    assert passed(item, "def f(a, b): return a + [b]") == 1.0


def test_lists_of_lines_are_standard_input_and_output() -> None:
    tests = {"inputs": [["2", "3"]], "outputs": [["5", "6"]]}
    item = one({"question": "Sum and product.", "input_output": json.dumps(tests)})

    assert item.data["tests"] == StdioTests([("2\n3", "5\n6")])


def test_a_tolerance_is_for_numbers() -> None:
    row = stdio_row(0) | {"rtol": 0.01}
    item = one(row)

    assert item.data["tests"].close == Close(rtol=0.01)  # type: ignore[attr-defined]
    assert passed(item, "print(1.005 * int(input()))") == 1.0


def test_the_first_solution_is_the_gold_reply() -> None:
    assert one(apps_row(4)).gold == "def added(values):\n    return [v + 4 for v in values]"
    assert one(CALLS).gold == ""


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "Do it."}, "it needs tests in one of calls, .* and has none"),
        ({"prompt": "Do it.", "calls": []}, "and has none"),
        (stdio_row(1) | {"asserts": ["assert True"]}, "has 'stdio' and 'asserts'"),
        (stdio_row(1) | {"prompt": " "}, "it needs a text 'prompt'"),
        (CALLS | {"entry": None}, "the name of the function in 'entry'"),
        (CALLS | {"calls": [{"args": "(1, 2)"}]}, "each test needs the text 'expected'"),
        (CALLS | {"calls": [{"args": "1", "expected": "1"}]}, "'args' must be a tuple"),
        (CALLS | {"calls": [{"args": "(open('x'),)", "expected": "1"}]}, "line 1: "),
        (ASSERTS | {"rtol": 0.1}, "'rtol' and 'atol' mean nothing for 'asserts'"),
        ({"question": "Q", "input_output": "{"}, "line 1: "),
        ({"question": "Q", "input_output": "[1]"}, "must be a JSON object"),
        ({"question": "Q", "input_output": '{"inputs": [], "outputs": []}'}, "has no tests"),
        ({"question": "Q", "input_output": '{"inputs": ["1"], "outputs": []}'}, "the same length"),
        ({"question": "Q", "input_output": '{"inputs": [1], "outputs": ["1"]}'}, "must be a text"),
        (
            {"question": "Q", "input_output": '{"fn_name": "f", "inputs": [1], "outputs": [1]}'},
            "must be a list of arguments",
        ),
    ],
)
def test_a_row_whose_tests_cannot_be_read_is_named(row: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        one(row)
    assert str(error.value).startswith("line 1: ")


def test_tasks_of_ones_own_must_be_given() -> None:
    with pytest.raises(ValueError, match=r"needs data: give a \.json or \.jsonl file"):
        CodeTests()


def write_rows(path: Path, rows: list[dict[str, object]]) -> TextEnv:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return CodeTests(data=str(path), seconds=0.2)


def test_rows_of_different_kinds_may_stand_in_one_file_in_any_order(tmp_path: Path) -> None:
    rows = [CALLS, stdio_row(1), ASSERTS, CHECK, apps_row(1), *map(stdio_row, range(2, 40))]
    env = write_rows(tmp_path / "a.jsonl", rows)
    random.Random(0).shuffle(rows)
    other = write_rows(tmp_path / "b.jsonl", rows)

    for split in ("train", "eval"):
        asked, again = (
            {e.item(index, split).prompt for index in range(e.size(split))} for e in (env, other)
        )
        assert asked and asked == again


def test_a_test_may_take_as_long_as_it_is_told(tmp_path: Path) -> None:
    env = write_rows(tmp_path / "rows.jsonl", [stdio_row(n) for n in range(30)])
    item = env.item(0)

    assert item.data["tests"].limits.seconds == 0.2  # type: ignore[attr-defined]
    assert env.score(item, "while True: pass").value == 0.0
