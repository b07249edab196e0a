"""What the tests ask of a worker pool that serves ``builtins:eval``: expressions to evaluate."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bakeoff.rewards.workers import WorkerPool

LONG = 30.0  # a deadline that only a hang would meet
PID = "__import__('os').getpid()"
SERVER_PID = "__import__('os').getppid()"
SLEEP = "__import__('time').sleep(60)"


def ask(pool: WorkerPool, expression: str) -> Any:
    return pool.call(expression, deadline_s=LONG)


def eventually(true: Callable[[], bool]) -> bool:
    """Return whether something becomes true within 10 s."""
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie that nobody has reaped yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def noting(file: Path, then: str) -> str:
    """Return an expression that adds the worker's process id to a file, then does something."""
    return f"[open({str(file)!r}, 'a').write(str({PID}) + '\\n'), {then}][-1]"


def noted(file: Path) -> list[int]:
    text = file.read_text() if file.exists() else ""
    return [int(line) for line in text.split("\n")[:-1]]
