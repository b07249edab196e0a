"""HumanEval and MBPP: how replies are completed, splits, and what is wrong with a row."""

from __future__ import annotations

import ast
import gzip
import json
import warnings
from pathlib import Path

import pytest
from unit.envs.code_rows import (
    humaneval_row,
    mbpp_row,
    write_humaneval,
    write_mbpp,
)

from bakeoff.envs.code.humaneval import HumanEval
from bakeoff.envs.code.mbpp import MBPP, SOURCE, items
from bakeoff.rewards.code import score

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data"
real = pytest.mark.skipif(not (REAL / "humaneval").is_dir(), reason="the data sets are not here")

HELPED = "def add_3(x):\n    return helper(x) + 3"
BODIES = {
    "bare": "    return helper(x) + 3\n",
    "in a block": "```python\n    return helper(x) + 3\n```",
    "the first line's indentation lost": "y = helper(x)\n    y += 3\n    return y",
    "a block's first line's indentation lost": "for y in (x,):\n        y += 3\n    return y",
    "not indented": "y = helper(x)\nif y:\n    y += 0\nreturn y + 3",
    "going on": "    return helper(x) + 3\n\n\ndef other(x):\n    return (",
    "the whole function": HELPED,
    "in a chat": f"Sure!\n\n```python\n{HELPED}\n```\n\nIt calls `helper`.",
    "with a future import": f"from __future__ import annotations\n\n{HELPED}",
    "with an import of its own": f"import os\n{HELPED}",
}


@pytest.fixture
def humaneval(tmp_path: Path) -> HumanEval:
    return HumanEval(data=str(write_humaneval(tmp_path / "humaneval")))


@pytest.mark.parametrize("reply", BODIES.values(), ids=BODIES)
def test_a_function_or_its_body_is_completed_by_the_prompt(
    humaneval: HumanEval, reply: str
) -> None:
    assert humaneval.score(humaneval.item(3, "eval"), reply).value == 1.0


@pytest.mark.parametrize(
    "reply", ["    return x", "def add_4(x): return x + 3", "I would add 3.", "return x + 3 +", ""]
)
def test_another_function_or_prose_is_not_paid(humaneval: HumanEval, reply: str) -> None:
    assert humaneval.score(humaneval.item(3, "eval"), reply).value == 0.0


