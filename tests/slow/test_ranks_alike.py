"""Two processes make the run that one makes, however they are started, and go on where it ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rank_processes import (
    BAKEOFF,
    SETTINGS,
    TWO,
    alike,
    processes_of,
    rank,
    run,
    torchrun,
    wait_for,
)

from bakeoff.comparisons.report.check import findings
from bakeoff.comparisons.schema import RAW_TABLES, RUNS_COLUMNS
from bakeoff.comparisons.tables import read_rows

pytestmark = pytest.mark.slow

ALGORITHMS = ["--algorithms", "grpo,ppo", "--seeds", "1", "--no-audit"]
CONFIG = "{compute_environment: LOCAL_MACHINE, distributed_type: MULTI_GPU, num_processes: 2}"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``one``, the comparison that one process for each run makes."""
    folder = tmp_path_factory.mktemp("ranks")
    run([*BAKEOFF, "compare", *ALGORITHMS, *SETTINGS, "--out", str(folder / "one")], folder)
    (folder / "mine.yaml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def two(places: Path) -> Path:
    """The same comparison with two processes for each run."""
    out = places / "two"
    run([*BAKEOFF, "compare", *ALGORITHMS, *SETTINGS, *TWO, "--out", str(out)], places)
    return out


def test_curves_and_counts_are_those_of_one_process(places, two):
    assert alike(two, places / "one")


def test_the_tables_of_two_processes_pass_the_check(two):
    assert findings(two) == []


def test_each_rank_has_its_components_and_the_run_their_number(two):
    ranks = {row["rank"] for row in read_rows(two / "memory.csv", RAW_TABLES["memory.csv"])}
    runs = read_rows(two / "runs.csv", RUNS_COLUMNS)

    assert ranks == {"0", "1"}
    assert {row["n_devices"] for row in runs} == {"2"}
    assert all(int(row["peak_rss_total_bytes"]) > int(row["peak_rss_bytes"]) for row in runs)


def test_torchrun_train_is_one_run_of_all_its_processes(places):
    out = places / "torchrun"

    printed = run(torchrun("--algorithm", "ppo", *SETTINGS, "--out", str(out)), places)

    assert alike(out, places / "one", ("ppo",))
    assert printed.count("table: ") == 1
    assert findings(out) == []


def test_accelerate_launch_train_runs_as_its_configuration_says(places):
    out = places / "launched"
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", "mine.yaml"]
    train = ["-m", "bakeoff", "train", "--algorithm", "grpo", *SETTINGS, "--out", str(out)]

    run([*launch, *train], places)

    assert alike(out, places / "one", ("grpo",))


def test_a_configuration_of_ones_own_starts_cells_and_is_kept_with_them(places):
    out = places / "configured"
    mine = [
        "--algorithms",
        "grpo",
        "--seeds",
        "1",
        "--no-audit",
        "--accelerate-config",
        "mine.yaml",
    ]

    run([*BAKEOFF, "compare", *mine, *SETTINGS, *TWO, "--out", str(out)], places)

    assert alike(out, places / "one", ("grpo",))
    (kept,) = out.glob("cells/*/accelerate.yaml")
    assert kept.read_text() == CONFIG


def test_compare_under_torchrun_is_refused(places):
    command = [*torchrun()[:-1], "compare", "--out", "none"]

    done = subprocess.run(command, cwd=places, capture_output=True, text=True, check=False)

    assert "compare was launched as 2 processes" in done.stderr
    assert not (places / "none").exists()


def test_a_run_whose_processes_were_killed_goes_on_to_the_same_curves(places, tmp_path):
    out = tmp_path / "killed"
    command = [*BAKEOFF, "compare", "--algorithms", "ppo", "--seeds", "1", "--no-audit"]
    command += [*SETTINGS, "--checkpoint-every", "1", *TWO, "--out", str(out)]
    driver = subprocess.Popen(command, cwd=places, stdout=subprocess.DEVNULL)
    wait_for(lambda: list(out.glob("cells/*/checkpoint*")), 300)
    subprocess.run(["kill", "-KILL", str(rank(out, 0))], check=True)
    driver.wait()
    (before,) = out.glob("cells/*/status.json")
    ended = json.loads(before.read_text())["exit_code"]

    run([*command, "--only", "failed"], places)

    assert ended == -signal.SIGKILL
    assert not processes_of(out)
    assert alike(out, places / "one", ("ppo",))
