"""The trackers of one run: each is shown the rows of ``curves.csv`` after they were written.

The files come first: a tracker that fails is dropped with one line in the cell's log, and the run
goes on. What it takes is in the run's ``wall_s``, never in an update's time; its memory is in
``process_baseline``, as far as it is held before the models are.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from bakeoff.comparisons.cell.failures import first_line
from bakeoff.comparisons.schema import CURVES_COLUMNS

AXES = CURVES_COLUMNS[CURVES_COLUMNS.index("completion_tokens") :]
"""The x-axes of ``curves.csv`` besides the update, which is the trackers' step."""


class Tracker(Protocol):
    """What each adapter makes: ``Run(folder, spec, first)`` begins to show a run.

    ``folder`` and ``spec`` are the cell's, ``first`` is the first update that will be shown: 0, or
    the one after a checkpoint's.
    """

    def show(self, values: Mapping[str, float], update: int) -> None:
        """Show what was measured after an update."""

    def close(self, *, ok: bool) -> None:
        """Show that the run has ended, and whether it did so well."""


class Tracking:
    """All trackers of a run that have not failed."""

    def __init__(
        self, names: Sequence[str], folder: Path, spec: Mapping[str, Any], first: int
    ) -> None:
        """Begin to show a run.

        Args:
            names: of trackers, as in ``registry.TRACKERS``.
            folder: the cell's.
            spec: the cell's.
            first: the first update that will be shown.
        """
        self.trackers: dict[str, Tracker] = {}
        for name in names:
            with self._dropped_if_failing(name):
                module = importlib.import_module(f"{__package__}.{name}")
                self.trackers[name] = module.Run(folder, spec, first)

    def show(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Show the rows of one update."""
        if not rows:
            return
        values, update = values_of(rows), int(rows[0]["update"])
        for name, tracker in list(self.trackers.items()):
            with self._dropped_if_failing(name):
                tracker.show(values, update)

    def close(self, *, ok: bool) -> None:
        """Show that the run has ended."""
        for name, tracker in list(self.trackers.items()):
            with self._dropped_if_failing(name):
                tracker.close(ok=ok)

    @contextmanager
    def _dropped_if_failing(self, name: str) -> Iterator[None]:
        try:
            yield
        except (Exception, SystemExit) as error:
            self.trackers.pop(name, None)
            why = f"{type(error).__name__}: {first_line(error)}"
            print(f"bakeoff: the tracker {name} is dropped: {why}", file=sys.stderr, flush=True)


def values_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return what trackers are shown of the rows of one update: metrics and axes by name.

    A metric is ``split/metric`` as in ``curves.csv``; an axis is ``axes/`` and its column.

    Example:
        >>> row = {"split": "eval", "metric": "score/mean", "value": 0.5, "completion_tokens": 90}
        >>> values_of([row])
        {'eval/score/mean': 0.5, 'axes/completion_tokens': 90}
    """
    axes = {f"axes/{axis}": rows[0].get(axis) for axis in AXES}
    return {
        **{f"{row['split']}/{row['metric']}": row["value"] for row in rows},
        **{name: value for name, value in axes.items() if value is not None},
    }


def described(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a tracker is told of a run: its key in the tables, and its settings."""
    names = ("run_id", "algorithm", "environment", "model", "seed", "repeat", "attempt")
    return {**{name: spec.get(name) for name in names}, **spec["config"]}


def family(spec: Mapping[str, Any]) -> str:
    """Return what the runs of an algorithm that differ in their seeds alone have in common.

    Example:
        >>> family({"algorithm": "grpo", "environment": "bakeoff/Countdown-v0", "model": "tiny"})
        'grpo bakeoff/Countdown-v0 tiny'
    """
    return " ".join(str(spec[name]) for name in ("algorithm", "environment", "model"))
