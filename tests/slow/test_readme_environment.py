"""The README's own environment is checked and trained on with the commands that it gives."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from test_readme import own_environment

pytestmark = pytest.mark.slow


def bakeoff(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "bakeoff", *arguments]
    subprocess.run(command, cwd=folder, check=True, timeout=600)


def test_it_passes_its_check_and_all_three_algorithms_train_on_it(tmp_path: Path) -> None:
    (tmp_path / "add.py").write_text(own_environment())

    bakeoff(tmp_path, "envs", "check", "add.py:me/Add-v0")
    bakeoff(
        tmp_path, "compare", "--env", "add.py:me/Add-v0:digits=1",
        "--algorithms", "grpo,ppo,reinforce", "--seeds", "1", "--updates", "3", "--out", "results",
    )  # fmt: skip

    with (tmp_path / "results" / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["algorithm"]: row["status"] for row in rows} == dict.fromkeys(
        ("grpo", "ppo", "reinforce"), "ok"
    )