def test_humaneval_has_nothing_to_train_on(humaneval: HumanEval) -> None:
    assert (humaneval.size("train"), humaneval.size("eval")) == (0, 6)
    with pytest.raises(ValueError, match="HumanEval is for evaluation; train on bakeoff/MBPP-v0"):
        humaneval.item(0, "train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": None}, "line 2: a row needs the text 'test'"),
        ({"test": "def check(candidate):\n    pass"}, "line 2: the test asserts nothing"),
        ({"entry_point": "other"}, "line 2: the prompt does not define 'other'"),
        ({"canonical_solution": ""}, "line 2: a row needs the text 'canonical_solution'"),
    ],
)
def test_a_humaneval_row_that_cannot_be_tested_is_named(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    rows = [humaneval_row(1), humaneval_row(2) | change]
    path = tmp_path / "HumanEval.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))

    with pytest.raises(ValueError, match=message):
        HumanEval(data=str(path))


def test_a_file_that_is_not_compressed_as_it_says_is_refused(tmp_path: Path) -> None:
    (tmp_path / "HumanEval.jsonl.gz").write_text("{}")

    with pytest.raises(ValueError, match=r"HumanEval\.jsonl\.gz: cannot be read"):
        HumanEval(data=str(tmp_path))


@real
def test_all_of_humaneval_is_solved_by_its_own_solutions_and_not_by_empty_ones() -> None:
    env = HumanEval(data=str(REAL / "humaneval"))
    tasks = [env.item(index, "eval") for index in range(env.size("eval"))]
    bodies = [item.gold.removeprefix(f"{item.data['above']}{item.data['head']}") for item in tasks]

    assert len(tasks) == 164
    for item, body in zip(tasks, bodies, strict=True):
        for reply in (item.gold, body, body.strip(), f"```python\n{item.gold}\n```"):
            assert env.score(item, reply).value == 1.0, (item.id, reply)
        assert env.score(item, "    return None").value == 0.0, item.id


@pytest.fixture
def mbpp(tmp_path: Path) -> MBPP:
    return MBPP(data=str(write_mbpp(tmp_path / "mbpp")))


def test_mbpp_is_split_by_the_numbers_of_the_paper(mbpp: MBPP) -> None:
    asked = {
        split: [mbpp.item(index, split).gold for index in range(mbpp.size(split))]
        for split in ("train", "eval")
    }

    # 601 to 974 are for training and 11 to 510 for tests; 5 is a prompt and 555 for validation
    assert asked["train"] == [mbpp_row(number)["code"] for number in range(601, 610)]
    assert asked["eval"] == [mbpp_row(number)["code"] for number in [*range(11, 17), 505]]


def test_the_prompt_shows_as_many_asserts_as_it_is_told(tmp_path: Path) -> None:
    folder = write_mbpp(tmp_path / "mbpp")
    shown = [
        MBPP(data=str(folder), shown=number).item(0).prompt.count("assert ") for number in (1, 2, 9)
    ]

    assert shown == [1, 2, 3]  # there are three
    with pytest.raises(ValueError, match="shown must be at least 1, not 0"):
        MBPP(data=str(folder), shown=0)


def test_mbpp_pays_the_share_of_the_asserts_or_all_or_nothing(tmp_path: Path) -> None:
    folder = write_mbpp(tmp_path / "mbpp")
    part, whole = (MBPP(data=str(folder), partial=partial) for partial in (True, False))
    reply = "def times_601(x): return 601 if x == 1 else 0"

    # right for 1, wrong for 2 and 0.5
    assert part.score(part.item(0), reply).value == pytest.approx(1 / 3)
    assert whole.score(whole.item(0), reply).value == 0.0


def test_all_of_mbpp_has_other_columns() -> None:
    row = mbpp_row(20)
    row |= {"text": row.pop("prompt"), "test_setup_code": "import math", "test_imports": None}
    item = items([("line 1", row)])[20]

    assert score(item.gold, item.data["tests"]).parts["all"] == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_list": []}, "row 2: a row needs asserts in 'test_list'"),
        ({"test_list": ["times_12(1)"]}, "row 2: a row needs asserts in 'test_list'"),
        ({"test_list": ["assert times_12("]}, "row 2: "),
        ({"task_id": None}, "row 2: a row needs the number 'task_id'"),
        ({"task_id": 11}, "row 2: task 11 is there twice"),
        ({"code": ""}, r"row 2: a row needs the texts 'prompt' \(or 'text'\) and 'code'"),
    ],
)
def test_an_mbpp_row_that_cannot_be_tested_is_named(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "mbpp.json"
    path.write_text(json.dumps([mbpp_row(11), mbpp_row(12) | change]))

    with pytest.raises(ValueError, match=message):
        MBPP(data=str(path))


def test_tests_that_cannot_be_run_leave_a_reply_without_a_score(tmp_path: Path) -> None:
    path = tmp_path / "mbpp.json"
    row = mbpp_row(601) | {"test_list": ["assert times_601(iter([1]))"]}  # which cannot cross
    path.write_text(json.dumps([row, mbpp_row(11)]))
    env = MBPP(data=str(path))
    found = env.score(env.item(0), env.item(0).gold)

    assert found.value is None and "list_iterator of the tests cannot be sent" in found.reason


def emptied(program: str) -> str:
    """The program with the bodies of its functions taken out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of backslashes in the data set
        tree = ast.parse(program)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            node.body = [ast.Pass()]
    return ast.unparse(tree)


@real
def test_all_of_mbpp_is_solved_by_its_own_solutions_and_not_by_empty_ones() -> None:
    tasks = items(SOURCE.rows(str(REAL / "mbpp_sanitized"), "train"))
    gold = [score(item.gold, item.data["tests"]).parts["all"] for item in tasks.values()]
    empty = [score(emptied(item.gold), item.data["tests"]).parts["all"] for item in tasks.values()]

    assert (len(tasks), sum(gold), sum(empty)) == (427, 427, 0)
