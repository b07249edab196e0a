"""The driver: has the cells of a comparison run, and keeps the results folder in order.

A cell is a command in a fresh process, so that its peak memory is its own, and what kills it kills
nothing else. The driver never imports torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from bakeoff.comparisons.running import contamination, folder, neighbours
from bakeoff.comparisons.running.attempts import ONLY, pending
from bakeoff.comparisons.running.audits import run_missing
from bakeoff.comparisons.running.checks import CELL_MODULE, check, fetch_models
from bakeoff.comparisons.running.content import with_content
from bakeoff.comparisons.running.endings import progress_of
from bakeoff.comparisons.running.given import ELSEWHERE
from bakeoff.comparisons.running.grid import CellSpec, Experiment, cells
from bakeoff.comparisons.running.launchers import opened
from bakeoff.comparisons.running.launchers.protocol import Launcher
from bakeoff.comparisons.running.preflight import Outlook, outlook, refuse
from bakeoff.comparisons.running.process import interruptions
from bakeoff.comparisons.running.progress import CellRow, Screen, shown
from bakeoff.comparisons.running.room import writing
from bakeoff.comparisons.running.share import check_share
from bakeoff.comparisons.running.stale import CHOICES, due_with_stale
from bakeoff.comparisons.running.work import Site, run_all
from bakeoff.comparisons.wording import NO_SANDBOX
from bakeoff.errors import UsageError, unknown

CELL_COMMAND = (sys.executable, "-P", "-m", CELL_MODULE)


def run(
    experiment: Experiment,
    *,
    only: str | None = None,
    stale: str | None = None,
    quiet: bool = False,
    command: Sequence[str] = CELL_COMMAND,
) -> Path:
    """Run every cell of a comparison that has not ended yet, write its report, return its folder.

    Args:
        experiment: what to compare; ``bakeoff.comparisons.running.grid.plan`` makes one.
        only: ``failed``: run the cells that failed once more, and no others.
        stale: what becomes of runs that were made by other code than these would be: ``keep`` or
            ``rerun``. By default such a folder is refused.
        quiet: print nothing.
        command: what runs a cell; the cell's folder is added to it.

    Raises:
        UsageError: the comparison is not possible; nothing has been written or lost.
        OSError: the folder cannot be written, or not any more; what had ended is intact.
        KeyboardInterrupt: it was interrupted; what had ended is intact, and another call goes on.
    """
    if only is not None and only not in ONLY:
        raise unknown("--only", only, ONLY)
    if stale is not None and stale not in CHOICES:
        raise unknown("--stale", stale, CHOICES)
    check(experiment)
    if experiment.launcher not in ELSEWHERE:
        check_share(experiment)
    if only is not None and not (experiment.out / "cells").is_dir():
        raise UsageError(f"--only {only}: nothing has been run in {experiment.out}; leave it out")
    unended = pending(experiment.out, cells(folder.settle(experiment)), only=only)
    fetch_models({cell.model for cell in unended})
    with writing(experiment.out), folder.locked(experiment.out) as lock:
        experiment = folder.settle(experiment)
        grid = with_content(cells(experiment))
        due = pending(experiment.out, grid, only=only)
        grid, due = due_with_stale(experiment.out, grid, due, stale)
        # a command of one's own may hold anything
        seen = outlook(experiment, due) if tuple(command) == CELL_COMMAND else Outlook()
        with opened(experiment, lock) as launcher:
            launcher.accept(seen.without_refused(due))
            folder.record(experiment)
            if launcher.here:
                folder.record_host(experiment.out)
            for cell, prediction in seen.refused:
                refuse(experiment.out, cell, prediction)
            due = seen.without_refused(due)
            if due:
                contamination.record(experiment)
            rows = [row for cell in grid if (row := _row(experiment.out, cell, due)) is not None]
            notes = [*seen.notes, *launcher.notes]
            _run(experiment, rows, launcher, quiet=quiet, command=command, notes=notes)
    return experiment.out


def statuses(experiment: Experiment) -> list[str | None]:
    """Return how the cells of a comparison ended, ``None`` for those that have not, in order."""
    settled = folder.settle(experiment)
    found = [folder.status(settled.out, cell) for cell in cells(settled)]
    return [None if status is None else str(status["status"]) for status in found]


def _run(
    experiment: Experiment,
    rows: Sequence[CellRow],
    launcher: Launcher,
    *,
    quiet: bool,
    command: Sequence[str],
    notes: Sequence[str],
) -> None:
    """Run the cells that wait, and write the report of all."""
    from bakeoff.comparisons.report import report

    out = experiment.out
    # a driver that only waits for other machines is in nobody's times
    at_work = neighbours.seen(out) if launcher.here else nullcontext(tuple)
    with at_work as others, interruptions() as stop:
        site = Site(out, command, launcher, experiment.cell_timeout, stop)
        with shown(rows, quiet=quiet) as screen:
            _announce(screen, out, rows)
            for note in notes:
                screen.note(f"! {note}")
            run_all(site, rows, screen, others)
            if experiment.audit:
                run_missing(experiment, site, screen)
        if stop():
            raise KeyboardInterrupt
        report.write(out)


def _row(out: Path, cell: CellSpec, due: Sequence[CellSpec]) -> CellRow | None:
    """Return what is shown of a cell, ``None`` if it is neither to run nor has ended."""
    if any(cell.cell_id == one.cell_id for one in due):
        return CellRow(cell)
    ended = folder.status(out, cell)
    if ended is None:
        return None
    progress = progress_of(folder.place(out, cell))
    return CellRow(cell, ended["status"], ended.get("wall_s") or 0.0, progress)


def _announce(screen: Screen, out: Path, rows: Sequence[CellRow]) -> None:
    due = [row.cell for row in rows if row.status == "waiting"]
    count = f"{len(due)} cell{'' if len(due) == 1 else 's'}"
    done = len(rows) - len(due)
    rest = f"; {done} of {len(rows)} have ended already" if done else ""
    screen.note(f"{count} to run in {out}{rest}")
    if any(cell.config.get("sandbox") == "none" for cell in due):
        screen.note(f"! {NO_SANDBOX}")
