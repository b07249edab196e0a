"""The planted bugs are where their table says, and planting one in a copy is noticed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def mutants(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield importlib.import_module("mutants")
    sys.modules.pop("mutants", None)


def test_every_planted_bug_has_a_place_and_is_python(mutants: Any) -> None:
    for bug in mutants.bugs():
        text = (ROOT / bug.file).read_text()

        assert mutants.planted(bug, text) != text


def test_no_bug_is_planted_twice(mutants: Any) -> None:
    bugs = mutants.bugs()

    assert len({(bug.file, bug.bug) for bug in bugs}) == len(bugs) >= 40
    assert len({(bug.file, bug.old, bug.new) for bug in bugs}) == len(bugs)


def test_a_bug_whose_text_is_gone_is_an_error(mutants: Any) -> None:
    bug = mutants.Bug("algorithms/kl.py", "gone", "no such text", "")

    with pytest.raises(ValueError, match=r"kl\.py, gone: its text is there 0 times"):
        mutants.planted(bug, "return delta_BT\n")


@pytest.mark.slow
def test_a_bug_in_a_copy_is_noticed_there_and_the_repository_stays_as_it_is(
    mutants: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutants, "TESTS", ("tests/unit/test_advantages.py",))
    (bug,) = [bug for bug in mutants.bugs() if bug.bug == "whitening with ddof 0"]
    before = (ROOT / bug.file).read_text()

    (row,) = mutants.hunt([bug], tmp_path)

    assert row["outcome"] == mutants.KILLED
    assert str(row["by"]).startswith("test_advantages.py::")
    assert (ROOT / bug.file).read_text() == before == (tmp_path / bug.file).read_text()
