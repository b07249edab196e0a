"""A tuning that cannot be, or whose items the comparison asks too, is told of before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakeoff.comparisons.cli import main
from bakeoff.comparisons.running.grid import plan
from bakeoff.comparisons.tuning.space import space_of
from bakeoff.comparisons.tuning.tuning import planned


def test_items_that_are_asked_under_two_indices_are_counted_and_told(tmp_path: Path) -> None:
    environment = "bakeoff/Arithmetic-v0:level=1"  # 14 questions are all that it has for eval
    base = plan(environments=[environment], seeds=[10_000], out=tmp_path)
    space = space_of({"learning_rate": [1e-3]}, base.algorithms, by_updates=True)

    assert planned(base, space, 2).asked_in_both == {environment: 128}


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--trials", "1"], "trials must be from 2"),
        (["--trials", "few"], "'few'"),
        (["--seeds", "0,1"], "--seeds must be a whole number"),
        (["--space", "nowhere.yaml"], "nowhere.yaml"),
        (["--model", "tiny", "--model", "smollm2"], "--space"),
        (["--lora-rank", "4"], "--space"),
        (["--budget", "memory=6GiB"], "budget memory"),
        (["--budget", "train_s=9", "--max-parallel", "2"], "max_parallel must be 1"),
    ],
)
def test_a_mistake_in_a_tuning_is_named_and_nothing_is_written(
    argv: list[str],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["tune", "--algorithms", "grpo", *argv]) == 2

    assert named in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
