"""The cells of a grid at work: each a fresh process, one alone or a few at a time.

One at a time is the rule: what else runs beside a timed cell is in its times. Where only learning
is compared a few may share the machine, each with its part of the processor cores.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.comparisons.running import folder
from bakeoff.comparisons.running.attempts import prepare
from bakeoff.comparisons.running.endings import advice, progress_of, status_of_killed, tail
from bakeoff.comparisons.running.grid import CellSpec
from bakeoff.comparisons.running.process import POLL_S, Ending, Watched
from bakeoff.comparisons.running.progress import CellRow, Screen
from bakeoff.comparisons.running.ranks import processes, ranked
from bakeoff.comparisons.running.room import DISK_FULL, no_room
from bakeoff.comparisons.running.share import threads
from bakeoff.errors import UsageError
from bakeoff.training.config import AUTO_SANDBOX

LOG_LINES = 12
NOISY = "times of both are not to be relied on"


@dataclass(frozen=True)
class Site:
    """Where and how cells run.

    Attributes:
        out: the results folder.
        command: what runs a cell; the cell's folder is added to it.
        lock: the descriptor of the folder's lock, which cells inherit.
        timeout_s: seconds a cell may take, or ``None``.
        parallel: how many run at a time.
        stop: whether the user wants an end.
    """

    out: Path
    command: Sequence[str]
    lock: int
    timeout_s: float | None
    parallel: int
    stop: Callable[[], bool]


@dataclass(frozen=True)
class Job:
    """A cell at work: what is shown of it, and its process."""

    row: CellRow
    process: Watched


def run_all(
    site: Site, rows: Sequence[CellRow], screen: Screen, others: Callable[[], Sequence[str]]
) -> None:
    """Run the cells that wait, in their order; whatever befalls one, the others go on.

    Args:
        site: where and how.
        rows: what is shown of each cell; those that are ``waiting`` run.
        screen: what shows it.
        others: asked before each cell for the other drivers that are at work on this machine.

    Raises:
        OSError: there is no room on the disk, or no leave to write; what had ended is intact.
    """
    waiting = [row for row in rows if row.status == "waiting"]
    jobs: list[Job] = []
    told: set[str] = set()
    try:
        while jobs or (waiting and not site.stop()):
            while waiting and len(jobs) < site.parallel and not site.stop():
                for other in others():
                    if other not in told:
                        screen.note(f"! another bakeoff is at work, {other}: {NOISY}")
                        told.add(other)
                jobs.append(_start(site, waiting.pop(0), screen))
            for job in list(jobs):
                ending = job.process.poll(stop=site.stop())
                if ending is None:
                    _see(site, job, job.process.elapsed_s)
                    screen.polled(job.row)
                else:
                    jobs.remove(job)
                    _end(site, job, ending, screen)
            if jobs:
                jobs[0].process.wait(POLL_S)
    finally:
        for job in jobs:
            job.process.end()


def _start(site: Site, row: CellRow, screen: Screen) -> Job:
    cell = dataclasses.replace(row.cell, parallel=site.parallel)
    row.cell = cell = prepare(site.out, cell)
    place = folder.place(site.out, cell)
    process = Watched(
        [*ranked(site.command, cell, place.resolve()), str(place.resolve())],
        log=place / "log.txt",
        environment=variables(cell),
        inherit=(site.lock,),
    )
    process.timeout_s, process.memory_limit_bytes = site.timeout_s, cell.memory_limit_bytes
    process.has_ranks = processes(cell) > 1
    row.status = "running"
    screen.started(row)
    return Job(row, process)


def _see(site: Site, job: Job, elapsed_s: float) -> None:
    job.row.see(elapsed_s, progress_of(folder.place(site.out, job.row.cell)))


def _end(site: Site, job: Job, ending: Ending, screen: Screen) -> None:
    """Have the status of a cell that ended on disk, whatever became of it, and say what it is."""
    cell = job.row.cell
    place = folder.place(site.out, cell)
    try:
        status = folder.status(site.out, cell)
    except UsageError:
        status = None  # what the cell left is unreadable: it counts as having left nothing
    if status is None:
        status = status_of_killed(cell, ending, place)
        folder.write_json(place / "status.json", status)
    job.row.status = status["status"]
    _see(site, job, ending.wall_s)
    screen.ended(job.row)
    _explain(screen, place, status)
    _rebuild(site.out, screen)
    if status.get("exit_code") == DISK_FULL:
        raise no_room(place, str(status.get("error_message")))


def variables(cell: CellSpec) -> dict[str, str]:
    """Return the environment variables of a cell; the sandbox is never the shell's, unrecorded."""
    own = {"PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
    own["BAKEOFF_SANDBOX"] = cell.config.get("sandbox", AUTO_SANDBOX)
    at_work = cell.parallel * processes(cell)
    if cell.config["threads"] or at_work > 1:
        own["OMP_NUM_THREADS"] = str(threads(cell.config["threads"], at_work))
    return {**os.environ, **own}


def _explain(screen: Screen, place: Path, status: Mapping[str, Any]) -> None:
    """Say why a cell failed: the message, the end of its log, what to try."""
    if status["status"] in ("ok", "interrupted"):
        return
    lines = [f"    {line}" for line in tail(place / "log.txt", LOG_LINES)]
    message = f"  {status['status']}: {status.get('error_message') or 'no message'}"
    screen.note("\n".join([message, f"  the end of {place / 'log.txt'}:", *lines]))
    screen.note(f"  {advice(status)}")


def _rebuild(out: Path, screen: Screen) -> None:
    """Bring the tables up to date; they are derived, so trouble here must not stop the grid."""
    from bakeoff.comparisons import tables

    try:
        tables.rebuild(out)
    except Exception as error:
        screen.note(f"  the tables could not be rebuilt yet: {type(error).__name__}: {error}")
