"""Runs in a folder that were made by other code than those that are due would be.

Comparing them compares the code, too. So nothing is run until it is said what is to become of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bakeoff.comparisons.running.attempts import lasts, made, set_aside
from bakeoff.comparisons.running.audits import FOLDER as AUDITS
from bakeoff.comparisons.running.audits import ended as audit_ended
from bakeoff.comparisons.running.content import changes, with_content
from bakeoff.comparisons.running.folder import place
from bakeoff.comparisons.running.grid import CellSpec
from bakeoff.comparisons.wording import and_list
from bakeoff.errors import UsageError

CHOICES = ("keep", "rerun")


def due_with_stale(
    out: Path, grid: Sequence[CellSpec], due: Sequence[CellSpec], choice: str | None
) -> tuple[list[CellSpec], list[CellSpec]]:
    """Return the grid and its due cells, once it is settled what becomes of runs by other code.

    These are the runs in the folder that have ended, and those that would go on from a checkpoint,
    and the audits. If nothing is due, nothing is asked; ``rerun`` makes them due even then.

    Args:
        out: the results folder, which this process has locked.
        grid: the cells that were asked for.
        due: those of them to run.
        choice: ``keep`` leaves such runs as they are; ``rerun`` sets them aside, under
            ``set_aside/``, and makes them due, in the grid or not; audits go with them.

    Raises:
        UsageError: there are such runs, and no choice.
    """
    if choice == "keep" or not (due or choice == "rerun"):
        return list(grid), list(due)
    waiting = {cell.cell_id for cell in due}
    found = _stale([cell for cell in made(out) if lasts(out, cell, due=cell.cell_id in waiting)])
    audits = _stale([audit for audit in made(out, AUDITS) if audit_ended(out, audit)])
    if not (found or audits):
        return list(grid), list(due)
    if choice is None:
        what = dict.fromkeys(text for _, texts in [*found, *audits] for text in texts)
        kinds = {"run": found, "audit": audits}
        there = [f"{len(n)} {kind}{'s'[: len(n) > 1]}" for kind, n in kinds.items() if n]
        raise UsageError(
            f"{out} holds {and_list(there)} made with other code ({'; '.join(what)}): "
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


def _stale(then: Sequence[CellSpec]) -> list[tuple[CellSpec, list[str]]]:
    """Return the runs by other code as they would be made now, each with what differs."""
    pairs = zip(then, with_content(then), strict=True)
    found = [(now, changes(before.content, now.content)) for before, now in pairs]
    return [(cell, texts) for cell, texts in found if texts]
