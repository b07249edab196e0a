"""The whole thing: real processes, the shipped model, the shipped environment."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bakeoff.comparisons import compare, load
from bakeoff.comparisons.report.check import findings

FAILING = Path(__file__).with_name("failing.py")
SMALL = {
    "updates": 2,
    "prompts_per_update": 2,
    "group_size": 2,
    "eval_items": 4,
    "threads": 1,
}


def command(*arguments: str, out: Path) -> subprocess.CompletedProcess[str]:
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in SMALL.items()]
    line = [sys.executable, "-m", "bakeoff", "compare", "--no-audit", *flags, "--out", str(out)]
    line += arguments
    return subprocess.run(line, capture_output=True, text=True, check=False)


def rows(out: Path, table: str) -> list[dict[str, str]]:
    with (out / table).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def failed_grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("grid") / "results"
    names = ["nan_loss", "killed", "hungry", "broken"]
    algorithms = ",".join([*(f"{FAILING}:{name}" for name in names), "grpo"])
    run = command("--algorithms", algorithms, "--seeds", "1", "--memory-limit", "1200MiB", out=out)
    assert run.returncode == 0, run.stdout + run.stderr
    return out


@pytest.mark.parametrize(
    ("name", "status", "what"),
    [
        ("nan_loss", "diverged", "the policy loss is nan"),
        ("killed", "error", "SIGKILL"),
        ("hungry", "oom", "1200"),
        ("broken", "error", "no such reward"),
    ],
)
def test_a_cell_that_fails_leaves_a_row_with_the_right_status(
    failed_grid: Path, name: str, status: str, what: str
) -> None:
    (row,) = [r for r in rows(failed_grid, "runs.csv") if r["algorithm"].endswith(f":{name}")]

    assert row["status"] == status
    assert what in row["error_message"]


def test_the_rest_of_the_grid_finishes(failed_grid: Path) -> None:
    (row,) = [r for r in rows(failed_grid, "runs.csv") if r["algorithm"] == "grpo"]

    assert row["status"] == "ok"
    assert row["updates"] == "2"


def test_a_grid_in_which_cells_failed_passes_the_check(failed_grid: Path) -> None:
    assert findings(failed_grid) == []


def test_failed_runs_are_counted_in_the_summary(failed_grid: Path) -> None:
    summary = rows(failed_grid, "summary.csv")

    failed = {r["algorithm"].rpartition(":")[2]: r["n_failed"] for r in summary}
    assert failed == {"nan_loss": "1", "killed": "1", "hungry": "1", "broken": "1", "grpo": "0"}


def test_a_comparison_from_python_has_every_table_and_adds_up(tmp_path: Path) -> None:
    knobs = {**SMALL, "audit": False}
    result = compare(algorithms=("grpo", "ppo"), seeds=1, out=tmp_path / "r", quiet=True, **knobs)

    assert set(result.runs["status"]) == {"ok"}
    for run_id, memory in result.memory.groupby("run_id"):
        phases = result.phases[result.phases["run_id"] == run_id]
        assert memory["bytes_at_peak"].sum() == phases["peak_bytes"].max()
    wall = result.phases.groupby(["run_id", "update"])["wall_s"].sum()
    assert (wall > 0).all()
    critic = result.memory.set_index(["run_id", "component"])["bytes_max"].unstack()
    ppo = critic.index.str.contains("ppo")
    assert (critic.loc[ppo, "critic_weights"] > 0).all()
    assert (critic.loc[~ppo, "critic_weights"] == 0).all()
    assert load(tmp_path / "r").summary.equals(result.summary)
    assert findings(tmp_path / "r") == []
    assert (tmp_path / "r" / "rewards.png").stat().st_size > 0


def test_algorithms_of_a_seed_start_alike_and_are_evaluated_on_the_same_items(
    failed_grid: Path,
) -> None:
    first = [r for r in rows(failed_grid, "evals.csv") if r["update"] == "0"]
    by_run: dict[str, list[tuple[str, str]]] = {}
    for row in first:
        by_run.setdefault(row["run_id"], []).append((row["item_id"], row["score"]))

    assert len(by_run) == 5
    assert len({tuple(scores) for scores in by_run.values()}) == 1


def test_finished_cells_are_not_run_again(failed_grid: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in failed_grid.glob("cells/*/status.json")}
    run = command("--algorithms", "grpo", "--seeds", "1", out=failed_grid)

    assert run.returncode == 0, run.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow  # the same to the bit, in one process: tests/unit/test_training.py
def test_a_cell_killed_in_the_middle_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """The curve of the resumed run has every update once, and its numbers are the whole run's.

    All but the time that rewards took.
    """
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    knobs = ("--algorithms", "ppo", "--seeds", "1", "--checkpoint-every", "1")
    assert command(*knobs, out=whole).returncode == 0
    shutil.copytree(whole, resumed)
    (cell,) = resumed.glob("cells/*")
    died = subprocess.run([sys.executable, "-c", DIE_AFTER_ONE, str(cell)], check=False)
    assert died.returncode == -signal.SIGKILL
    progress = json.loads((cell / "progress.json").read_text())
    progress |= {"elapsed_s": 1000, "cpu_s": 1000, "peak_rss_bytes": 10**12}
    (cell / "progress.json").write_text(json.dumps(progress))

    assert command(*knobs, out=resumed).returncode == 0

    def curve(out: Path) -> list[tuple[str, str, str]]:
        found = [(r["update"], r["metric"], r["value"]) for r in rows(out, "curves.csv")]
        return [row for row in found if not row[1].startswith("reward_seconds/")]

    assert curve(resumed) == curve(whole)
    (row,) = rows(resumed, "runs.csv")
    assert float(row["wall_s"]) > 1000  # of the attempt before, see below
    assert float(row["cpu_s"]) > 1000
    assert row["peak_rss_bytes"] == str(10**12)
    assert row["completion_tokens"] == rows(whole, "runs.csv")[0]["completion_tokens"]


DIE_AFTER_ONE = """
import os, shutil, signal, sys
from pathlib import Path
from bakeoff.comparisons.cell.cell import Cell
from bakeoff.training import loop

folder = Path(sys.argv[1])
for path in folder.iterdir():
    if path.name != "spec.json":
        shutil.rmtree(path) if path.is_dir() else path.unlink()
save = loop.save_checkpoint
def save_and_die(*arguments):
    save(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
loop.save_checkpoint = save_and_die
Cell(folder).run()
"""
