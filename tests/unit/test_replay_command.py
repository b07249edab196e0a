"""The command ``bakeoff replay``: what it writes, what it reads again, and its mistakes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from bakeoff.algorithms import make
from bakeoff.comparisons import cli

COMMAND = ["replay", "--prompts", "2", "--group-size", "2", "--replicates", "2"]
COMMAND += ["--critic-updates", "1", "--algorithms", "rloo,sft", "--max-new-tokens", "4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command wrote with the tiny model."""
    out = tmp_path_factory.mktemp("replay")
    assert cli.main([*COMMAND, "--out", str(out)]) == 0
    return out


def test_the_command_writes_tables_figures_and_a_report(folder: Path) -> None:
    tables_written = {"replay.csv", "cosines.csv", "advantages.csv", "semantics.json"}
    figures_written = {"cosines.png", "snr.png", "advantages.png", "report.md"}

    assert tables_written | figures_written <= {path.name for path in folder.iterdir()}


def test_the_table_has_a_row_for_each_algorithm(folder: Path) -> None:
    with (folder / "replay.csv").open() as file:
        rows = list(csv.DictReader(file))

    assert [row["algorithm"] for row in rows] == ["rloo", "sft"]
    assert rows[1]["generated_tokens"] == "0.0"


def test_semantics_are_those_of_the_algorithms(folder: Path) -> None:
    written = json.loads((folder / "semantics.json").read_text())

    assert written["rloo"] == dict(make("rloo").semantics)


def test_the_same_command_uses_the_recording_that_is_there(folder: Path) -> None:
    before = (folder / "recording" / "rollouts.safetensors").stat().st_mtime_ns

    assert cli.main([*COMMAND, "--out", str(folder)]) == 0

    assert (folder / "recording" / "rollouts.safetensors").stat().st_mtime_ns == before


def test_an_earlier_recording_is_replayed_with_other_algorithms(
    folder: Path, tmp_path: Path
) -> None:
    command = ["replay", "--from", str(folder), "--algorithms", "ppo,remax"]

    assert cli.main([*command, "--out", str(tmp_path / "other")]) == 0

    with (tmp_path / "other" / "replay.csv").open() as file:
        assert [row["algorithm"] for row in csv.DictReader(file)] == ["ppo", "remax"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs --out, or --from"),
        (["--out", "x", "--algorithms", "grop"], "did you mean 'grpo'?"),
        (["--out", "x", "--algorithms", "grpo,grpo"], "names grpo twice"),
        (["--out", "x", "--prompts", "0"], "--prompts must be a whole number of at least 1"),
        (["--out", "x", "--prompts", "1", "--replicates", "1"], "one item has no halves"),
        (["--out", "x", "--learning-rate", "nan"], "--learning-rate must be a number"),
        (["--out", "x", "--device", "gpu"], "unknown device 'gpu'"),
        (["--from", "nowhere"], "no whole recording"),
        (["--from", "nowhere", "--env", "bakeoff/Countdown-v0"], "--env is settled by"),
        (["--out", "x", "--replicate", "3"], "did you mean --replicates?"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    assert cli.main(["replay", *arguments]) == cli.USAGE

    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_folder_keeps_the_recording_of_its_settings(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*COMMAND, "--seed", "1", "--out", str(folder)]) == cli.USAGE

    assert "was recorded with seed=0, not seed=1" in capsys.readouterr().err


def test_a_group_that_is_too_small_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # recorded and then refused: the recording serves what needs no group
    command = ["replay", "--prompts", "1", "--group-size", "1", "--replicates", "2"]
    command += ["--critic-updates", "0", "--max-new-tokens", "2", "--out", str(tmp_path / "one")]

    assert cli.main([*command, "--algorithms", "grpo"]) == cli.USAGE

    assert "grpo needs a group_size of at least 2" in capsys.readouterr().err
