"""The cells of a speed benchmark: each a fresh process, and a row of a CSV that is kept.

A row that says ``ok`` is not measured again, so that a benchmark that was stopped goes on; one that
failed keeps its row with the reason, and is tried again by the next start.
"""

from __future__ import annotations

import csv
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from speed_own import PHASES, Job
from speed_tables import MIB

from bakeoff.comparisons.running.host import host, version
from bakeoff.comparisons.tables import replace_file

Cell = Mapping[str, object]
"""What is measured: the columns that name a row."""

Row = dict[str, str]

CHILD = Path(__file__).with_name("speed_child.py")


SETTINGS = ("warmup", "updates", "threads", "knobs")
"""The columns that are the same in all cells of one start."""


class Failed(Exception):
    """A process that ended without a result; the text is the reason."""


def measured(kind: str, job: Job) -> dict[str, Any]:
    """Do a job in a fresh process; return what it measured.

    Raises:
        Failed: it ended otherwise.
    """
    task = json.dumps([kind, job._asdict()])
    threads = str(job.threads or len(os.sched_getaffinity(0)))
    done = subprocess.run(
        [sys.executable, str(CHILD)],
        input=task,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false"},
    )
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise Failed(f"exit code {done.returncode}: {' '.join(last.split())[:300]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Results:
    """The rows of a CSV.

    Attributes:
        rows: all of them, in the order in which they were measured.
    """

    def __init__(self, path: Path) -> None:
        """Take up the rows of a file, if it is there."""
        self.path = path
        self.rows: list[Row] = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                self.rows = list(csv.DictReader(file))

    def find(self, cell: Cell) -> Row | None:
        """Return a cell's row, if it was measured."""
        wanted = {name: str(value) for name, value in cell.items()}
        return next((row for row in self.rows if wanted.items() <= row.items()), None)

    def of(self, **cell: object) -> list[Row]:
        """Return all rows that did not fail and have these values."""
        wanted = {"status": "ok", **{name: str(value) for name, value in cell.items()}}
        return [row for row in self.rows if wanted.items() <= row.items()]

    def put(self, cell: Cell, values: Mapping[str, object]) -> Row:
        """Write a cell's row, in the place of an earlier one."""
        row = {name: str(value) for name, value in {**cell, **values}.items()}
        earlier = self.find(cell)
        self.rows = [one for one in self.rows if one is not earlier] + [row]
        columns = list(dict.fromkeys(name for one in self.rows for name in one))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.path, text.getvalue().encode())
        return row


def fill(
    results: Results,
    cell: Cell,
    measure: Callable[[], Mapping[str, object]],
    progress: str,
) -> Row:
    """Return a cell's row, measured now unless that was done before; say so on standard error."""
    earlier = results.find(cell)
    name = ", ".join(str(value) for key, value in cell.items() if key not in SETTINGS)
    if earlier is not None and earlier["status"] == "ok":
        print(f"{progress} {name}: kept", file=sys.stderr, flush=True)
        return earlier
    start, load = time.perf_counter(), os.getloadavg()[0]
    try:
        values = {"status": "ok", "reason": "", **measure()}
    except Failed as error:
        values = {"status": "failed", "reason": str(error)}
    row = results.put(cell, {**values, **conditions(), "load_at_start": round(load, 2)})
    took = f"{time.perf_counter() - start:.0f} s"
    print(f"{progress} {name}: {row['reason'] or 'ok'} ({took})", file=sys.stderr, flush=True)
    return row


def medians(found: Mapping[str, Any]) -> dict[str, object]:
    """Return a run's columns: medians over its updates, and its memory.

    Example:
        >>> times = {name: {"wall_s": 1.0, "cpu_s": 2.0} for name in PHASES}
        >>> run = {"updates": [times], "baseline_bytes": 2**20, "peak_bytes": 3 * 2**20}
        >>> row = medians({**run, "asked": "", "tokens": 4})
        >>> row["wall_s"], row["cpu_s"], row["above_mib"]
        (4.0, 8.0, 2.0)
    """
    updates, columns = found["updates"], dict[str, object]()
    for kind in ("wall_s", "cpu_s"):
        each = [[update[phase][kind] for phase in PHASES] for update in updates]
        columns[kind] = statistics.median(map(sum, each))
        for phase, values in zip(PHASES, zip(*each, strict=True), strict=True):
            columns[f"{phase}_{kind}"] = statistics.median(values)
    baseline, peak = found["baseline_bytes"], found["peak_bytes"]
    memory = {"baseline_mib": baseline / MIB, "peak_mib": peak / MIB}
    rest = {"above_mib": (peak - baseline) / MIB, "asked": found["asked"]}
    return {**columns, **memory, **rest, "tokens": found["tokens"]}


def conditions() -> dict[str, object]:
    """Return what a row's numbers depend on, beside its cell."""
    facts = host()
    packages = {name: version(name) or "" for name in ("torch", "transformers", "trl")}
    commit = f"{facts['git_sha'] or ''}"[:12] + ("+changes" if _code_changed() else "")
    return {"commit": commit, **packages, "cpu": facts["cpu_model"], "cores": facts["cores"]}


def _code_changed() -> bool:
    """Tell whether files differ from the commit; the documentation, rows included, may."""
    command = ["git", "status", "--porcelain", "--", ".", ":(exclude)docs"]
    try:
        found = subprocess.run(command, cwd=CHILD.parents[1], capture_output=True, text=True)
    except OSError:
        return False
    return bool(found.stdout.strip())


def failures(results: Results) -> list[str]:
    """Return a line for each cell that failed, with the reason."""
    return [
        f"Failed: {', '.join(row[name] for name in list(row)[: list(row).index('status')])}: "
        f"{row['reason']}"
        for row in results.rows
        if row["status"] == "failed"
    ]


def said(rows: Sequence[Row], *more: str) -> str:
    """Return a line with what rows were measured under, and on which loads."""
    parts = list(more)
    for name in ("cpu", "cores", "commit", "torch", "transformers", "trl"):
        found = dict.fromkeys(row[name] for row in rows if row.get(name))
        if found:
            parts.append(f"{name} {', '.join(found)}")
    loads = [float(row["load_at_start"]) for row in rows]
    if loads:
        parts.append(f"load before a process {min(loads):.1f} to {max(loads):.1f}")
    return "; ".join(parts)
