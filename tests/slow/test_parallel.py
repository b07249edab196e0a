"""Cells that share the machine learn what they learn alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from without_clocks import CLOCKS, rows, words

pytestmark = pytest.mark.slow

COMMAND = words("""
    --algorithms grpo,ppo --seeds 2 --updates 3 --prompts-per-update 2 --group-size 4
    --eval-items 4 --eval-every 1 --threads 1 --no-control --no-audit
""")


def compare(out: Path, parallel: int) -> None:
    command = [sys.executable, "-m", "bakeoff", "compare", *COMMAND, "--quiet"]
    run = [*command, "--max-parallel", str(parallel), "--out", str(out)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_two_at_a_time_make_the_tables_of_one_at_a_time_but_for_the_times(tmp_path: Path) -> None:
    alone, beside = tmp_path / "alone" / "grid", tmp_path / "beside" / "grid"

    compare(alone, 1)
    compare(beside, 2)

    for name in CLOCKS:
        if name != "runs.csv":
            assert rows(beside, name) == rows(alone, name), name
    runs = [{**run, "parallel": "1"} for run in rows(beside, "runs.csv")]
    assert runs == rows(alone, "runs.csv")
    assert {run["parallel"] for run in rows(beside, "runs.csv")} == {"2"}
