"""MATH and MATH-500 from files: what an item is, which rows are left out, and what errors say."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from unit.envs.math_rows import SIZE, answer, problem, write_math, write_math500

from bakeoff.envs import make
from bakeoff.envs.math.competition import Competition
from bakeoff.envs.text_env import split_of
from bakeoff.errors import UsageError

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data"
REQUEST = r"Reason step by step, and put the final answer in \boxed{}."


def env_of(path: Path, rows: object, **arguments: object) -> Competition:
    """MATH from a file with these rows."""
    path.write_text(json.dumps(rows))
    made = make("bakeoff/MATH-v0", data=str(path), **arguments)
    assert isinstance(made, Competition)
    return made


def questions(env: Competition, split: str) -> list[str]:
    found = [env.item(index, split).prompt for index in range(env.size(split))]
    return [prompt.removesuffix(f"\n{REQUEST}") for prompt in found]


def test_a_problem_without_a_solution_has_its_boxed_answer_as_gold(tmp_path: Path) -> None:
    env = env_of(
        tmp_path / "rows.json", [{"problem": problem(n), "answer": "7"} for n in range(20)]
    )
    item = env.item(0)

    assert item.prompt.endswith(f"\n{REQUEST}")
    assert (item.answer, item.gold) == ("7", r"\boxed{7}")


def test_the_last_box_of_a_solution_is_the_answer_if_no_other_is_given(tmp_path: Path) -> None:
    solution = r"First \boxed{3}. Then $\sqrt{\frac{1}{4}} = \boxed{\frac{1}{2}}$ follows."
    rows = [{"problem": problem(n), "solution": solution, "level": "Level 3"} for n in range(20)]
    item = env_of(tmp_path / "rows.json", rows).item(0)

    assert (item.answer, item.gold) == (r"\frac{1}{2}", solution)


def test_a_solution_that_ends_with_another_answer_is_not_the_gold(tmp_path: Path) -> None:
    rows = [{"problem": problem(n), "solution": r"\boxed{3}", "answer": "4"} for n in range(20)]

    assert env_of(tmp_path / "rows.json", rows).item(0).gold == r"\boxed{4}"


def test_one_problem_in_eight_is_held_out_by_its_content(tmp_path: Path) -> None:
    env = make("bakeoff/MATH-v0", data=str(write_math(tmp_path / "math")))
    assert isinstance(env, Competition)
    everything = [problem(n) for n in range(1, SIZE + 1)]

    # split_of hashes the problem's text; the order of the file is kept within a split
    for split in ("train", "eval"):
        expected = [text for text in everything if split_of("bakeoff/MATH-v0", text) == split]
        assert questions(env, split) == expected != []


def test_a_problem_that_stands_twice_is_in_one_split(tmp_path: Path) -> None:
    rows = [{"problem": problem(n), "answer": answer(n)} for n in range(40)]
    spaced = [{**row, "problem": row["problem"].replace(" ", "\n  ") + "\n"} for row in rows]
    env = env_of(tmp_path / "rows.json", rows + spaced)
    train, evaluation = (
        {" ".join(q.split()) for q in questions(env, s)} for s in ("train", "eval")
    )

    assert evaluation and not train & evaluation


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"problem": "Why?", "answer": None}, "it has no 'answer'"),
        ({"problem": "Why?", "answer": " "}, "it has no 'answer'"),
        ({"problem": "Why?", "solution": "Because."}, r"no 'solution' with a \boxed{}"),
        ({"problem": "Why?", "solution": r"\boxed{2"}, r"no 'solution' with a \boxed{}"),
        ({"problem": " ", "answer": "2"}, "it has no text 'problem'"),
        (
            {"problem": "Why?", "answer": r"\frac{1}{0}"},
            r"cannot read the right answer '\\frac{1}{0}'",
        ),
    ],
)
def test_a_row_that_cannot_be_scored_is_left_out_and_listed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, row: dict, reason: str
) -> None:
    rows = [{"problem": problem(n), "answer": "7"} for n in range(20)]
    path = tmp_path / "rows.json"
    with caplog.at_level(logging.WARNING):
        env = env_of(path, [*rows[:4], row, *rows[4:]])
    [(place, why)] = env.left_out

    assert place == f"{path}, row 5" and reason in why
    assert env.size("train") + env.size("eval") == 20
    [message] = caplog.messages
    assert message.startswith("bakeoff/MATH-v0 leaves out rows: 1 of 21 rows cannot be scored")
    assert f"{path}, row 5" in message and "\n" not in message


def test_a_file_of_which_no_row_can_be_scored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"2 of 2 rows cannot be scored, such as .*, row 1: it has no"
    ):
        env_of(tmp_path / "rows.json", [{"question": "1 + 1?", "answer": "2"}] * 2)


def test_problems_can_be_chosen_by_subject_and_difficulty(tmp_path: Path) -> None:
    folder = write_math(tmp_path / "math")
    env = make("bakeoff/MATH-v0", data=str(folder), subject="Algebra", difficulty=3)
    assert isinstance(env, Competition)

    # difficulty is n % 5 + 1 and the subject is Algebra for even n
    expected = [problem(n) for n in range(1, SIZE + 1) if n % 5 == 2 and n % 2 == 0]
    assert sorted(questions(env, "train") + questions(env, "eval")) == sorted(expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"subject": "algebra"}, "unknown subject 'algebra'; did you mean 'Algebra'"),
        ({"difficulty": 6}, r"unknown difficulty '6'.*\(known: 1, 2, 3, 4, 5\)"),
    ],
)
def test_what_no_problem_has_is_refused(tmp_path: Path, arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make("bakeoff/MATH-v0", data=str(write_math(tmp_path / "math")), **arguments)


def test_math500_is_for_evaluation(tmp_path: Path) -> None:
    env = make("bakeoff/MATH500-v0", data=str(write_math500(tmp_path / "math500")))
    prompt, info = env.reset(seed=0)

    assert (env.size("train"), env.size("eval")) == (0, 10)
    assert info["split"] == "eval" and prompt.endswith(REQUEST)
    assert env.item(0, "eval").gold.startswith("By the formula")
    for ask in (lambda: env.item(0, "train"), lambda: env.reset(options={"split": "train"})):
        with pytest.raises(UsageError, match="MATH500 is for evaluation; train on bakeoff/MATH-v0"):
            ask()


@pytest.mark.parametrize("form", ["folder", "file", "variable"])
def test_the_data_is_a_folder_a_file_or_in_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    folder = write_math500(tmp_path / "math500")
    (folder / "SOURCE.txt").write_text("made up")
    data = {"folder": str(folder), "file": str(folder / "test.jsonl"), "variable": None}[form]
    monkeypatch.setenv("BAKEOFF_MATH500", str(folder))

    assert make("bakeoff/MATH500-v0", data=data).size("eval") == 10


ROW = '{"problem": "1 + 1?", "answer": "2"}'


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "should hold one .json or .jsonl file, and holds none"),
        (
            {"a.json": "[]", "b.jsonl": ""},
            "and holds a.json, b.jsonl; name the file itself as data",
        ),
        ({"a.json": ""}, "a.json is empty"),
        ({"a.json": "[]"}, "a.json is empty"),
        ({"a.jsonl": "\n"}, "a.jsonl is empty"),
        ({"a.json": "[{"}, "a.json: not JSON"),
        ({"a.json": "[" * 100_000}, "a.json: not JSON"),
        ({"a.json": ROW}, "a.json: not a JSON list of rows"),
        ({"a.json": f"[{ROW}, 2]"}, "a.json, row 2: not a JSON object"),
        ({"a.jsonl": f"{ROW}\n[{ROW}]"}, "a.jsonl, line 2: not a JSON object"),
        ({"a.jsonl": f"{ROW}\n" + ROW.replace('"2"', "1e999")}, "datasets cannot read it"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], files: dict, message: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=message) as error:
        make("bakeoff/MATH-v0", data=str(tmp_path))

    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere/at/all", "no such folder: nowhere/at/all"),
        ("no/rows.json", "no such file: no/rows"),
    ],
)
def test_data_that_does_not_exist_is_named(data: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make("bakeoff/MATH-v0", data=data)


@pytest.mark.parametrize(
    ("env_id", "name", "hub_id", "variable"),
    [
        ("bakeoff/MATH-v0", "MATH", "DigitalLearningGmbH/MATH-lighteval", "BAKEOFF_MATH"),
        ("bakeoff/MATH500-v0", "MATH-500", "HuggingFaceH4/MATH-500", "BAKEOFF_MATH500"),
    ],
)
def test_without_the_hub_the_error_says_how_to_go_on(
    tmp_path: Path, env_id: str, name: str, hub_id: str, variable: str
) -> None:
    code = f"from bakeoff.envs import make; make('{env_id}')"
    environ = {k: v for k, v in os.environ.items() if k != variable}
    environ |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)

    last = done.stderr.strip().splitlines()[-1]
    assert f"UsageError: cannot read {name} from '{hub_id}'" in last
    assert last.endswith(f"as data, or in {variable}")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real MATH files are not beside the repository")
def test_every_gold_reply_of_the_real_data_is_correct() -> None:
    math, math500 = (
        make("bakeoff/MATH-v0", data=str(REAL / "math_train")),
        make("bakeoff/MATH500-v0", data=str(REAL / "math500")),
    )
    assert isinstance(math, Competition) and isinstance(math500, Competition)

    # 7,474 problems, two of them with no answer and two with an empty one
    assert [place.rpartition(" ")[2] for place, _ in math.left_out] == [
        "887",
        "1010",
        "5329",
        "5331",
    ]
    assert math.size("train") + math.size("eval") == 7470
    assert (math500.left_out, math500.size("eval")) == ([], 500)
    for env in (math, math500):
        for split in ("train", "eval"):
            items = [env.item(index, split) for index in range(env.size(split))]
            assert [i.id for i in items if env.score(i, i.gold).value != 1.0] == []


@pytest.mark.skipif(not REAL.is_dir(), reason="the real MATH files are not beside the repository")
def test_no_problem_of_math500_is_in_math() -> None:
    math, math500 = (
        make("bakeoff/MATH-v0", data=str(REAL / "math_train")),
        make("bakeoff/MATH500-v0", data=str(REAL / "math500")),
    )
    assert isinstance(math, Competition) and isinstance(math500, Competition)
    training = {" ".join(q.split()) for s in ("train", "eval") for q in questions(math, s)}

    assert not training & {" ".join(q.split()) for q in questions(math500, "eval")}
