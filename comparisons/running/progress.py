"""How a grid's progress is shown: a live table in a terminal, plain lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.budgets import budget_of, ends_runs
from bakeoff.comparisons.running.grid import CellSpec

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

LINE_EVERY_S = 10.0
COLUMNS = ("cell", "status", "update", "reward", "eval", "tokens/s", "time")


@dataclass
class CellRow:
    """What is shown of one cell; the driver keeps it up to date.

    Attributes:
        cell: which one.
        status: ``waiting``, ``running``, or how it ended.
        elapsed_s: seconds it has taken, or took.
        progress: its ``progress.json``.
    first: seconds, and how far it was, when it was first seen to have finished an update; what came
        before, such as imports, says nothing about the pace.
    """

    cell: CellSpec
    status: str = "waiting"
    elapsed_s: float = 0.0
    progress: Mapping[str, Any] = field(default_factory=dict)
    first: tuple[float, float] | None = None

    def see(self, elapsed_s: float, progress: Mapping[str, Any]) -> None:
        """Take note of how far the cell is."""
        self.elapsed_s, self.progress = elapsed_s, progress
        if self.first is None and progress.get("update"):
            self.first = elapsed_s, _way(progress)[0]


class Screen:
    """What the driver tells of a grid's life; this one says nothing of it."""

    def started(self, row: CellRow) -> None:
        """Say that a cell has started."""

    def polled(self, row: CellRow) -> None:
        """Take note of a cell's progress."""

    def ended(self, row: CellRow) -> None:
        """Say how a cell ended."""

    def note(self, text: str) -> None:
        """Say something about the grid."""


class Lines(Screen):
    """Lines with the time of day: one when a cell starts, one every 10 s, one when it ends."""

    def __init__(self, rows: Sequence[CellRow]) -> None:
        self.rows = rows
        self._last_s: dict[str, float] = {}

    def started(self, row: CellRow) -> None:
        """Say that a cell has started."""
        self._say(row, "starts")

    def polled(self, row: CellRow) -> None:
        """Say how far a cell is, if the last line is 10 s old."""
        if row.elapsed_s - self._last_s.get(row.cell.cell_id, 0.0) >= LINE_EVERY_S:
            self._last_s[row.cell.cell_id] = row.elapsed_s
            eta = remaining_s(self.rows)
            rest = "" if eta is None else f", the grid needs about {duration(eta)} more"
            self._say(row, f"{_words(row)}{rest}")

    def ended(self, row: CellRow) -> None:
        """Say how a cell ended."""
        self._say(row, f"{row.status}: {_words(row)}")

    def note(self, text: str) -> None:
        """Say something about the grid."""
        print(text, flush=True)

    def _say(self, row: CellRow, text: str) -> None:
        place = f"[{self.rows.index(row) + 1}/{len(self.rows)}]"
        print(f"{time.strftime('%H:%M:%S')} {place} {row.cell.cell_id} {text}", flush=True)


class LiveTable(Screen):
    """A table of all cells that is drawn anew as they go."""

    def __init__(self, rows: Sequence[CellRow], live: Live) -> None:
        self.rows, self.live = rows, live

    def started(self, row: CellRow) -> None:
        """Draw the table."""
        self._draw()

    def polled(self, row: CellRow) -> None:
        """Draw the table."""
        self._draw()

    def ended(self, row: CellRow) -> None:
        """Draw the table."""
        self._draw()

    def note(self, text: str) -> None:
        """Write a line above the table."""
        self.live.console.print(text, markup=False, highlight=False)

    def _draw(self) -> None:
        room = max(3, self.live.console.height - 6)
        table = _table(window(self.rows, room), labels(self.rows))
        ended = sum(row.status not in ("waiting", "running") for row in self.rows)
        eta = remaining_s(self.rows)
        rest = f", about {duration(eta)} to go" if eta else ""
        table.caption = f"{ended} of {len(self.rows)} cells have ended{rest}"
        self.live.update(table, refresh=True)


@contextmanager
def shown(rows: Sequence[CellRow], *, quiet: bool) -> Iterator[Screen]:
    """Yield the screen that suits: nothing, plain lines, or a live table in a terminal."""
    if quiet:
        yield Screen()
    elif not sys.stdout.isatty():
        yield Lines(rows)
    else:
        from rich.live import Live

        with Live(auto_refresh=False) as live:
            yield LiveTable(rows, live)


