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

from bakeoff.comparisons import Comparison, compare, load
from bakeoff.comparisons.cell.cell import Cell
from bakeoff.comparisons.cell.failures import EXIT_CODES
from bakeoff.comparisons.report.check import findings
from bakeoff.comparisons.running.attempts import prepare
from bakeoff.comparisons.running.folder import place
from bakeoff.comparisons.running.grid import cells, plan

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
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A comparison from Python: two runs that end well, and one whose process is killed."""
    out = tmp_path_factory.mktemp("grid") / "results"
    algorithms = (f"{FAILING}:killed", "grpo", "ppo")
    return compare(algorithms=algorithms, seeds=1, out=out, quiet=True, audit=False, **SMALL)


@pytest.fixture(scope="module")
def failed_grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison from the command line in which processes fail in every way there is."""
    out = tmp_path_factory.mktemp("failed") / "results"
    names = ["nan_loss", "killed", "hungry", "broken"]
    algorithms = ",".join([*(f"{FAILING}:{name}" for name in names), "grpo"])
    run = command("--algorithms", algorithms, "--seeds", "1", "--memory-limit", "1200MiB", out=out)
    assert run.returncode == 0, run.stdout + run.stderr
    return out


@pytest.mark.slow  # in one process below; a driver and such processes: test_driver_cells.py
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


@pytest.mark.slow
def test_a_grid_in_which_cells_failed_in_every_way_passes_the_check(failed_grid: Path) -> None:
    assert findings(failed_grid) == []


@pytest.mark.parametrize(
    ("name", "status", "what"),
    [
        ("nan_loss", "diverged", "the policy loss is nan"),
        ("broken", "error", "no such reward"),
    ],
)
def test_a_cell_that_can_still_say_so_writes_down_how_it_failed(
    tmp_path: Path, name: str, status: str, what: str
) -> None:
    (cell,) = cells(plan(algorithms=[f"{FAILING}:{name}"], seeds=1, out=tmp_path, **SMALL))
    prepare(tmp_path, cell)
    folder = place(tmp_path, cell)

    assert Cell(folder).run() == EXIT_CODES[status]

    written = json.loads((folder / "status.json").read_text())
    assert written["status"] == status
    assert what in written["error_message"]


def test_a_cell_that_is_killed_leaves_a_row_that_says_so(comparison: Comparison) -> None:
    (row,) = [r for r in rows(comparison.out, "runs.csv") if r["algorithm"].endswith(":killed")]

    assert row["status"] == "error"
    assert "SIGKILL" in row["error_message"]


def test_the_rest_of_the_grid_finishes(comparison: Comparison) -> None:
    found = [r for r in rows(comparison.out, "runs.csv") if r["algorithm"] in ("grpo", "ppo")]

    assert [(row["status"], row["updates"]) for row in found] == [("ok", "2")] * 2


def test_a_grid_in_which_a_cell_failed_passes_the_check(comparison: Comparison) -> None:
    assert findings(comparison.out) == []


def test_failed_runs_are_counted_in_the_summary(comparison: Comparison) -> None:
    summary = rows(comparison.out, "summary.csv")

    failed = {r["algorithm"].rpartition(":")[2]: r["n_failed"] for r in summary}
    assert failed == {"killed": "1", "grpo": "0", "ppo": "0"}


def test_a_comparison_from_python_has_every_table_and_adds_up(comparison: Comparison) -> None:
    ended = comparison.runs.set_index("run_id")["status"] == "ok"
    of_ended = ended.index[ended]

    assert len(of_ended) == 2
    for run_id in of_ended:
        memory = comparison.memory[comparison.memory["run_id"] == run_id]
        phases = comparison.phases[comparison.phases["run_id"] == run_id]
        assert memory["bytes_at_peak"].sum() == phases["peak_bytes"].max()
    wall = comparison.phases.groupby(["run_id", "update"])["wall_s"].sum()
    assert (wall > 0).all()
    critic = comparison.memory.set_index(["run_id", "component"])["bytes_max"].unstack()
    critic = critic.loc[of_ended]
    ppo = critic.index.str.contains("/ppo")
    assert (critic.loc[ppo, "critic_weights"] > 0).all()
    assert (critic.loc[~ppo, "critic_weights"] == 0).all()
    assert load(comparison.out).summary.equals(comparison.summary)
    assert (comparison.out / "rewards.png").stat().st_size > 0


def test_algorithms_of_a_seed_start_alike_and_are_evaluated_on_the_same_items(
    comparison: Comparison,
) -> None:
    first = [r for r in rows(comparison.out, "evals.csv") if r["update"] == "0"]
    by_run: dict[str, list[tuple[str, str]]] = {}
    for row in first:
        by_run.setdefault(row["run_id"], []).append((row["item_id"], row["score"]))

    assert len(by_run) == 3
    assert len({tuple(scores) for scores in by_run.values()}) == 1


def test_finished_cells_are_not_run_again(comparison: Comparison) -> None:
    before = {path: path.stat().st_mtime_ns for path in comparison.out.glob("cells/*/status.json")}
    run = command("--algorithms", "grpo", "--seeds", "1", out=comparison.out)

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
