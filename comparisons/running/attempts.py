"""Cells and their attempts: which are to run, which may go on, what is kept of those before.

Nothing that had ended well is deleted here; what cannot be used is set aside.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bakeoff.comparisons.running.content import resumed
from bakeoff.comparisons.running.folder import cell_of, place, read_json, status, write_json
from bakeoff.comparisons.running.grid import CellSpec
from bakeoff.comparisons.running.ranks import FAILURE
from bakeoff.errors import UsageError

RESUMABLE = ("interrupted", "timeout", "oom")
"""Cut off from outside: such a cell may go on from its checkpoint, as may one that was killed; any
other starts anew."""

FAILED = ("oom", "timeout", "diverged", "error")

ONLY = ("failed",)
"""What a run of a grid may be restricted to."""

SET_ASIDE = "set_aside"
"""The folder, beside ``cells``, of cells that were replaced, or were broken."""


def pending(out: Path, grid: Sequence[CellSpec], *, only: str | None = None) -> list[CellSpec]:
    """Return the cells to run: those that have not ended, or were interrupted.

    A cell whose ``spec.json`` cannot be read counts as not ended: its rows belong to nothing.

    Args:
        out: the results folder.
        grid: the cells to choose from.
        only: ``failed`` for those that failed, and no others.

    Raises:
        UsageError: a ``status.json`` is broken.
    """

    def due(cell: CellSpec) -> bool:
        found = status(out, cell)
        if only == "failed":
            return found is not None and found["status"] in FAILED
        ended = found is not None and found["status"] != "interrupted"
        return not ended or _spec(place(out, cell)) is None

    return [cell for cell in grid if due(cell)]


def made(out: Path, kind: str = "cells") -> list[CellSpec]:
    """Return the cells that a folder holds, asked for or not, as their ``spec.json`` says it.

    One that cannot be read is left out; what an older version did not write is as by default.

    Args:
        out: the results folder.
        kind: which of its folders is looked in.
    """
    found = []
    for path in sorted(out.glob(f"{kind}/*")):
        with suppress(TypeError):  # something is missing that has no default
            found.append(cell_of(_spec(path) or {}))
    return found


def lasts(out: Path, cell: CellSpec, *, due: bool) -> bool:
    """Tell whether what a cell has done lasts: it has ended, or will go on from a checkpoint.

    Args:
        out: the results folder.
        cell: which one.
        due: whether it is to run.
    """
    try:
        ended = status(out, cell)
    except UsageError:
        return False
    if not due:
        return ended is not None
    return _resumable(ended) and any(place(out, cell).glob("checkpoint*"))


def set_aside(out: Path, folder: Path) -> None:
    """Move a folder in ``out`` to ``set_aside/``, under a name that is free there."""
    (out / SET_ASIDE).mkdir(exist_ok=True)
    number, target = 1, out / SET_ASIDE / folder.name
    while target.exists():
        number += 1
        target = target.with_name(f"{folder.name}.{number}")
    os.rename(folder, target)


def prepare(out: Path, cell: CellSpec) -> CellSpec:
    """Make a cell's folder ready for its next attempt and return the cell with its number.

    What an attempt that may not go on has left is deleted, but for its log. A folder that does not
    say what it is of is set aside.
    """
    folder = place(out, cell)
    ended, before = status(out, cell), _spec(folder)
    if before is None and folder.exists() and any(path.name[0] != "." for path in folder.iterdir()):
        set_aside(out, folder)
    elif not _resumable(ended):
        _clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for ending in ("status.json", FAILURE):
        (folder / ending).unlink(missing_ok=True)
    for torn in (*folder.glob(".*.part"), *folder.glob(".*.partial")):
        torn.unlink()  # left by a process that was killed while it wrote
    goes_on = any(folder.glob("checkpoint*"))
    if not goes_on:  # else the next attempt goes on, and so does its clock
        (folder / "progress.json").unlink(missing_ok=True)
    attempts = before.get("attempt", 1) if before else 0
    cell = dataclasses.replace(cell, attempt=attempts + 1)
    if goes_on and before:
        cell = resumed(cell, before)
    _divide(folder / "log.txt", cell.attempt)
    write_json(folder / "spec.json", dataclasses.asdict(cell))
    return cell


def _spec(folder: Path) -> dict[str, Any] | None:
    """Return the ``spec.json`` of a cell's folder, ``None`` if none can be read."""
    try:
        return read_json(folder / "spec.json")
    except UsageError:
        return None


def _resumable(ended: Mapping[str, Any] | None) -> bool:
    killed = ended is not None and ended.get("exit_code") == -signal.SIGKILL
    return ended is None or ended["status"] in RESUMABLE or killed


def _clear(folder: Path) -> None:
    """Empty a cell's folder but for its log; the status goes last, lest a kill let it go on."""
    if not folder.exists():
        return
    for path in sorted(folder.iterdir(), key=lambda path: path.name == "status.json"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != "log.txt":
            path.unlink()


def _divide(log: Path, attempt: int) -> None:
    """Say in a log with something in it where the next attempt begins."""
    if log.exists() and log.stat().st_size:
        with log.open("a", encoding="utf-8") as file:
            file.write(f"--- attempt {attempt} ---\n")
