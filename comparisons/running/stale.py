"""Runs in a folder that were made by other code than those that are due would be.

Comparing them compares the code, too. So nothing is run until it is said what is to become of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bakeoff.comparisons.running.attempts import lasts, made, set_aside
from bakeoff.comparisons.running.audits import FOLDER as AUDITS
from bakeoff.comparisons.running.content import changes, with_content
from bakeoff.comparisons.running.folder import place
from bakeoff.comparisons.running.grid import CellSpec
from bakeoff.errors import UsageError

CHOICES = ("keep", "rerun")


def due_with_stale(
    out: Path, grid: Sequence[CellSpec], due: Sequence[CellSpec], choice: str | None
) -> tuple[list[CellSpec], list[CellSpec]]:
    """Return the grid and its due cells, once it is settled what becomes of runs by other code.

    These are the runs in the folder that have ended, and those that would go on from a checkpoint.
    If nothing is due, nothing is asked; ``rerun`` makes them due even then.

    Args:
        out: the results folder, which this process has locked.
        grid: the cells that were asked for.
        due: those of them to run.
        choice: ``keep`` leaves such runs as they are; ``rerun`` sets them aside, under
            ``set_aside/``, and makes them due, in the grid or not; audits go with them.

    Raises:
        UsageError: there are such runs, and no choice.
    """
    found = _stale(out, {cell.cell_id for cell in due}) if due or choice == "rerun" else []
    if not found or choice == "keep":
        return list(grid), list(due)
    if choice is None:
        what = dict.fromkeys(text for _, texts in found for text in texts)
        runs = "1 run" if len(found) == 1 else f"{len(found)} runs"
        raise UsageError(
            f"{out} holds {runs} made with other code ({'; '.join(what)}): "
            "--stale keep leaves them beside the new ones, --stale rerun makes them anew"
        )
    for cell, _ in found:
        set_aside(out, place(out, cell))
    if (out / AUDITS).exists():
        set_aside(out, out / AUDITS)
    asked = {cell.cell_id for cell in grid}
    whole = [*grid, *(cell for cell, _ in found if cell.cell_id not in asked)]
    anew = {cell.cell_id for cell in (*due, *(cell for cell, _ in found))}
    return whole, [cell for cell in whole if cell.cell_id in anew]


def _stale(out: Path, due: set[str]) -> list[tuple[CellSpec, list[str]]]:
    """Return the runs by other code as they would be made now, each with what differs."""
    then = [cell for cell in made(out) if lasts(out, cell, due=cell.cell_id in due)]
    pairs = zip(then, with_content(then), strict=True)
    found = [(now, changes(before.content, now.content)) for before, now in pairs]
    return [(cell, texts) for cell, texts in found if texts]
