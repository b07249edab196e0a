"""One run in the processes that ``torchrun`` or ``accelerate launch`` has started, this being one.

Rank 0 does what the driver does elsewhere: it prepares the folder, says how far the run is, and
writes the tables and the report. The other ranks wait for the cell's folder, and run the cell too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.comparisons.cell.cell import Cell
from bakeoff.comparisons.running import contamination, folder
from bakeoff.comparisons.running.attempts import pending, prepare
from bakeoff.comparisons.running.checks import check, fetch_models
from bakeoff.comparisons.running.content import with_content
from bakeoff.comparisons.running.endings import progress_of
from bakeoff.comparisons.running.grid import CellSpec, Experiment, cells
from bakeoff.comparisons.running.preflight import outlook
from bakeoff.comparisons.running.progress import CellRow, Screen, shown
from bakeoff.comparisons.running.ranks import rank_here
from bakeoff.comparisons.running.room import writing
from bakeoff.comparisons.running.stale import due_with_stale
from bakeoff.comparisons.running.work import variables
from bakeoff.errors import UsageError
from bakeoff.training.devices.world import world

if TYPE_CHECKING:
    from bakeoff.training.loop import Training
    from bakeoff.training.reports import Report


class ShownCell(Cell):
    """A cell whose own process says how far it is.

    Attributes:
        screen: what shows it, on rank 0.
        row: what is shown.
    """

    screen: Screen = Screen()
    row: CellRow | None = None

    def reports(self, training: Training) -> Iterator[Report]:
        """Train, and say so after each update."""
        for report in super().reports(training):
            yield report
            if self.row is not None:
                progress = progress_of(self.folder)
                self.row.see(progress.get("elapsed_s") or 0.0, progress)
                self.screen.polled(self.row)


def run(
    experiment: Experiment, *, only: str | None = None, stale: str | None = None, quiet: bool
) -> int:
    """Run the one cell of an experiment, with all other ranks; return its exit code.

    Args:
        experiment: of one cell; the same on all ranks.
        only: as ``bakeoff.comparisons.running.driver.run`` takes it.
        stale: the same.
        quiet: say nothing of how far it is.

    Raises:
        UsageError: the run is not possible, or this rank cannot see its folder.
    """
    device = experiment.config.get("device", "auto")
    if rank_here():
        place = world(device).first(None)
        return 0 if place is None else _run(Path(place))
    check(experiment)
    out, code = experiment.out, 0
    with writing(out), folder.locked(out):
        due = _due(experiment, only, stale, quiet=quiet)
        if due is None:
            world(device).first(None)
        else:
            row = CellRow(due, status="running")
            with shown([row], quiet=quiet) as screen:
                place = folder.place(out, due).resolve()
                screen.started(row)
                world(device).first(str(place))
                code = _run(place, screen, row)
                ended = folder.status(out, due)
                row.status = "interrupted" if ended is None else ended["status"]
                screen.ended(row)
        from bakeoff.comparisons.report import report

        report.write(out)
    return code


def _due(
    experiment: Experiment, only: str | None, stale: str | None, *, quiet: bool
) -> CellSpec | None:
    """Return the cell, its folder made ready; ``None`` if it has ended already."""
    out = experiment.out
    experiment = folder.settle(experiment)
    grid = with_content(cells(experiment))
    due = pending(out, grid, only=only)
    _, due = due_with_stale(out, grid, due, stale)
    fetch_models({cell.model for cell in due})
    seen = outlook(experiment, due)
    folder.record(experiment)
    folder.record_host(out)
    if not due:
        return None
    contamination.record(experiment)
    for note in () if quiet else seen.notes:
        print(f"! {note}", flush=True)
    return prepare(out, due[0])


def _run(place: Path, screen: Screen | None = None, row: CellRow | None = None) -> int:
    """Run the cell of a folder in this process."""
    if not (place / "spec.json").exists():
        raise UsageError(
            f"rank {rank_here()} does not see {place}: --out must be on a file system that all "
            "machines of a run share"
        )
    cell = ShownCell(place)
    os.environ.update(variables(folder.cell_of(cell.spec)))
    if screen is not None:
        cell.screen, cell.row = screen, row
    return cell.run()
