"""A server of a sampler: its keeper, and what is asked of it before a comparison starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bakeoff.comparisons.running.checks import check
from bakeoff.comparisons.running.grid import plan
from bakeoff.errors import UsageError
from bakeoff.models import ModelError
from bakeoff.training.config import train_config
from bakeoff.training.sampling import server_engine, server_guard
from bakeoff.training.sampling.server_process import ServerProcess

GUARD = server_guard.__file__
NOBODY = "http://127.0.0.1:9"  # the port of a service that throws away what it gets


def soon(happened: Callable[[], bool]) -> bool:
    """Whether something happens within half a minute."""
    until = time.monotonic() + 30
    while not (found := happened()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def ended(pid: int) -> bool:
    """Whether a process is no more, or waits for nothing but its parent."""
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_a_server_ends_with_the_run_that_is_killed_and_its_folder_too(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    keeper = [sys.executable, GUARD, "PARENT", str(folder), "sh", "-c", "echo $$; sleep 600"]
    run = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, subprocess, time\n"
            f"command = [str(os.getpid()) if one == 'PARENT' else one for one in {keeper}]\n"
            "subprocess.Popen(command, start_new_session=True)\n"
            "time.sleep(600)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    server = int(run.stdout.readline())

    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    run.stdout.close()

    assert soon(lambda: ended(server))
    assert soon(lambda: not folder.exists())


def test_a_server_that_does_not_start_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the vLLM server ended with 1 before it answered"):
        ServerProcess("false", tmp_path / "model", {})


def test_a_server_is_not_told_that_the_run_is_a_rank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/told\nexit 1\n")
    program.chmod(0o700)
    kept = {"RANKING": "kept", "LOCAL_FONTS": "kept"}
    of_a_rank = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT", "TORCHELASTIC_RUN_ID")
    for name, value in {**dict.fromkeys(of_a_rank, "1"), **kept}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ModelError):
        ServerProcess(str(program), tmp_path / "model", {})

    told = dict(line.partition("=")[::2] for line in (tmp_path / "told").read_text().splitlines())
    assert kept.items() <= told.items()
    assert not told.keys() & set(of_a_rank)


def test_weights_are_put_into_files_of_a_size_none_of_them_twice_in_the_same_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_engine, "FILE_BYTES", 32)
    head = torch.ones(4)  # of 16 bytes
    weights = {"head": head, "tied": head, "large": torch.ones(9), "last": torch.ones(1)}

    files = list(server_engine._files(weights.items()))

    assert [list(file) for file in files] == [["head", "tied"], ["large"], ["last"]]
    assert files[0]["head"].data_ptr() != files[0]["tied"].data_ptr()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler_url": NOBODY}, "no vLLM server answers at sampler_url http://127.0.0.1:9"),
        ({"sampler_url": NOBODY, "max_parallel": 2}, "one run's weights: set max_parallel to 1"),
        ({"sampler_url": NOBODY, "launcher": "slurm"}, "runs on several machines at a time"),
        ({"vllm_python": "no-such-python"}, "vllm_python is no program: no-such-python"),
        ({"vllm_python": "false"}, "vllm_python false has no vLLM"),
    ],
)
def test_a_server_that_cannot_be_had_is_an_error_before_anything_starts(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check(plan(sampler="vllm_server", **settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "vllm_server"}, "needs one of two: sampler_url"),
        (
            {"sampler": "vllm_server", "sampler_url": "http://localhost:1", "vllm_python": "p"},
            "needs one of two: sampler_url",
        ),
        ({"sampler_url": "http://localhost:8000"}, "sampler_url is of no use without sampler vllm"),
        ({"sampler": "vllm", "vllm_python": "python"}, "vllm_python is of no use"),
        ({"sampler": "vllm_server", "sampler_url": "localhost:8000"}, "must be like http"),
        ({"sampler": "vllm_server", "sampler_url": "http://[::1"}, "must be like http"),
        ({"sampler": "vllm_server", "sampler_url": "http://localhost:99999"}, "must be like http"),
        (
            {"sampler": "vllm_server", "sampler_url": "http://node7:8000"},
            "another machine, node7: name a sampler_folder",
        ),
        ({"staleness": -1}, "staleness must be at least 0"),
    ],
)
def test_settings_that_name_no_server_or_two_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        train_config(settings)


def test_other_machines_are_settings_with_a_folder_for_the_weights() -> None:
    given = {"sampler": "vllm_server", "sampler_url": "http://node7:8000", "sampler_folder": "/w"}

    assert train_config(given).server.sampler_folder == "/w"