def remaining_s(rows: Sequence[CellRow]) -> float | None:
    """Return the seconds the grid will still need, or ``None`` while nothing is known of them.

    A cell that waits will take the mean time of those that ended ``ok``; if there is none yet, the
    time that the running one is heading for. Where several run at a time they share the rest.
    """
    ended = [row.elapsed_s for row in rows if row.status == "ok" and row.elapsed_s > 0]
    running = [row for row in rows if row.status == "running"]
    heading_for = [_heading_for_s(row) for row in running]
    known = ended or [seconds for seconds in heading_for if seconds is not None]
    if not known:
        return None
    typical = sum(known) / len(known)
    rest = sum(row.status == "waiting" for row in rows) * typical
    for row, seconds in zip(running, heading_for, strict=True):
        rest += max(0.0, (typical if seconds is None else seconds) - row.elapsed_s)
    return rest / max(1, len(running))


def duration(seconds: float) -> str:
    """Return a time span for people.

    Example:
        >>> duration(42.3), duration(200), duration(7300)
        ('42 s', '3 min 20 s', '2 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def window(rows: Sequence[CellRow], room: int) -> Sequence[CellRow]:
    """Return as many rows as there is room for, the running one among them."""
    at = next((i for i, row in enumerate(rows) if row.status == "running"), 0)
    first = max(0, min(at - room // 2, len(rows) - room))
    return rows[first : first + room]


def labels(rows: Sequence[CellRow]) -> dict[str, str]:
    """Return a short name for each cell id: what all cells have in common is left out.

    Example:
        >>> from bakeoff.comparisons.running.grid import cells, plan
        >>> grid = cells(plan(algorithms=["grpo", "ppo"], seeds=1))
        >>> list(labels([CellRow(cell) for cell in grid]).values())
        ['grpo s0', 'ppo s0']
    """
    keys = [
        key for key in ("environment", "model") if len({getattr(row.cell, key) for row in rows}) > 1
    ]
    return {
        cell.cell_id: " ".join(
            [
                cell.algorithm,
                *(getattr(cell, k) for k in keys),
                f"s{cell.seed}",
                *(["again"] if cell.repeat else []),
            ]
        )
        for cell in (row.cell for row in rows)
    }


def _way(progress: Mapping[str, Any]) -> tuple[float, float]:
    """Return how far a cell is, and how far it has to go: in parts of the whole, or in updates."""
    if progress.get("done_frac"):
        return progress["done_frac"], 1.0
    return progress.get("update") or 0, progress.get("updates") or 0


def _heading_for_s(row: CellRow) -> float | None:
    done, whole = _way(row.progress)
    if row.first is None or not done or not whole or done == row.first[1]:
        return None
    first_s, first_done = row.first
    pace_s: float = (row.elapsed_s - first_s) / (done - first_done)
    return first_s + pace_s * (whole - first_done)


def _fields(row: CellRow) -> dict[str, str]:
    def number(key: str, form: str) -> str:
        value = row.progress.get(key)
        return format(value, form) if isinstance(value, int | float) else ""

    done, updates = row.progress.get("update"), row.progress.get("updates", "?")
    of = f"/{updates}"
    if ends_runs(budget_of(row.cell.config)):
        of = f" ({number('done_frac', '.0%')})"
    return {
        "status": row.status,
        "update": "" if done is None else f"{done}{of}",
        "reward": number("reward", ".3f"),
        "eval": number("eval_score", ".3f"),
        "tokens/s": number("tokens_per_s", ".0f"),
        "time": duration(row.elapsed_s) if row.elapsed_s else "",
    }


def _words(row: CellRow) -> str:
    fields = _fields(row)
    parts = [f"{name} {fields[name]}" for name in ("update", "reward", "eval") if fields[name]]
    parts += [f"{fields['tokens/s']} tokens/s"] if fields["tokens/s"] else []
    return ", ".join([*parts, duration(row.elapsed_s)])


def _table(rows: Sequence[CellRow], names: Mapping[str, str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("cell", "status") else "right")
    colours = {"running": "bold", "ok": "green", "waiting": "dim", "interrupted": "yellow"}
    for row in rows:
        style = colours.get(row.status, "red")
        label = Text(names[row.cell.cell_id])
        table.add_row(label, *(Text(text) for text in _fields(row).values()), style=style)
    return table
