"""The driver: runs the cells of a comparison one at a time and keeps the results folder in order.

A cell is a command in a fresh process, so that its peak memory is its own, and what kills it kills
nothing else. Cells run alone, one after another: what else runs beside a timed cell is in its
times. The driver never imports torch.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.comparisons.running import contamination, folder
from bakeoff.comparisons.running.checks import CELL_MODULE, check, last_line
from bakeoff.comparisons.running.endings import advice, progress_of, status_of_killed, tail
from bakeoff.comparisons.running.grid import CellSpec, Experiment, cells
from bakeoff.comparisons.running.process import interruptions, watch
from bakeoff.comparisons.running.progress import CellRow, Screen, shown
from bakeoff.comparisons.wording import NO_SANDBOX
from bakeoff.errors import UsageError
from bakeoff.training.config import AUTO_SANDBOX

CELL_COMMAND = (sys.executable, "-P", "-m", CELL_MODULE)
FETCHED_MODELS = ("smollm2",)
LOG_LINES = 12


@dataclass(frozen=True)
class Site:
    """Where and how cells run: their folder, their command, the lock they inherit."""

    out: Path
    command: Sequence[str]
    lock: int
    timeout_s: float | None
    stop: Callable[[], bool]


def run(
    experiment: Experiment,
    *,
    retry: bool = False,
    quiet: bool = False,
    command: Sequence[str] = CELL_COMMAND,
) -> Path:
    """Run every cell of a comparison that has not ended yet, write its report, return its folder.

    Args:
        experiment: what to compare; ``bakeoff.comparisons.running.grid.plan`` makes one.
        retry: run the cells that failed once more as well.
        quiet: print nothing.
        command: what runs a cell; the cell's folder is added to it.

    Raises:
        UsageError: the comparison is not possible; nothing has been written or lost.
        KeyboardInterrupt: it was interrupted; what had ended is intact, and another call goes on.
    """
    from bakeoff.comparisons.report import report

    check(experiment)
    unended = folder.pending(experiment.out, cells(folder.settle(experiment)), retry=retry)
    fetch_models({cell.model for cell in unended})
    with folder.locked(experiment.out) as lock:
        experiment = folder.settle(experiment)
        grid = cells(experiment)
        due = folder.pending(experiment.out, grid, retry=retry)
        folder.record(experiment)
        folder.record_host(experiment.out)
        if due:
            contamination.record(experiment)
        rows = [_row(experiment.out, cell, due) for cell in grid]
        with interruptions() as stop:
            timeout_s = experiment.cell_timeout
            site = Site(experiment.out, command, lock, timeout_s, stop)
            with shown(rows, quiet=quiet) as screen:
                _announce(screen, experiment.out, grid, due)
                _run_all(site, rows, screen)
            if stop():
                raise KeyboardInterrupt
            report.write(experiment.out)
    return experiment.out


def fetch_models(models: set[str]) -> None:
    """Download and convert the models that need it, in a process of its own, which says so.

    Raises:
        UsageError: one of them cannot be had.
    """
    for name in sorted(models.intersection(FETCHED_MODELS)):
        command = [sys.executable, "-m", "bakeoff", "models", "fetch", name]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise UsageError(last_line(done.stderr) or f"the model {name} cannot be fetched")


def statuses(experiment: Experiment) -> list[str | None]:
    """Return how the cells of a comparison ended, ``None`` for those that have not, in order."""
    settled = folder.settle(experiment)
    found = [folder.status(settled.out, cell) for cell in cells(settled)]
    return [None if status is None else str(status["status"]) for status in found]


def _run_all(site: Site, rows: Sequence[CellRow], screen: Screen) -> None:
    for row in rows:
        if row.status != "waiting":
            continue
        if site.stop():
            return
        status = _run_cell(site, row, screen)
        screen.ended(row)
        _explain(screen, folder.place(site.out, row.cell), status)
        _rebuild(site.out, screen)


def _run_cell(site: Site, row: CellRow, screen: Screen) -> dict[str, Any]:
    """Run one cell and return its status, which is on disk by then whatever became of it."""
    row.cell = cell = folder.prepare(site.out, row.cell)
    place = folder.place(site.out, cell)
    row.status = "running"
    screen.started(row)

    def polled(elapsed_s: float) -> None:
        row.see(elapsed_s, progress_of(place))
        screen.polled(row)

    ending = watch(
        [*site.command, str(place.resolve())],
        log=place / "log.txt",
        environment=_variables(cell.config),
        timeout_s=site.timeout_s,
        memory_limit_bytes=cell.memory_limit_bytes,
        on_poll=polled,
        stop=site.stop,
        inherit=(site.lock,),
    )
    try:
        status = folder.status(site.out, cell)
    except UsageError:
        status = None  # what the cell left is unreadable: it counts as having left nothing
    if status is None:
        status = status_of_killed(cell, ending, place)
        folder.write_json(place / "status.json", status)
    row.status = status["status"]
    row.see(ending.wall_s, progress_of(place))
    return status


def _variables(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables of a cell; the sandbox is never the shell's, unrecorded."""
    own = {"PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
    own["BAKEOFF_SANDBOX"] = config.get("sandbox", AUTO_SANDBOX)
    if config["threads"]:
        own["OMP_NUM_THREADS"] = str(config["threads"])
    return {**os.environ, **own}


def _row(out: Path, cell: CellSpec, due: Sequence[CellSpec]) -> CellRow:
    ended = folder.status(out, cell)
    if cell in due or ended is None:
        return CellRow(cell)
    progress = progress_of(folder.place(out, cell))
    return CellRow(cell, ended["status"], ended.get("wall_s") or 0.0, progress)


def _announce(screen: Screen, out: Path, grid: Sequence[CellSpec], due: Sequence[CellSpec]) -> None:
    count = f"{len(due)} cell{'' if len(due) == 1 else 's'}"
    done = len(grid) - len(due)
    rest = f"; {done} of {len(grid)} have ended already" if done else ""
    screen.note(f"{count} to run in {out}{rest}")
    if any(cell.config.get("sandbox") == "none" for cell in due):
        screen.note(f"! {NO_SANDBOX}")


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
