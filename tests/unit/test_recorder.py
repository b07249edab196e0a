"""What a resumed cell keeps of the rows that an earlier attempt left."""

import json
from pathlib import Path

from small_world import small_training

from bakeoff.comparisons.cell.recorder import Recorder
from bakeoff.comparisons.schema import RAW_TABLES
from bakeoff.comparisons.tables import read_rows

SPEC = {"run_id": "x/y", "algorithm": "grpo", "environment": "test/Successor-v0", "seed": 0}


def recorded(folder: Path) -> None:
    recorder = Recorder(folder, SPEC, 3, started=0.0)
    for report in small_training(updates=3, eval_every=1).run():
        recorder.write(report, 1000)


def updates(folder: Path) -> dict[str, set[int]]:
    names = [name for name in RAW_TABLES if name != "memory.csv"]
    tables = {name: read_rows(folder / name, RAW_TABLES[name]) for name in names}
    found = {name: {int(row["update"]) for row in rows} for name, rows in tables.items()}
    lines = (folder / "samples.jsonl").read_text().splitlines()
    return {**found, "samples.jsonl": {json.loads(line)["update"] for line in lines}}


def test_rows_after_the_checkpoint_are_dropped_and_no_others(tmp_path: Path) -> None:
    recorded(tmp_path)
    before = updates(tmp_path)
    with (tmp_path / "curves.csv").open("a") as file:
        file.write("x/y,grpo,torn")
    recorder = Recorder(tmp_path, SPEC, 3, started=0.0)

    recorder.keep_until(2)

    assert before["curves.csv"] == {0, 1, 2, 3}
    assert updates(tmp_path) == {name: found - {3} for name, found in before.items()}


def test_without_a_checkpoint_nothing_is_kept(tmp_path: Path) -> None:
    recorded(tmp_path)

    Recorder(tmp_path, SPEC, 3, started=0.0).keep_until(None)

    assert not any((tmp_path / name).exists() for name in RAW_TABLES)
    assert (tmp_path / "samples.jsonl").read_text() == ""


def test_totals_of_a_finished_run_are_taken_up_again(tmp_path: Path) -> None:
    """A kill after the last checkpoint leaves nothing to train, and the row is complete."""
    recorder = Recorder(tmp_path, SPEC, 3, started=0.0)
    for report in small_training(updates=3, eval_every=1).run():
        recorder.write(report, 1000)
    again = Recorder(tmp_path, SPEC, 3, started=0.0)

    again.keep_until(3)

    for name in ("reward_initial", "reward_final", "reward_best", "eval_score", "eval_items"):
        assert again.totals[name] == recorder.totals[name]
