"""What a launcher is: it places the one command of a cell, and says how it ended.

A cell is prepared in its folder under the results before it is handed over, and is over when its
``status.json`` is there; nothing else about cells depends on where they run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bakeoff.comparisons.running.grid import CellSpec
from bakeoff.comparisons.running.process import Ending


@dataclass(frozen=True)
class Order:
    """A cell to be run.

    Attributes:
        cell: which one, with the number of its attempt.
        folder: its folder, which holds its ``spec.json``; its log goes to ``log.txt`` there.
        command: what runs it; the folder is the last argument, and not in it.
        timeout_s: seconds it may take, or ``None``.
    """

    cell: CellSpec
    folder: Path
    command: Sequence[str]
    timeout_s: float | None


class Started(Protocol):
    """A cell that was handed over; ``bakeoff.comparisons.running.process.Watched`` is one."""

    @property
    def elapsed_s(self) -> float:
        """Seconds since its start."""

    @property
    def at_work(self) -> bool:
        """Whether it has begun; it may have to wait first where it was handed over."""

    def poll(self, *, stop: bool = False) -> Ending | None:
        """Return how it ended, ``None`` while it is at work; if it is to stop, it is ended.

        The reason ``lost`` is that of a machine that went away: the cell is run once more.
        """

    def wait(self, seconds: float) -> None:
        """Wait until there may be something to poll, but no longer than that."""

    def end(self) -> None:
        """Leave it: end it, or see to it that nothing of it is left behind; twice is once."""


class Launcher(Protocol):
    """Starts cells.

    Attributes:
        parallel: how many cells it has at work on one machine at a time.
        here: whether that machine is this one.
        notes: what is to be said before the first cell, once cells were accepted.
    """

    parallel: int
    here: bool
    notes: Sequence[str]

    def accept(self, cells: Sequence[CellSpec]) -> None:
        """Accept the cells that are due, before anything is written.

        Raises:
            UsageError: they cannot run there; the text is one line.
        """

    def takes(self, cell: CellSpec, at_work: Sequence[CellSpec]) -> bool:
        """Tell whether it can start a cell now.

        Args:
            cell: the one in question.
            at_work: those that it has started and that have not ended.
        """

    def adopted(self, order: Order) -> Started | None:
        """Return a cell that an earlier driver handed over and that is still out, if it is."""

    def start(self, order: Order) -> Started:
        """Start a cell."""
