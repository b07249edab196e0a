"""A whole tuning of real runs, stopped and gone on with, and the comparison that uses it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # a dozen processes

SMALL = ["--updates", "1", "--prompts-per-update", "2", "--group-size", "2", "--eval-items", "4"]


def bakeoff(command: str, *arguments: str) -> list[str]:
    flags = ["--algorithms", "grpo,ppo", *arguments, *SMALL]
    return [sys.executable, "-m", "bakeoff", command, *flags]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tuning of two trials that was killed, driver and cell, when the second had begun."""
    folder = tmp_path_factory.mktemp("tuning")
    (folder / "space.yaml").write_text("learning_rate: [1e-3]\nppo: {lam: [0.9]}\n")
    space = ["--space", str(folder / "space.yaml"), "--trials", "2", "--seeds", "1"]
    argv = bakeoff("tune", *space, "--out", str(folder / "t"))
    first = subprocess.Popen(argv, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 300
    while not (specs := list(folder.glob("t/trials/01/cells/*/spec.json"))):
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert specs
    time.sleep(1)  # the cell has a session of its own, and ends by itself or goes on alone
    while subprocess.run(argv, capture_output=True, text=True, check=False).returncode == 2:
        assert time.monotonic() < deadline  # the orphan holds the folder's lock until it has ended
        time.sleep(1)
    return folder / "t"


def test_a_killed_tuning_goes_on_and_ends_with_every_trial(tuned: Path) -> None:
    found = rows(tuned / "tuning.csv")

    assert [(row["trial"], row["tried_as"], row["status"]) for row in found] == [
        ("0", "grpo", "ok"),
        ("0", "ppo", "ok"),
        ("1", "grpo", "ok"),
        ("1", "ppo:lam=0.9", "ok"),
    ]
    assert set(json.loads((tuned / "tuned.json").read_text())["tuned"]) == {"grpo", "ppo"}


def test_trials_are_judged_on_items_that_the_comparison_does_not_ask(tuned: Path) -> None:
    out = tuned.parent / "compared"
    argv = bakeoff(
        "compare", "--tuned", str(tuned), "--seeds", "1", "--no-audit", "--out", str(out)
    )
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    def items(*tables: Path) -> set[str]:
        return {row["item_id"].rpartition("/")[2] for path in tables for row in rows(path)}

    assert items(*tuned.glob("trials/*/evals.csv")) == {"4", "5", "6", "7"}
    assert items(out / "evals.csv") == {"0", "1", "2", "3"}
    assert {row["tuning_trials"] for row in rows(out / "runs.csv")} == {"2"}
