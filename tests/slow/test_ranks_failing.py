"""What befalls one process of a run ends the run, with its reason, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from rank_processes import (
    BAKEOFF,
    SETTINGS,
    TWO,
    faltering,
    heed_ctrl_c,
    processes_of,
    rank,
    run,
    settings,
    status,
    torchrun,
    wait_for,
)

pytestmark = pytest.mark.slow

ENDS_S = 60  # seconds come to this on a machine that is busy with other things


def compare(out: Path, algorithms: str, *more: str) -> list[str]:
    what = ["--algorithms", algorithms, "--seeds", "1", "--no-audit", "--no-control"]
    return [*BAKEOFF, "compare", *what, *settings(*TWO, *more), "--out", str(out)]


def begun(out: Path, algorithm: str) -> None:
    """Wait until a cell has made its first report."""
    wait_for(lambda: list(out.glob(f"cells/{algorithm}-*/curves.csv")), 300)


@pytest.mark.parametrize("number", [0, 1])
def test_a_killed_rank_ends_its_cell_and_the_grid_goes_on(tmp_path, number):
    out = tmp_path / "out"
    driver = subprocess.Popen(
        compare(out, "grpo,reinforce", "--updates", "4"), stdout=subprocess.PIPE, text=True
    )
    begun(out, "grpo")
    os.kill(rank(out, number), signal.SIGKILL)

    said, _ = driver.communicate()

    ended = status(out, "grpo")
    assert (ended["status"], ended["exit_code"]) == ("error", -9)
    assert ended["error_message"] == f"rank {number}: killed by signal 9 (SIGKILL)"
    assert f"error: rank {number}: killed by signal 9" in said
    assert status(out, "reinforce")["status"] == "ok"
    assert not processes_of(out)


def test_an_exception_on_one_rank_is_told_of_with_that_rank(tmp_path):
    out = tmp_path / "out"
    mine = faltering(tmp_path, 'raise ValueError("not like this")')

    said = run(compare(out, mine), tmp_path, code=1)

    ended = status(out, "faltering")
    assert (ended["status"], ended["error_type"]) == ("error", "ValueError")
    assert ended["error_message"] == "rank 1: not like this"
    assert "error: rank 1: not like this" in said
    assert "[rank1]:ValueError: not like this" in (log := _log(out))
    assert "[rank0]" not in log
    assert not processes_of(out)


def test_a_rank_that_goes_over_the_memory_limit_ends_the_cell_as_out_of_memory(tmp_path):
    out = tmp_path / "out"
    # some 450 MiB are held by everyone; this rank alone holds a GiB more from the second update on
    mine = faltering(tmp_path, "mine.held = bytearray(os.urandom(1024)) * 2**20")

    run(compare(out, mine, "--memory-limit", "900MiB"), tmp_path, code=1)

    assert status(out, "faltering")["status"] == "oom"
    assert not processes_of(out)


def test_a_rank_that_cannot_write_its_shards_ends_the_grid_as_a_full_disk_does(tmp_path):
    out = tmp_path / "out"
    mine = faltering(
        tmp_path, "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, [4096] * 2)"
    )

    said = run(
        compare(out, mine, "--sharding", "full", "--checkpoint-every", "1"), tmp_path, code=1
    )

    ended = status(out, "faltering")
    assert (ended["status"], ended["error_type"]) == ("interrupted", "OSError")
    assert ended["error_message"] == "[Errno 27] File too large (on rank 1)"
    assert "the same command goes on once there is room" in said
    assert [path.name for path in out.glob("cells/*/checkpoint*")] == ["checkpoint"]
    assert not processes_of(out)


def test_a_rank_that_hangs_ends_the_cell_at_its_timeout_and_the_others_with_it(tmp_path):
    out = tmp_path / "out"
    mine = faltering(tmp_path, "import time; time.sleep(3600)")

    run(compare(out, mine, "--cell-timeout", "90"), tmp_path, code=1)

    assert status(out, "faltering")["status"] == "timeout"
    assert list(out.glob("cells/*/curves.csv"))  # both ranks had begun
    assert not processes_of(out)


def test_an_interrupted_driver_ends_all_processes_and_the_command_goes_on(tmp_path):
    out = tmp_path / "out"
    command = compare(out, "grpo", "--updates", "100")
    driver = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=heed_ctrl_c,
    )
    begun(out, "grpo")

    driver.send_signal(signal.SIGINT)

    assert driver.wait(ENDS_S) == 130
    assert status(out, "grpo")["status"] == "interrupted"
    assert not processes_of(out)


def test_the_cell_of_a_killed_driver_comes_to_its_end_and_leaves_nothing(tmp_path):
    out = tmp_path / "out"
    driver = subprocess.Popen(compare(out, "grpo"), stdout=subprocess.DEVNULL)
    begun(out, "grpo")
    driver.kill()
    driver.wait()

    wait_for(lambda: not processes_of(out), 300)

    assert status(out, "grpo")["status"] == "ok"


def test_the_ranks_of_a_killed_launcher_end_with_it(tmp_path):
    out = tmp_path / "out"
    driver = subprocess.Popen(compare(out, "grpo", "--updates", "100"), stdout=subprocess.DEVNULL)
    begun(out, "grpo")
    (launcher,) = (
        pid
        for pid, environ in processes_of(out).items()
        if "RANK" not in environ and pid != driver.pid
    )
    os.kill(launcher, signal.SIGKILL)

    driver.wait(ENDS_S)

    wait_for(lambda: not processes_of(out), ENDS_S)
    assert status(out, "grpo")["exit_code"] == -9


def test_a_failed_rank_under_torchrun_leaves_its_reason(tmp_path):
    out = tmp_path / "out"
    mine = faltering(tmp_path, 'raise ValueError("not like this")')

    run(torchrun("--algorithm", mine, *SETTINGS, "--out", str(out)), tmp_path, code=1)
    told = run([*BAKEOFF, "report", str(out)], tmp_path)

    assert "rank 1: not like this" in told
    assert not processes_of(out)


def _log(out: Path) -> str:
    (path,) = out.glob("cells/*/log.txt")
    return path.read_text()
