"""A Ray cluster on this machine: its head, and nodes that can be killed."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

RAY = "import sys; from ray.scripts.scripts import main; sys.exit(main())"
START_S = 600.0
QUIETLY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_raylet_start_wait_time_s": "90"}
"""Seconds are short, since what they wait for has most often died: Ray gives its agents 15 s to
start, whatever it is told, and aborts a node where they were slower. That is tried again."""


@contextmanager
def head(folder: Path) -> Iterator[str]:
    """Have a cluster of one node with one core; yields its address.

    Args:
        folder: where the log goes.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--head", "--port", str(port), "--include-dashboard=false", "--disable-usage-stats"]
    with _node(words, folder / "head.log", {}) as (_, ip):
        yield f"{ip}:{port}"


@contextmanager
def node(
    address: str, folder: Path, number: int = 2, **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Have another node with one core in the cluster; yields what ``kill`` kills.

    Args:
        address: of the cluster.
        folder: where the log goes.
        number: its address is 127.0.0.<number>: drivers attach to the head's.
        **variables: of its environment, and so of what works there.
    """
    words = ["--address", address, "--node-ip-address", f"127.0.0.{number}"]
    with _node(words, folder / f"node-{number}.log", variables) as (process, _):
        yield process


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill everything of a node at once, as a machine that loses its power does.

    What Ray starts for work is not in the node's group, and ends by itself when it misses it.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def left_behind() -> list[str]:
    """Return the commands of processes that work for a cell on a node."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "bakeoff-cell-" in command:
            found.append(command)
    return found


@contextmanager
def _node(
    words: list[str], log: Path, variables: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    command = [sys.executable, "-W", "ignore", "-c", RAY, "start", "--block", "--num-cpus", "1"]
    command += ["--object-store-memory", "100000000", *words]
    deadline = time.monotonic() + START_S
    started = False
    while not started:
        assert time.monotonic() < deadline, f"the node did not start:\n{log.read_text()}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                env={**os.environ, **QUIETLY, **variables},
                start_new_session=True,
            )
        try:
            while process.poll() is None and not started:
                time.sleep(0.2)
                started = "Ray runtime started" in log.read_text(errors="replace")
            if started:
                found = re.search(r"Local node IP: ([0-9.]+)", log.read_text(errors="replace"))
                assert found is not None
                yield process, found[1]
        finally:
            kill(process)
