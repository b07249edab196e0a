"""Grids on a real Slurm of two nodes: what ends there is what ends here, and nothing runs twice.

The nodes are two on this machine (``slurm_cluster``). Cells are stand-ins that do what their seed
says, but for one test.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from slurm_cluster import cluster
from without_clocks import CLOCKS, rows

from bakeoff.comparisons.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_figures", "slurm")]

END_TO_END = Path(__file__).parents[1] / "end_to_end"
FAKE = [sys.executable, str(END_TO_END / "fake_cell.py")]
SLURM = ["--launcher", "slurm", "--algorithms", "grpo", "--no-audit"]
PATIENT = """
import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[-1])
with (folder / "starts.txt").open("a") as file:
    file.write(os.environ["SLURM_ARRAY_JOB_ID"] + chr(10))
while not (folder.parents[1] / "go").exists():
    time.sleep(0.1)
(folder / "part").write_text(json.dumps({"status": "ok", "exit_code": 0, "wall_s": 0.1}))
os.replace(folder / "part", folder / "status.json")
"""
"""A cell that ends well once there is a file ``go`` in the results folder."""

WAITING = [sys.executable, "-c", PATIENT]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with cluster(tmp_path_factory.mktemp("slurm")):
        yield


def statuses(out: Path) -> dict[int, dict[str, Any]]:
    """Return the statuses of a grid of one algorithm by seed."""
    found = [json.loads(path.read_text()) for path in out.glob("cells/*/spec.json")]
    pairs = ((cell["seed"], out / "cells" / cell["cell_id"] / "status.json") for cell in found)
    return {seed: json.loads(path.read_text()) for seed, path in pairs if path.exists()}


def attempt(out: Path, seed: int) -> int:
    (path,) = out.glob(f"cells/*-s{seed}-*/spec.json")
    number = json.loads(path.read_text())["attempt"]
    assert isinstance(number, int)
    return number


def jobs(out: Path) -> list[str]:
    """Return the numbers that Slurm gave to what was submitted."""
    found = sorted(out.glob("slurm/*/submission.json"))
    return [json.loads(path.read_text())["job"] for path in found]


def slurm_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def wait_for(true: Callable[[], object], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"it did not come to that within {seconds} s"
        time.sleep(0.2)


def begun(out: Path, seed: int) -> Callable[[], bool]:
    return lambda: any(path.read_text() for path in out.glob(f"cells/*-s{seed}-*/starts.txt"))


def driver(cell: list[str], *argv: str) -> subprocess.Popen[str]:
    """Start a real ``bakeoff compare``."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"from bakeoff.comparisons.cli import main; sys.exit(main(cell={cell!r}))"
    )
    command = [sys.executable, "-c", code, "compare", *SLURM, *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_whatever_befalls_a_cell_on_a_node_it_keeps_the_row_it_would_have_here(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    limits = ["--cell-timeout", "3", "--memory-limit", "150MiB"]
    argv = ["compare", *SLURM, *limits, "--seeds", "0,1,3,4,5,7", "--out", str(out), "--quiet"]

    assert main(argv, cell=FAKE) == 0

    ended = {seed: status["status"] for seed, status in statuses(out).items()}
    # what test_driver_cells expects of these cells on this machine
    assert ended == {0: "ok", 1: "error", 3: "timeout", 4: "oom", 5: "diverged", 7: "error"}
    # one array, a job for each seed: a block is all cells of an environment, model and seed
    assert len(jobs(out)) == 1
    script = (out / "slurm" / "1" / "job.sh").read_text()
    assert "#SBATCH --array=0-5" in script
    # 150 MiB and 1 GiB for what watches the cell; 3 s + 5 s to end it + 60 s to start it: 2 min
    assert "#SBATCH --mem=1174M" in script and "#SBATCH --time=2" in script


def test_the_tables_of_real_cells_are_those_of_this_machine_times_aside(tmp_path: Path) -> None:
    size = ["--updates", "2", "--prompts-per-update", "4", "--group-size", "4", "--eval-items", "8"]
    what = ["--algorithms", "grpo,reinforce", "--seeds", "1", "--threads", "1", *size]
    outs = []
    for name, launcher in (("here", []), ("there", ["--launcher", "slurm"])):
        outs.append(tmp_path / name / "out")
        assert main(["compare", *what, *launcher, "--out", str(outs[-1]), "--quiet"]) == 0

    for table in CLOCKS:
        here, there = (rows(out, table) for out in outs)
        assert here == there, table
        assert here or table == "pairwise.csv"
    audits = outs[1].glob("audits/*/status.json")
    assert [json.loads(path.read_text())["status"] for path in audits] == ["ok", "ok"]
    assert len(jobs(outs[1])) == 2  # the cells of the seed, then the audits


def test_a_cell_of_two_processes_is_on_a_node_what_it_is_here(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="processes meet by accelerate: bakeoff[accelerate]")
    size = ["--updates", "1", "--prompts-per-update", "3", "--group-size", "3", "--eval-items", "5"]
    what = ["--algorithms", "grpo", "--seeds", "1", "--no-audit", "--no-control", *size]
    outs = []
    for launcher in ("accelerate", "slurm"):
        outs.append(tmp_path / launcher / "out")
        more = ["--launcher", launcher, "--num-processes", "2", "--out", str(outs[-1]), "--quiet"]
        assert main(["compare", *what, *more]) == 0

    for table in CLOCKS:
        here, there = (rows(out, table) for out in outs)
        assert here == there, table
    assert {row["rank"] for row in rows(outs[1], "memory.csv")} == {"0", "1"}


def test_a_job_that_is_cancelled_is_an_interruption_and_the_same_command_goes_on(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    argv = ["--seeds", "2,", "--out", str(out)]
    with driver(FAKE, *argv) as process:
        wait_for(begun(out, 2))
        slurm_of("scancel", jobs(out)[0])
        process.communicate(timeout=240)

    assert statuses(out)[2]["status"] == "interrupted"
    assert "of Slurm was" in statuses(out)[2]["error_message"]
    # seed 2 hangs in its first attempt only
    assert main(["compare", *SLURM, *argv, "--quiet"], cell=FAKE) == 0
    assert (statuses(out)[2]["status"], attempt(out, 2), len(jobs(out))) == ("ok", 2, 2)


def test_a_job_whose_time_is_up_is_a_timeout_that_only_failed_runs_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = ["compare", *SLURM, "--seeds", "3,", "--out", str(out), "--quiet"]

    # a minute is the least that Slurm knows; all cells of the grid failed
    assert main([*argv, "--slurm", "time=1"], cell=WAITING) == 1
    ended = statuses(out)[3]
    assert (ended["status"], ended["error_type"]) == ("timeout", "Timeout")
    assert "the time of job" in ended["error_message"]
    (out / "go").touch()
    assert main([*argv, "--only", "failed"], cell=WAITING) == 0
    assert (statuses(out)[3]["status"], attempt(out, 3)) == ("ok", 2)


def test_a_node_that_is_lost_costs_an_attempt_and_no_row(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with driver(FAKE, "--seeds", "2,10", "--out", str(out)) as process:
        wait_for(begun(out, 2))
        (path,) = out.glob("cells/*-s2-*/job.json")
        job = json.loads(path.read_text())
        (starts,) = out.glob("cells/*-s2-*/starts.txt")
        for pid in reversed(family(int(starts.read_text()))):  # Slurm's own first: nobody is left
            os.kill(pid, signal.SIGKILL)  # to write down how another one ended
        slurm_of("scontrol", "update", f"nodename={job['node']}", "state=down", "reason=test")
        # Slurm puts the job back by itself, for two minutes later: what its node still says of it
        # would be taken to be of the new one. On one machine that is said within seconds
        number = f"-j{job['job']}"
        wait_for(lambda: "PENDING" in slurm_of("squeue", "-h", "-r", number, "-o%T"))
        slurm_of("scontrol", "update", f"jobid={job['job']}", "starttime=now+15seconds")
        process.communicate(timeout=240)

    assert process.returncode == 0
    assert {seed: status["status"] for seed, status in statuses(out).items()} == {2: "ok", 10: "ok"}
    assert (attempt(out, 2), attempt(out, 10), len(jobs(out))) == (2, 1, 1)


def family(pid: int) -> list[int]:
    """Return a cell's process, the one that watches it, and the one of Slurm that watches that."""
    found = [pid]
    for _ in range(2):
        status = Path(f"/proc/{found[-1]}/status").read_text().splitlines()
        found += [int(line.split()[1]) for line in status if line.startswith("PPid:")]
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_jobs_outlive_their_driver_and_the_next_one_takes_them_up(
    tmp_path: Path, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    # two nodes: the job of the third seed waits in the queue
    argv = ["--seeds", "0,1,2", "--out", str(out)]
    with driver(WAITING, *argv) as process:
        wait_for(lambda: len(list(out.glob("cells/*/starts.txt"))) == 2)
        process.send_signal(number)
        _, complaint = process.communicate(timeout=240)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "scancel --name=bakeoff-out-1-" in complaint

    # nobody starts the same cells here beside them
    local = ["compare", "--algorithms", "grpo", "--no-audit", *argv, "--quiet"]
    assert main(local, cell=WAITING) == 2
    assert "--launcher slurm, or end them" in capsys.readouterr().err
    (out / "go").touch()
    assert main(["compare", *SLURM, *argv, "--quiet"], cell=WAITING) == 0

    assert [status["status"] for status in statuses(out).values()] == ["ok"] * 3
    (job,) = jobs(out)  # submitted once
    starts = [path.read_text() for path in out.glob("cells/*/starts.txt")]
    assert starts == [f"{job}\n"] * 3


def test_a_script_that_was_only_written_is_submitted_by_hand_and_taken_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    argv = ["compare", *SLURM, "--seeds", "0,5", "--out", str(out)]

    assert main([*argv, "--write-only"], cell=FAKE) == 0

    script = out / "slurm" / "1" / "job.sh"
    assert f"sbatch {script}" in capsys.readouterr().out
    assert slurm_of("squeue", "-h", f"--name={_name(out)}") == ""
    slurm_of("sbatch", str(script))
    assert main([*argv, "--quiet"], cell=FAKE) == 0
    assert {seed: s["status"] for seed, s in statuses(out).items()} == {0: "ok", 5: "diverged"}
    assert jobs(out) == [""]  # bakeoff submitted nothing itself


def test_what_sbatch_refuses_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    wrong = ["--slurm", "partition=nowhere", "--seeds", "0,", "--out", str(out), "--quiet"]

    assert main(["compare", *SLURM, *wrong], cell=FAKE) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert "sbatch refused" in line and "partition" in line
    assert list((out / "slurm").iterdir()) == []


def test_a_script_that_is_submitted_twice_runs_each_cell_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = ["compare", *SLURM, "--seeds", "0,", "--out", str(out)]
    assert main([*argv, "--write-only"], cell=WAITING) == 0
    script = str(out / "slurm" / "1" / "job.sh")

    slurm_of("sbatch", script)
    slurm_of("sbatch", script)
    log = out / "slurm" / "1" / "0.log"
    wait_for(lambda: log.exists() and "another job has it" in log.read_text())
    (out / "go").touch()
    assert main([*argv, "--quiet"], cell=WAITING) == 0

    (starts,) = out.glob("cells/*/starts.txt")
    assert len(starts.read_text().split()) == 1


def _name(out: Path) -> str:
    text = json.loads((out / "slurm" / "1" / "submission.json").read_text())["name"]
    assert isinstance(text, str)
    return text
