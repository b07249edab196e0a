"""Cells on this machine, each a process of this one."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.comparisons.running.grid import CellSpec
from bakeoff.comparisons.running.launchers.protocol import Order
from bakeoff.comparisons.running.process import Watched
from bakeoff.comparisons.running.ranks import processes, ranked
from bakeoff.comparisons.running.work import variables


class Local:
    """Starts cells as processes, so many at a time."""

    here = True
    notes: Sequence[str] = ()

    def __init__(self, parallel: int, lock: int | None) -> None:
        """Take note of how many at a time, and of the lock, if any, which they inherit."""
        self.parallel = parallel
        self._inherit = () if lock is None else (lock,)

    def accept(self, cells: Sequence[CellSpec]) -> None:
        """Accept all: what they need was asked of this machine already."""

    def takes(self, cell: CellSpec, at_work: Sequence[CellSpec]) -> bool:
        """Tell whether fewer are at work than may be."""
        return len(at_work) < self.parallel

    def adopted(self, order: Order) -> None:
        """Return nothing: the lock keeps a second driver away while a cell of the first lives."""

    def start(self, order: Order) -> Watched:
        """Start a cell."""
        place = order.folder.resolve()
        watched = Watched(
            [*ranked(order.command, order.cell, place), str(place)],
            log=order.folder / "log.txt",
            environment=variables(order.cell),
            inherit=self._inherit,
        )
        watched.timeout_s = order.timeout_s
        watched.memory_limit_bytes = order.cell.memory_limit_bytes
        watched.has_ranks = processes(order.cell) > 1
        return watched
