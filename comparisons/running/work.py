"""The cells of a grid at work: each a fresh process, one alone or a few at a time.

One at a time is the rule: what else runs beside a timed cell is in its times. Where only learning
is compared a few may share the machine, each with its part of the processor cores.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.comparisons.running import folder
from bakeoff.comparisons.running.attempts import prepare
from bakeoff.comparisons.running.endings import advice, progress_of, status_of_killed, tail
from bakeoff.comparisons.running.grid import CellSpec
from bakeoff.comparisons.running.launchers.protocol import Launcher, Order, Started
from bakeoff.comparisons.running.process import POLL_S, Ending
from bakeoff.comparisons.running.progress import CellRow, Screen
from bakeoff.comparisons.running.ranks import processes
from bakeoff.comparisons.running.room import DISK_FULL, no_room
from bakeoff.comparisons.running.share import threads
from bakeoff.errors import UsageError
from bakeoff.training.config import AUTO_SANDBOX

LOG_LINES = 12
MOST_ATTEMPTS = 5
"""Of these a cell that loses its machine again and again has ended, as ``interrupted``."""

NOISY = "times of both are not to be relied on"

NOWHERE = "! no machine is left that has room for the next run; it waits for one, Ctrl-C ends it"


@dataclass(frozen=True)
class Site:
    """Where and how cells run.

    Attributes:
        out: the results folder.
        command: what runs a cell; the cell's folder is added to it.
        launcher: what starts it.
        timeout_s: seconds a cell may take, or ``None``.
        stop: whether the user wants an end.
    """

    out: Path
    command: Sequence[str]
    launcher: Launcher
    timeout_s: float | None
    stop: Callable[[], bool]


@dataclass(frozen=True)
class Job:
    """A cell at work: what is shown of it, and what the launcher has of it."""

    row: CellRow
    started: Started


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
            while (row := _next(site, waiting, jobs)) is not None:
                for other in others():
                    _once(screen, told, f"! another bakeoff is at work, {other}: {NOISY}")
                waiting.remove(row)
                jobs.append(_start(site, row, screen))
            if not jobs:
                _once(screen, told, NOWHERE)
                time.sleep(POLL_S)
            for job in list(jobs):
                ending = job.started.poll(stop=site.stop())
                if ending is None:
                    _look(site, job, screen)
                    continue
                jobs.remove(job)
                job.row.cell = _as_it_ran(site, job.row.cell)
                if ending.reason == "lost" and job.row.cell.attempt < MOST_ATTEMPTS:
                    _wait_again(job.row, ending, screen)
                    waiting.insert(0, job.row)
                else:
                    _end(site, job, ending, screen)
            if jobs:
                jobs[0].started.wait(POLL_S)
    finally:
        for job in jobs:
            job.started.end()


def _once(screen: Screen, told: set[str], text: str) -> None:
    """Say what has not been said yet."""
    if text not in told:
        screen.note(text)
        told.add(text)


def _next(site: Site, waiting: Sequence[CellRow], jobs: Sequence[Job]) -> CellRow | None:
    """Return the first cell that waits and can be started, ``None`` if there is none."""
    if site.stop():
        return None
    at_work = [job.row.cell for job in jobs]
    return next((row for row in waiting if site.launcher.takes(row.cell, at_work)), None)


def _start(site: Site, row: CellRow, screen: Screen) -> Job:
    cell = dataclasses.replace(row.cell, parallel=site.launcher.parallel)
    place = folder.place(site.out, cell)
    started = site.launcher.adopted(Order(cell, place, site.command, site.timeout_s))
    if started is None:
        row.cell = prepare(site.out, cell)
        started = site.launcher.start(Order(row.cell, place, site.command, site.timeout_s))
    job = Job(row, started)
    _look(site, job, screen)
    return job


def _look(site: Site, job: Job, screen: Screen) -> None:
    """See how far a cell is that has not ended, or that it has begun."""
    if job.row.status == "running":
        _see(site, job, job.started.elapsed_s)
        screen.polled(job.row)
    elif job.started.at_work:
        job.row.status = "running"
        screen.started(job.row)


def _as_it_ran(site: Site, cell: CellSpec) -> CellSpec:
    """Return a cell with the number of its attempt: where it was placed it may have begun anew."""
    try:
        written = folder.read_json(folder.place(site.out, cell) / "spec.json") or {}
    except UsageError:
        return cell
    return dataclasses.replace(cell, attempt=written.get("attempt", cell.attempt))


def _wait_again(row: CellRow, ending: Ending, screen: Screen) -> None:
    """Have a cell wait once more whose machine went away under it."""
    row.status = "waiting"
    screen.note(f"! {row.cell.cell_id}: {ending.detail or 'its machine is lost'}; it runs again")


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
