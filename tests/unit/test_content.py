"""What a run's outcome depends on: which changes show in its hash, and what a folder does then."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from results_folder import write_cell

from bakeoff.comparisons.report.fairness import fairness_card
from bakeoff.comparisons.results import load
from bakeoff.comparisons.running.attempts import pending, prepare
from bakeoff.comparisons.running.audits import audits
from bakeoff.comparisons.running.content import changes, tree_sha256, with_content
from bakeoff.comparisons.running.driver import run
from bakeoff.comparisons.running.folder import place, write_json
from bakeoff.comparisons.running.grid import CellSpec, cells, plan
from bakeoff.comparisons.running.stale import due_with_stale
from bakeoff.errors import UsageError


def grid(*algorithms: str, seeds: int = 1, **settings: object) -> list[CellSpec]:
    return with_content(cells(plan(algorithms=algorithms, seeds=seeds, control=False, **settings)))


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """Return the name of an algorithm in a file of the user's."""
    (tmp_path / "mine.py").write_text("def function(): ...\n")
    return f"{tmp_path}/mine.py:function"


def change(name: str) -> None:
    Path(name.partition(":")[0]).write_text("def function(): return 1\n")


def end(out: Path, cell: CellSpec, status: str = "ok", checkpoint: bool = False) -> None:
    """Leave behind what a cell that ran has left."""
    prepare(out, cell)
    folder = place(out, cell)
    (folder / "log.txt").write_text("words\n")
    if checkpoint:
        (folder / "checkpoint").mkdir()
    write_json(folder / "status.json", {"status": status})


def test_the_hash_is_of_the_settings_and_not_of_the_seed() -> None:
    (first, second), (longer,) = grid("grpo", seeds=2), grid("grpo", updates=41)

    assert first.content_sha256 == second.content_sha256
    assert first.content_sha256 != longer.content_sha256
    assert first.code_sha256 == longer.code_sha256


def test_code_of_the_users_own_is_part_of_it_and_only_of_its_own_runs(mine: str) -> None:
    before = grid("grpo", mine)
    change(mine)
    after = grid("grpo", mine)

    assert before[0].content_sha256 == after[0].content_sha256
    assert before[1].content_sha256 != after[1].content_sha256
    assert changes(before[1].content, after[1].content) == ["the algorithm's file"]


def test_a_folder_of_data_is_part_of_it_and_where_it_stands_is_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.jsonl").write_text("{}\n")

    assert tree_sha256(tmp_path / "a") == tree_sha256(tmp_path / "b")
    (tmp_path / "b" / "train.jsonl").write_text("[]\n")
    assert tree_sha256(tmp_path / "a") != tree_sha256(tmp_path / "b")
    (cell,) = grid("grpo", environments=[f"me/E-v0:data={tmp_path / 'a'}"])
    assert cell.content["environment"] == tree_sha256(tmp_path / "a")


def test_hidden_and_compiled_files_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("1\n")
    before = tree_sha256(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "code.pyc").write_text("2\n")
    (tmp_path / ".code.py.swp").write_text("3\n")

    assert tree_sha256(tmp_path) == before


def test_runs_of_other_code_are_refused_in_one_line_that_says_what_to_do(
    tmp_path: Path, mine: str
) -> None:
    out = tmp_path / "out"
    for cell in grid(mine, seeds=2):
        end(out, cell)
    change(mine)
    asked = grid(mine, "grpo", seeds=2)

    with pytest.raises(UsageError) as error:
        due_with_stale(out, asked, pending(out, asked), None)

    words = ["holds 2 runs made with other code (the algorithm's file)", "--stale keep", "rerun"]
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


def test_audits_of_other_code_are_not_left_beside_new_runs_unasked(
    tmp_path: Path, mine: str
) -> None:
    made = plan(algorithms=[mine], seeds=1, out=tmp_path)
    (audit,) = with_content(audits(made))
    folder = tmp_path / "audits" / audit.cell_id
    folder.mkdir(parents=True)
    write_json(folder / "spec.json", dataclasses.asdict(audit))
    write_json(folder / "status.json", {"status": "ok"})
    change(mine)
    asked = grid(mine)  # whose one run is due

    with pytest.raises(UsageError, match="holds 1 audit made with other code"):
        due_with_stale(tmp_path, asked, asked, None)
    assert due_with_stale(tmp_path, asked, asked, "rerun") == (asked, asked)
    assert not folder.exists()


