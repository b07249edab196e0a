"""What was handed to Slurm, on disk: a folder ``OUT/slurm/NUMBER`` for each array of jobs.

OUT/slurm/1/job.sh           what sbatch was given, or is to be given by hand
            submission.json  the name of its jobs, and what each of them runs
            0.log, 1.log     what Slurm and the job itself said; cells have logs of their own
OUT/slurm/locks/<cell>       held by the job that runs the cell
OUT/cells/<cell>/job.json    the job that runs, or ran, this attempt
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.comparisons.running.folder import read_json, write_json
from bakeoff.comparisons.running.launchers.protocol import Order
from bakeoff.errors import UsageError

FOLDER = "slurm"
FILE = "submission.json"
SCRIPT = "job.sh"
WAIT_S = 1.0
"""Seconds between two tries to hold what another job has."""


@dataclass(frozen=True)
class Task:
    """A cell in a block: its folder as it stands in the results folder, and what runs it."""

    folder: str
    command: Sequence[str]
    timeout_s: float | None


@dataclass(frozen=True)
class Submission:
    """An array of jobs.

    Attributes:
        folder: where it stands.
        name: of its jobs.
        since: when it was written, in local time as Slurm reads it.
        job: the number that Slurm gave it; empty if no driver submitted it.
        blocks: what each job runs, one after the other.
    """

    folder: Path
    name: str
    since: str
    job: str
    blocks: Sequence[Sequence[Task]]

    def place(self, folder: str) -> int | None:
        """Return the place in the array of the job that runs a cell, ``None`` if none does."""
        found = (i for i, block in enumerate(self.blocks) if any(t.folder == folder for t in block))
        return next(found, None)

    def submitted(self, place: int) -> bool:
        """Tell whether a job was handed to Slurm, by a driver or by hand, as far as is known."""
        return bool(self.job) or (self.folder / f"{place}.log").exists()

    def write(self) -> None:
        """Write it down, whole or not at all."""
        blocks = [
            [{"folder": t.folder, "command": list(t.command), "timeout_s": t.timeout_s} for t in b]
            for b in self.blocks
        ]
        fields = {"name": self.name, "since": self.since, "job": self.job, "blocks": blocks}
        write_json(self.folder / FILE, fields)


def new(out: Path, blocks: Sequence[Sequence[Order]]) -> Submission:
    """Make the folder of a submission, and return it; nothing is submitted."""
    number = max((int(path.name) for path in _folders(out)), default=0) + 1
    folder = out / FOLDER / str(number)
    folder.mkdir(parents=True)
    words = re.sub(r"[^A-Za-z0-9.-]+", "-", out.resolve().name)[:40]
    tasks = [
        [
            Task(str(order.folder.relative_to(out)), tuple(order.command), order.timeout_s)
            for order in block
        ]
        for block in blocks
    ]
    name = f"bakeoff-{words}-{number}-{secrets.token_hex(4)}"
    return Submission(folder, name, time.strftime("%Y-%m-%dT%H:%M:%S"), "", tasks)


def read(folder: Path) -> Submission | None:
    """Return the submission in a folder, ``None`` if a driver was killed before it was written.

    Raises:
        UsageError: it cannot be read.
    """
    found = read_json(folder / FILE)
    if found is None:
        return None
    try:
        blocks = [[Task(**task) for task in block] for block in found["blocks"]]
        return Submission(folder, found["name"], found["since"], found["job"], blocks)
    except (KeyError, TypeError):
        raise UsageError(f"{folder / FILE} is broken; end its jobs and delete {folder}") from None


def unended(out: Path) -> list[Submission]:
    """Return those of a results folder in which a cell has not ended, the newest first."""
    folders = sorted(_folders(out), key=lambda path: -int(path.name))
    known = [found for folder in folders if (found := read(folder)) is not None]
    return [
        found
        for found in known
        if any(not ended(out / task.folder) for block in found.blocks for task in block)
    ]


def ended(folder: Path) -> bool:
    """Tell whether a cell's attempt has ended, other than by an interruption."""
    try:
        found = read_json(folder / "status.json") or {}
    except UsageError:
        return False
    return bool(found.get("status", "interrupted") != "interrupted")


def begun(folder: Path) -> dict[str, Any] | None:
    """Return what the job that began the present attempt of a cell wrote, ``None`` before that."""
    try:
        job, spec = read_json(folder / "job.json"), read_json(folder / "spec.json")
    except UsageError:
        return None
    same = job is not None and spec is not None and job.get("attempt") == spec.get("attempt")
    return job if same else None


@contextmanager
def alone(out: Path, name: str, stop: Callable[[], bool]) -> Iterator[int | None]:
    """Hold something once no other job has it; yields the lock's descriptor.

    A job that was put back into the queue may meet its own cell on a node that only seemed lost.

    Args:
        out: the results folder.
        name: of what is held, such as a cell.
        stop: asked while it waits; once it says yes, ``None`` is yielded.
    """
    place = out / FOLDER / "locks"
    place.mkdir(parents=True, exist_ok=True)
    lock = os.open(place / name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        waited = False
        while not stop():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waited:
                    print(f"{name}: another job has it; this one waits", flush=True)
                waited = True
                time.sleep(WAIT_S)
        yield None if stop() else lock
    finally:
        os.close(lock)


def _folders(out: Path) -> list[Path]:
    return [path for path in (out / FOLDER).glob("*") if path.name.isdigit()]
