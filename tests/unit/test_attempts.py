"""Cells and their attempts: what is due, what an attempt finds, what is never deleted."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from bakeoff.comparisons.running.attempts import pending, prepare
from bakeoff.comparisons.running.driver import run
from bakeoff.comparisons.running.folder import place, read_json, record, settle, write_json
from bakeoff.comparisons.running.grid import CellSpec, cells, plan
from bakeoff.errors import UsageError


@pytest.fixture
def cell() -> CellSpec:
    (one,) = cells(plan(algorithms=["grpo"], seeds=1))
    return one


def ran(out: Path, cell: CellSpec, **status: Any) -> Path:
    """Leave a cell behind that ran, with a log, a table and a checkpoint; return its folder."""
    prepare(out, cell)
    folder = place(out, cell)
    (folder / "log.txt").write_text("words\n")
    (folder / "curves.csv").write_text("rows\n")
    (folder / "checkpoint").mkdir()
    if status:
        write_json(folder / "status.json", status)
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_only_failed_runs_what_failed_and_neither_the_waiting_nor_the_interrupted(
    tmp_path: Path,
) -> None:
    grid = cells(plan(algorithms=["grpo"], seeds=6))
    ends = ("ok", "oom", "timeout", "diverged", "error", "interrupted")
    for cell, status in zip(grid[:-1], ends, strict=False):
        ran(tmp_path, cell, status=status)

    # five of six have been started: seed 5 has not, and none was interrupted
    assert [cell.seed for cell in pending(tmp_path, grid, only="failed")] == [1, 2, 3, 4]
    assert [cell.seed for cell in pending(tmp_path, grid)] == [5]
    ran(tmp_path, grid[4], status="interrupted")
    assert [cell.seed for cell in pending(tmp_path, grid, only="failed")] == [1, 2, 3]
    assert [cell.seed for cell in pending(tmp_path, grid)] == [4, 5]


def test_an_unknown_restriction_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown --only 'fialed'; did you mean 'failed'"):
        run(plan(algorithms=["grpo"], seeds=1, out=tmp_path), only="fialed")


@pytest.mark.parametrize("status", ["diverged", "error"])
def test_a_failed_attempt_leaves_its_log_to_the_next_and_nothing_else(
    status: str, tmp_path: Path, cell: CellSpec
) -> None:
    folder = ran(tmp_path, cell, status=status, exit_code=1)

    assert prepare(tmp_path, cell).attempt == 2
    assert names(folder) == {"log.txt", "spec.json"}
    assert (folder / "log.txt").read_text() == "words\n--- attempt 2 ---\n"


@pytest.mark.parametrize(
    "status",
    [
        {"status": "interrupted"},
        {"status": "timeout"},
        {"status": "oom"},
        {"status": "error", "exit_code": -signal.SIGKILL},
        {},  # the driver was killed, too
    ],
)
def test_an_attempt_that_was_cut_off_leaves_its_checkpoint_and_its_tables(
    status: dict[str, Any], tmp_path: Path, cell: CellSpec
) -> None:
    folder = ran(tmp_path, cell, **status)

    assert prepare(tmp_path, cell).attempt == 2
    assert names(folder) == {"log.txt", "spec.json", "curves.csv", "checkpoint"}


def test_a_cell_with_a_torn_spec_is_set_aside_whole_and_runs_anew(
    tmp_path: Path, cell: CellSpec
) -> None:
    folder = ran(tmp_path, cell, status="ok")
    (folder / "spec.json").write_text('{"cell_id": "gr')

    assert pending(tmp_path, [cell]) == [cell]
    assert prepare(tmp_path, cell).attempt == 1
    assert names(folder) == {"spec.json"}
    aside = tmp_path / "set_aside" / cell.cell_id
    assert names(aside) == {"log.txt", "spec.json", "curves.csv", "checkpoint", "status.json"}


def test_what_is_set_aside_twice_is_kept_twice(tmp_path: Path, cell: CellSpec) -> None:
    for _ in range(2):
        (ran(tmp_path, cell, status="ok") / "spec.json").unlink()
        prepare(tmp_path, cell)

    assert names(tmp_path / "set_aside") == {cell.cell_id, f"{cell.cell_id}.2"}


def test_a_driver_killed_before_it_wrote_the_spec_leaves_nothing_to_set_aside(
    tmp_path: Path, cell: CellSpec
) -> None:
    place(tmp_path, cell).mkdir(parents=True)
    (place(tmp_path, cell) / ".spec.json.part").write_text("{")

    prepare(tmp_path, cell)

    assert not (tmp_path / "set_aside").exists()
    assert (read_json(place(tmp_path, cell) / "spec.json") or {})["attempt"] == 1


def test_a_cell_whose_folder_was_deleted_by_hand_is_due_again(
    tmp_path: Path, cell: CellSpec
) -> None:
    folder = ran(tmp_path, cell, status="ok")
    assert pending(tmp_path, [cell]) == []
    shutil.rmtree(folder)

    assert pending(tmp_path, [cell]) == [cell]


def test_a_folder_that_was_moved_goes_on_as_what_it_was(tmp_path: Path) -> None:
    first, second = tmp_path / "here" / "grid", tmp_path / "there" / "copy"
    asked = plan(algorithms=["grpo"], seeds=2, out=first)
    first.mkdir(parents=True)
    record(asked)
    before = cells(asked)
    ran(first, before[0], status="ok")
    ran(first, before[1], status="interrupted")

    second.parent.mkdir()
    shutil.move(first, second)

    after = cells(settle(plan(algorithms=["grpo"], seeds=2, out=second)))
    assert [cell.run_id for cell in after] == [cell.run_id for cell in before]
    assert pending(second, after) == [after[1]]
    assert prepare(second, after[1]).attempt == 2
    files = [path for path in second.rglob("*") if path.is_file()]
    assert [path for path in files if str(tmp_path) in path.read_text()] == []
