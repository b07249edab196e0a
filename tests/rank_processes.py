"""Cells of two processes as the tests start, watch and kill them; nothing of it is mocked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from without_clocks import words

from bakeoff.comparisons.schema import RAW_TABLES
from bakeoff.comparisons.tables import read_rows

BAKEOFF = [sys.executable, "-m", "bakeoff"]

SETTINGS = words("""
    --updates 2 --prompts-per-update 3 --group-size 3 --micro-batch 4 --minibatches 2
    --eval-items 5 --eval-every 1 --threads 1
""")
"""Items and completions that two ranks cannot share evenly."""


def settings(*more: str) -> list[str]:
    """Return further flags and those of ``SETTINGS`` that they do not give."""
    usual = zip(SETTINGS[::2], SETTINGS[1::2], strict=True)
    return [word for flag, value in usual if flag not in more for word in (flag, value)] + [*more]


TIMED = ("seconds", "overlap")
"""Words in the names of metrics that are times."""

TWO = ["--launcher", "accelerate", "--num-processes", "2"]

FALTERING = '''
"""grpo, of which rank 1 alone does something else in the second update."""

import os

from bakeoff import algorithms

calls = 0


def mine():
    whole = algorithms.make("grpo")

    def advantages(*args):
        global calls
        calls += 1
        if os.environ.get("RANK") == "1" and calls == 2:
            {deed}
        return whole.advantages(*args)

    return whole._replace(advantages=advantages)
'''


def faltering(folder: Path, deed: str) -> str:
    """Write an algorithm whose rank 1 does something in the second update; return its name."""
    (folder / "faltering.py").write_text(FALTERING.format(deed=deed))
    return f"{folder / 'faltering.py'}:mine"


def run(command: Sequence[str], folder: Path, *, code: int = 0) -> str:
    """Run a command in a folder to its end, and return what it prints."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


def torchrun(*arguments: str) -> list[str]:
    """Return the command that starts ``bakeoff train`` as two processes."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*launch, "--nproc-per-node", "2", "-m", "bakeoff", "train", *arguments]


def status(out: Path, algorithm: str) -> dict[str, Any]:
    (path,) = out.glob(f"cells/{algorithm}*/status.json")
    found = json.loads(path.read_text())
    assert isinstance(found, dict)
    return found


def heed_ctrl_c() -> None:
    """Undo what a shell does to commands in its background, such as these tests."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(true: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"it did not come to that within {seconds} s"
        time.sleep(0.05)


def processes_of(out: Path) -> dict[int, dict[str, str]]:
    """Return the processes that have a results folder among their arguments: their environments."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (place / "cmdline").read_bytes().decode(errors="replace").split("\0")
            entries = (place / "environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has ended, or is another user's
            continue
        if any(word.startswith(str(out)) for word in arguments) and int(place.name) != os.getpid():
            found[int(place.name)] = dict(e.split("=", 1) for e in entries if "=" in e)
    return found


def rank(out: Path, number: int) -> int:
    """Return the process id of a rank of the cell that is at work in a results folder."""
    (found,) = (
        pid for pid, environ in processes_of(out).items() if environ.get("RANK") == str(number)
    )
    return found


def curves(out: Path) -> dict[tuple[str, ...], float]:
    """Return the values of a folder's curves but for those that are times."""
    keys = ("algorithm", "split", "metric", "update", "completion_tokens", "train_flops")
    return {
        tuple(row[key] for key in keys): float(row["value"])
        for row in read_rows(out / "curves.csv", RAW_TABLES["curves.csv"])
        if not any(word in row["metric"] for word in TIMED)
    }


def alike(out: Path, one: Path, algorithms: tuple[str, ...] = ("grpo", "ppo")) -> bool:
    """Tell whether the curves of algorithms are those of another folder, but for rounding."""
    expected = {key: value for key, value in curves(one).items() if key[0] in algorithms}
    assert expected
    return curves(out) == pytest.approx(expected, rel=1e-5, abs=1e-5, nan_ok=True)
