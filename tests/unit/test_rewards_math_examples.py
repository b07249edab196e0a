r"""The checker against adjudicated examples, and the right answers of the data sets.

`tests/cases/math_answers.jsonl` holds this project's own examples: a right answer, a reply, whether
they are equal, and why. Other examples and the data sets are used where they lie beside the
repository.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakeoff.rewards.math import check, compile_gold
from bakeoff.rewards.math.answers import read
from bakeoff.rewards.math.comparing import compared

ROOT = Path(__file__).resolve().parents[2]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


OWN = rows(ROOT / "tests/cases/math_answers.jsonl")
OTHER = ROOT.parent / "shared/corpora/math_equivalence.jsonl"
DATA = ROOT.parent / "shared/data"
beside = pytest.mark.skipif(not DATA.is_dir(), reason="the data sets are not beside the repository")


@pytest.mark.parametrize("category", sorted({case["category"] for case in OWN}))
def test_the_own_examples_have_their_verdicts(category: str) -> None:
    cases = [case for case in OWN if case["category"] == category]
    wrong = [case for case in cases if check(case["gold"], case["reply"]).correct != case["equal"]]

    assert wrong == []


def test_the_own_examples_are_of_both_kinds() -> None:
    # a checker that always says no, or yes, fails in about half of them
    assert 0.3 < sum(case["equal"] for case in OWN) / len(OWN) < 0.7


@pytest.mark.skipif(not OTHER.is_file(), reason="the examples are not beside the repository")
def test_other_examples_have_their_verdicts_in_time_and_run_nothing(tmp_path: Path) -> None:
    canary = str(tmp_path / "canary")
    for row in rows(OTHER):
        case = {
            key: value.replace("@CANARY@", canary) if isinstance(value, str) else value
            for key, value in row.items()
        }
        start = time.perf_counter()
        verdict = check(case["gold"], case["prediction"])

        if not case.get("ambiguous"):
            assert verdict.correct is case["equivalent"], (case["gold"], case["prediction"][:200])
        assert time.perf_counter() - start < case.get("must_finish_s", 2.0)
        assert list(tmp_path.iterdir()) == []


def golds(name: str) -> Iterator[tuple[str, str | None]]:
    """Yield the places and the right answers of a data set."""
    if name == "gsm8k":
        for file in ("train", "test"):
            for number, row in enumerate(rows(DATA / f"gsm8k/{file}.jsonl"), 1):
                yield f"{file} {number}", row["answer"].rpartition("####")[2].strip()
        return
    file_name = {"math_train": "train_math.json", "math500": "math500_test.json"}[name]
    for number, row in enumerate(json.loads((DATA / name / file_name).read_text()), 1):
        yield str(number), row["answer"]


UNREADABLE = {"gsm8k": set(), "math500": set(), "math_train": {"887", "1010", "5329", "5331"}}


@beside
@pytest.mark.parametrize("name", UNREADABLE)
def test_every_gold_compiles_and_equals_itself_by_value_and_not_as_written_alone(name: str) -> None:
    unreadable, unequal = set(), []
    for place, answer in golds(name):
        try:
            gold = compile_gold(answer or "")
        except ValueError:  # two answers of MATH are missing, and two are empty
            unreadable.add(place)
            continue
        replies = [rf"So \boxed{{ {answer} }}.", f"The answer is ${answer}$."]
        by_value = compared(gold.answer, read(f"{answer} ")).equal
        if not by_value or not all(check(gold, reply).correct for reply in replies):
            unequal.append((place, answer))

    assert unreadable == UNREADABLE[name]
    assert unequal == []


@beside
@pytest.mark.parametrize("name", UNREADABLE)
def test_neighbouring_golds_differ_unless_they_are_equal(name: str) -> None:
    # the pairs found equal differ in a unit left out, a degree sign, or the name of the variable
    allowed = {("8", "K=8"), ("120", r"120^\circ"), ("5", "x=5")}
    allowed |= {(r"21\text{ dogs}", "21"), (r"18 \text{ degrees}", "18")}
    answers = [answer for _, answer in golds(name) if answer]
    equal = {
        (one, other)
        for one, other in itertools.pairwise(answers)
        if one != other and check(one, rf"\boxed{{{other}}}").correct is not False
    }

    assert {pair for pair in equal if not _same_number(*pair)} <= allowed


def _same_number(one: str, other: str) -> bool:
    return one.replace(",", "") == other.replace(",", "")