def test_where_nothing_is_due_nothing_is_said(tmp_path: Path, mine: str) -> None:
    (cell,) = grid(mine)
    end(tmp_path, cell)
    change(mine)
    asked = grid(mine)

    assert due_with_stale(tmp_path, asked, pending(tmp_path, asked), None) == (asked, [])


def test_stale_rerun_runs_them_where_nothing_else_is_due(tmp_path: Path, mine: str) -> None:
    (cell,) = grid(mine)
    end(tmp_path, cell)
    change(mine)
    asked = grid(mine)

    assert due_with_stale(tmp_path, asked, pending(tmp_path, asked), "rerun") == (asked, asked)
    assert not place(tmp_path, cell).exists()


def test_stale_keep_runs_what_is_due_and_nothing_else(tmp_path: Path, mine: str) -> None:
    (cell,) = grid(mine)
    end(tmp_path, cell)
    change(mine)
    asked = grid(mine, "grpo")

    _, due = due_with_stale(tmp_path, asked, pending(tmp_path, asked), "keep")

    assert [cell.algorithm for cell in due] == ["grpo"]
    assert (place(tmp_path, cell) / "status.json").exists()


def test_stale_rerun_sets_them_aside_and_runs_them_asked_for_or_not(
    tmp_path: Path, mine: str
) -> None:
    (cell,) = grid(mine)
    end(tmp_path, cell)
    (tmp_path / "audits" / "one").mkdir(parents=True)
    change(mine)
    asked = grid("grpo")

    whole, due = due_with_stale(tmp_path, asked, pending(tmp_path, asked), "rerun")

    assert [cell.algorithm for cell in due] == [cell.algorithm for cell in whole] == ["grpo", mine]
    assert due[1].content == grid(mine)[0].content
    assert not place(tmp_path, cell).exists()
    assert (tmp_path / "set_aside" / cell.cell_id / "log.txt").read_text() == "words\n"
    assert [path.name for path in (tmp_path / "set_aside" / "audits").iterdir()] == ["one"]
    assert not (tmp_path / "audits").exists()  # what they counted was the other code


def test_a_checkpoint_of_other_code_is_not_gone_on_from_unasked(tmp_path: Path, mine: str) -> None:
    (cell,) = grid(mine)
    end(tmp_path, cell, "interrupted", checkpoint=True)
    change(mine)
    asked = grid(mine)
    due = pending(tmp_path, asked)

    with pytest.raises(UsageError, match="1 run made with other code"):
        due_with_stale(tmp_path, asked, due, None)
    # kept, it is a run of both codes: its hash is neither's
    _, (kept,) = due_with_stale(tmp_path, asked, due, "keep")
    spec = dataclasses.asdict(prepare(tmp_path, kept))
    assert spec["content"]["checkpoint"] == cell.content_sha256
    assert spec["content_sha256"] not in (cell.content_sha256, kept.content_sha256)


def test_an_interrupted_run_without_a_checkpoint_starts_anew_whatever_the_code(
    tmp_path: Path, mine: str
) -> None:
    (cell,) = grid(mine)
    end(tmp_path, cell, "interrupted")
    change(mine)
    asked = grid(mine)

    assert due_with_stale(tmp_path, asked, pending(tmp_path, asked), None) == (asked, asked)


def test_an_unknown_choice_is_named_with_the_nearest_before_anything_is_written(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="unknown --stale 'return'; did you mean 'rerun'"):
        run(plan(algorithms=["grpo"], seeds=1, out=out), stale="return")
    assert not out.exists()


def test_the_fairness_card_says_that_runs_were_made_by_different_code(tmp_path: Path) -> None:
    write_cell(tmp_path, "grpo", code_sha256="1f1f")
    write_cell(tmp_path, "ppo", code_sha256="2e2e")

    card = " ".join(fairness_card(load(tmp_path).runs, []))

    assert "code and versions (1f1f, 2e2e)" in card
