"""Results folders that cannot be what is asked of them: one line, and nothing in them lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from complaints import complaint

from bakeoff.comparisons.schema import SCHEMA_VERSION


def recorded(folder: Path, **changes: object) -> Path:
    """Make a results folder's experiment.json, with changes, and return the folder."""
    from bakeoff.comparisons.running.folder import record
    from bakeoff.comparisons.running.grid import plan

    folder.mkdir()
    record(plan(algorithms=["grpo"], seeds=1, out=folder, updates=3))
    path = folder / "experiment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def test_other_settings_for_the_same_folder_are_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = recorded(tmp_path / "out")
    before = (out / "experiment.json").read_bytes()

    line = complaint(capsys, ["compare", "--out", str(out), "--updates", "5"])

    assert "updates=3, not updates=5" in line
    assert "--out" in line
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {"experiment.json": before}


def test_other_settings_of_one_algorithm_for_the_same_folder_are_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = recorded(tmp_path / "out", own={"grpo": {"clip": 0.1}})
    argv = ["compare", "--updates", "3", "--seeds", "1", "--out", str(out)]

    line = complaint(capsys, [*argv, "--algorithms", "grpo"])

    assert "was made with clip=0.1 for grpo alone, not nothing" in line


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('{"schema_version": 1, "na', "experiment.json is broken"),
        ("[]", "not a JSON object"),
        ("[" * 100_000, "experiment.json is broken"),
        ("{}", "schema_version"),
        (f'{{"schema_version": {SCHEMA_VERSION}, "name": "x"}}', "no 'config'"),
        ('{"schema_version": 99, "name": "x"}', "schema_version 99"),
    ],
)
def test_a_half_written_results_folder_is_named_and_left_alone(
    content: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (out / "cells").mkdir(parents=True)
    (out / "experiment.json").write_text(content)

    line = complaint(capsys, ["compare", "--out", str(out)])

    assert named in line
    assert (out / "experiment.json").read_text() == content


def test_a_cell_whose_status_is_torn_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bakeoff.comparisons.running.folder import place
    from bakeoff.comparisons.running.grid import cells, plan

    out = recorded(tmp_path / "out")
    (cell,) = cells(plan(algorithms=["grpo"], seeds=1, out=out, updates=3))
    place(out, cell).mkdir(parents=True)
    (place(out, cell) / "status.json").write_text('{"status": "o')

    argv = ["compare", "--algorithms", "grpo", "--seeds", "1", "--updates", "3", "--out", str(out)]
    line = complaint(capsys, argv)

    assert f"{cell.cell_id}/status.json is broken" in line


def test_a_folder_of_something_else_and_a_file_are_no_results_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("precious")

    assert "not a results folder" in complaint(capsys, ["compare", "--out", str(tmp_path)])
    line = complaint(capsys, ["compare", "--out", str(tmp_path / "thesis.tex")])
    assert "is a file" in line
    line = complaint(capsys, ["compare", "--out", str(tmp_path / "thesis.tex" / "out")])
    assert "thesis.tex is a file" in line
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
