"""What Slurm is asked and told, with stand-ins for its commands; real jobs: test_slurm_cells.py."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import yaml

from bakeoff.comparisons.cli import main
from bakeoff.comparisons.running.grid import cells, plan
from bakeoff.comparisons.running.launchers import slurm_submission
from bakeoff.comparisons.running.launchers.protocol import Order
from bakeoff.comparisons.running.launchers.slurm import filesystem, refuse_jobs
from bakeoff.comparisons.running.launchers.slurm_cell import SlurmCell
from bakeoff.comparisons.running.launchers.slurm_queue import (
    UNKNOWN,
    JobState,
    SlurmSilentError,
    states,
    submit,
)
from bakeoff.comparisons.running.launchers.slurm_script import script
from bakeoff.comparisons.running.launchers.slurm_submission import alone, new, unended
from bakeoff.comparisons.running.sbatch_options import sbatch_options
from bakeoff.comparisons.settings import config_text, experiment_of
from bakeoff.errors import UsageError


def orders(out: Path, timeout_s: float | None = None, **knobs: object) -> list[Order]:
    """Return the cells of one seed, to be run in a folder."""
    grid = cells(plan(algorithms=["grpo", "ppo"], seeds=1, out=out, **knobs))
    return [Order(cell, out / "cells" / cell.cell_id, ["true"], timeout_s) for cell in grid]


def options(text: str) -> dict[str, str]:
    """Return the options that a script gives to sbatch."""
    found = [line.removeprefix("#SBATCH --") for line in text.splitlines() if "#SBATCH" in line]
    words = ("".join(shlex.split(line)).partition("=") for line in found)
    return {key: value for key, _, value in words}


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a folder of stand-ins first on the path: squeue knows nothing, sacct keeps no books."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command(folder, "squeue")
    command(folder, "sacct", code=1)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def command(folder: Path, name: str, text: str = "", code: int = 0) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\nprintf '%b' {shlex.quote(text)}\nexit {code}\n")
    path.chmod(0o755)


def test_cores_memory_and_time_follow_from_the_comparison(tmp_path: Path) -> None:
    block = orders(tmp_path, 100.0, threads=3, memory_limit=2 * 2**30)

    found = options(script(tmp_path, "name", [block], {}))

    # 2 GiB and 1 GiB for what watches it; 2 cells of 100 s, 5 s to end and 60 s to start: 330 s
    wanted = {"cpus-per-task": "3", "mem": "3072M", "time": "6", "array": "0-0"}
    assert {key: found[key] for key in wanted} == wanted


def test_what_the_user_says_comes_before_what_follows(tmp_path: Path) -> None:
    given = sbatch_options(["mem-per-cpu=4G", "cpus_per_task=8", "time=1-0", "exclusive"])
    block = orders(tmp_path, 100.0, threads=3, memory_limit=2 * 2**30)

    found = options(script(tmp_path, "name", [block], given))

    assert (found["cpus-per-task"], found["mem-per-cpu"], found["time"]) == ("8", "4G", "1-0")
    assert found["exclusive"] == "" and "mem" not in found


def test_a_grid_on_cuda_asks_for_a_gpu_unless_the_user_does(tmp_path: Path) -> None:
    block = orders(tmp_path, device="cuda")

    assert options(script(tmp_path, "name", [block], {}))["gres"] == "gpu:1"
    assert "gres" not in options(script(tmp_path, "name", [block], {"gpus": "a100:1"}))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["Partition"], "option of sbatch"),
        (["array=0-3"], "bakeoff sets that"),
        (["time=1", "time=2"], "twice"),
        (["time=1\n#SBATCH --wrap=x"], "option of sbatch"),
        ({"array": "0-3"}, "bakeoff sets that"),
        ({"exclusive": False}, "slurm exclusive must be text"),
        ("time=1", "option of sbatch: value"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(given: object, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        sbatch_options(given)


def test_a_time_of_which_yaml_makes_a_number_is_refused() -> None:
    given = yaml.safe_load("time: 8:00:00")  # 28,800 to it, which are minutes to sbatch: 20 days

    with pytest.raises(UsageError, match="slurm time must be text: write it in quotes, not as"):
        plan(launcher="slurm", slurm=given)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["compare", "--slurm", "time=1"], "slurm is for launcher slurm, not local"),
        (["compare", "--write-only"], "write_only is for launcher slurm, not local"),
        (["compare", "--launcher", "slurm", "--max-parallel", "2"], "max_parallel is 1"),
        (["tune", "--launcher", "slurm", "--write-only"], "one for each trial"),
    ],
)
def test_flags_that_say_nothing_together_are_refused(
    flags: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*flags, "--out", str(tmp_path / "out")]) == 2

    assert named in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_machine_without_slurm_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert main(["compare", "--launcher", "slurm", "--out", str(tmp_path / "out")]) == 2

    assert "needs sbatch, which is not on this machine" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_sbatch_says_of_an_option_is_passed_on(slurm: Path) -> None:
    (slurm / "sbatch").write_text(
        "#!/bin/sh\necho \"sbatch: option '--partition' requires an argument\" >&2\n"
        "echo 'Try \"sbatch --help\" for more information' >&2\nexit 1\n"
    )
    (slurm / "sbatch").chmod(0o755)

    with pytest.raises(UsageError, match="option '--partition' requires an argument"):
        submit(slurm / "job.sh")


def test_a_config_file_that_was_printed_says_the_same() -> None:
    asked = experiment_of({"launcher": "slurm", "slurm": ["time=60", "exclusive"]})

    assert experiment_of(yaml.safe_load(config_text(asked))) == asked


def test_a_job_that_the_queue_has_forgotten_is_asked_of_the_books(slurm: Path) -> None:
    command(slurm, "squeue", "12_0|mine|RUNNING|n1\n12_1|mine|PENDING|\n")
    books = "12_2|mine|CANCELLED by 1000|n2\n12_[3-5]|mine|PENDING|None assigned\n"
    command(slurm, "sacct", f"12_0|mine|COMPLETED|n1\n{books}")

    found = states(["mine"], "2026-01-01T00:00:00")

    # of 12_0 the queue knows better than the books; 12_[3-5] names no job
    assert {place: (job.state, job.live) for (_, place), job in found.items()} == {
        0: ("RUNNING", True),
        1: ("PENDING", True),
        2: ("CANCELLED", False),
    }


def test_the_later_of_two_jobs_at_one_place_counts(slurm: Path) -> None:
    # the script was submitted twice by hand; the first of its jobs still runs
    command(slurm, "squeue", "12_0|mine|RUNNING|n1\n13_0|mine|COMPLETED|n2\n")

    assert states(["mine"], "2026-01-01T00:00:00")["mine", 0].job == "12_0"


def test_no_answer_is_not_taken_for_no_job(slurm: Path) -> None:
    command(slurm, "squeue", "", code=1)

    with pytest.raises(SlurmSilentError):
        states(["mine"], "2026-01-01T00:00:00")


BEGUN = {
    "TIMEOUT": "timeout",
    "OUT_OF_MEMORY": "oom",
    "CANCELLED": "interrupted",
    "NODE_FAIL": "lost",
    "PREEMPTED": "lost",
    "FAILED": "exited",
    UNKNOWN: "interrupted",
}


@pytest.mark.parametrize(("state", "reason"), BEGUN.items())
def test_the_end_of_a_job_is_that_of_the_cell_it_was_at(
    state: str, reason: str, tmp_path: Path
) -> None:
    cell = handed_over(tmp_path, begun=True)

    ending = cell.judged(JobState("12_0", state))

    assert ending.reason == reason
    assert ending.facts == {"host_id": "there"}  # not of this machine


@pytest.mark.parametrize("state", ["TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL"])
def test_a_cell_that_its_job_never_came_to_runs_again(state: str, tmp_path: Path) -> None:
    ending = handed_over(tmp_path, begun=False).judged(JobState("12_0", state))

    assert ending.reason == "lost"
    assert "before this cell began" in ending.detail


def handed_over(out: Path, *, begun: bool) -> SlurmCell:
    """Return the first cell of a submission, as its job left it."""
    (order, other) = orders(out)
    order.folder.mkdir(parents=True)
    (order.folder / "spec.json").write_text(json.dumps({"attempt": 2}))
    job = {"attempt": 2 if begun else 1, "started": 0.0, "facts": {"host_id": "there"}}
    (order.folder / "job.json").write_text(json.dumps(job))
    made = new(out, [[order, other]])
    return SlurmCell(order, lambda cell: JobState("12_0", UNKNOWN), made, 0)


def test_jobs_that_may_still_run_keep_a_grid_on_this_machine_away(
    slurm: Path, tmp_path: Path
) -> None:
    made = new(tmp_path / "out", [orders(tmp_path / "out")])
    made.write()
    refuse_jobs(tmp_path / "out")  # nobody submitted it
    command(slurm, "squeue", f"12_0|{made.name}|PENDING|\n")

    with pytest.raises(UsageError, match=f"12_0.*scancel --name={made.name}"):
        refuse_jobs(tmp_path / "out")


def test_a_submission_whose_cells_have_ended_is_asked_for_no_more(tmp_path: Path) -> None:
    block = orders(tmp_path)
    new(tmp_path, [block]).write()
    for status, left in (("interrupted", 1), ("ok", 0)):
        for order in block:
            order.folder.mkdir(parents=True, exist_ok=True)
            (order.folder / "status.json").write_text(json.dumps({"status": status}))

        assert len(unended(tmp_path)) == left


def test_a_job_waits_for_a_cell_that_another_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slurm_submission, "WAIT_S", 0.0)
    asked = iter([False, False, True, True])  # told to end after two tries

    held = alone(tmp_path, "cell", lambda: False)
    with held as first, alone(tmp_path, "cell", lambda: next(asked)) as second:
        assert first is not None
        assert second is None
    assert capsys.readouterr().out == "cell: another job has it; this one waits\n"
    with alone(tmp_path, "cell", lambda: False) as third:
        assert third is not None


def test_a_folder_is_on_the_filesystem_of_the_deepest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"a / ext4 rw 0 0\nb {tmp_path} nfs4 rw 0 0\nc {tmp_path}/x lustre rw 0 0\n")

    assert filesystem(tmp_path / "out", mounts) == "nfs4"
