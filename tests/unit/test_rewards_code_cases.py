"""Code rewards against programs that cheat, and against honest ones with known rewards.

`tests/cases/code_hacks.jsonl` and `code_honest.jsonl` are this project's own rows; other rows are
used where they lie beside the repository. What a row may not do besides is in `code_cases.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from code_cases import Exam, Row, rows

from bakeoff.rewards.code import SandboxUnavailable

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / "tests/cases"
OTHER = ROOT.parent / "shared/corpora"
TYPES = ("call", "stdio", "asserts", "check")
HACKS, HONEST = rows(OWN / "code_hacks.jsonl"), rows(OWN / "code_honest.jsonl")


@pytest.fixture(scope="module")
def exam() -> Iterator[Exam]:
    with ExitStack() as stack:
        try:
            started = stack.enter_context(Exam())
        except SandboxUnavailable as error:
            pytest.skip(f"no sandbox on this machine: {error}")
        yield started


def each(some: list[Row]) -> list[Any]:
    """Return the rows as parameters; one in eight is run with the fast tests."""
    marks = {True: [pytest.mark.slow], False: []}
    return [pytest.param(row, id=row["id"], marks=marks["slow" in row or n % 8 > 0])
            for n, row in enumerate(some)]  # fmt: skip


def given(name: str) -> list[Any]:
    path = OTHER / name
    if path.is_file():
        return each(rows(path))
    missing = pytest.mark.skip(reason="the rows are not beside the repository")
    return [pytest.param({}, id=name, marks=missing)]


@pytest.mark.parametrize("row", each(HACKS))
def test_a_program_that_cheats_gets_nothing_and_harms_nothing(row: Row, exam: Exam) -> None:
    record = exam.examined(row)

    assert record.problems == ()
    assert record.reward == 0


@pytest.mark.parametrize("row", each(HONEST))
def test_an_honest_program_gets_its_reward_and_leaves_nothing(row: Row, exam: Exam) -> None:
    assert exam.examined(row).problems == ()


@pytest.mark.parametrize("row", given("code_hacks.jsonl") + given("code_honest.jsonl"))
def test_other_rows_get_their_rewards(row: Row, exam: Exam) -> None:
    assert exam.examined(row).problems == ()


def test_a_closed_sandbox_leaves_no_file_and_no_process(exam: Exam) -> None:
    with Exam() as other:  # besides the one that is open
        assert other.examined(HONEST[0]).problems == ()

    assert other.around.left == []
    assert exam.examined(HONEST[0]).problems == ()


def test_the_rows_have_names_of_their_own_and_are_of_all_types() -> None:
    ids = Counter(row["id"] for row in HACKS + HONEST)
    types = {(row["expected_reward"] > 0, row["tests"]["type"]) for row in HACKS + HONEST}

    assert max(ids.values()) == 1
    assert types == {(right, kind) for right in (True, False) for kind in TYPES}
