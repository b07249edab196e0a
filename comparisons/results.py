"""What the cells of a results folder have left behind, read as it is.

Nothing here trusts a folder to be whole: a cell whose files cannot be read costs one line in
``problems`` and its own rows, never those of another cell.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bakeoff.comparisons.running.folder import LOCK
from bakeoff.comparisons.running.ranks import failure_in, reason
from bakeoff.comparisons.schema import RAW_TABLES, RUNS_COLUMNS, SCHEMA_VERSION, STATUSES
from bakeoff.comparisons.tables import read_json_lines, read_rows
from bakeoff.errors import UsageError

Row = Mapping[str, Any]

SPEC_KEYS = ("run_id", "cell_id", "algorithm", "environment", "model", "seed", "pair_id")
NUMBERS = {
    "curves.csv": (
        *("update", "value", "completion_tokens", "total_tokens"),
        *("train_wall_s", "wall_s", "train_flops"),
    ),
    "phases.csv": ("update", "wall_s", "tokens", "peak_bytes"),
    "memory.csv": ("rank", "bytes_at_peak", "bytes_max", "bytes_predicted"),
    "evals.csv": ("update", "score", "tokens"),
}
"""Columns of the raw tables that the derived tables calculate with."""

RUN_NUMBERS = (
    "train_s",
    "cpu_s",
    "peak_rss_bytes",
    "peak_rss_total_bytes",
    "peak_device_allocated_bytes",
    "train_flops",
    "completion_tokens",
    "trained_tokens",
    "params_critic",
    "params_reference",
    "n_devices",
    "threads",
    "load_avg_start",
    *("repeat", "parallel", "attempt", "exit_code", "budget_value", "predicted_peak_bytes"),
    *("updates", "prompt_tokens", "wall_s", "setup_s", "eval_s", "eval_score", "eval_items"),
    *("reward_initial", "reward_final", "reward_best"),
)
"""And those of runs.csv."""

WHOLE = ("repeat", "parallel", "attempt")
"""Those of them that count something."""

BEGUN = ("progress.json", "log.txt", "curves.csv")
"""A cell that has one of these has been started."""


@dataclass(frozen=True)
class Results:
    """The rows of all cells of a comparison.

    Attributes:
        out: the results folder.
        runs: one row of ``runs.csv`` per cell, values typed.
        raw: the rows of each raw table by file name, values as text.
        samples: the lines of ``samples.jsonl``.
        problems: one line for each thing that could not be read.
        waiting: how many cells have not been started, or are at work.
    """

    out: Path
    runs: Sequence[Row]
    raw: Mapping[str, Sequence[Mapping[str, str]]]
    samples: Sequence[str]
    problems: tuple[str, ...]
    waiting: int = 0


def load(out: Path) -> Results:
    """Read all cells of a results folder, sorted by environment, model, algorithm and seed.

    A cell that was started and left no ``status.json`` is ``interrupted``, unless a driver is still
    at work in the folder.

    Args:
        out: the results folder, which holds ``cells/``.

    Raises:
        UsageError: there is no such folder, no cell in it, or none that can be read.
    """
    folders = sorted(path for path in _cells_folder(out).iterdir() if path.is_dir())
    driver_at_work = at_work(out)
    problems: list[str] = []
    waiting = 0
    found: list[tuple[Row, Path]] = []
    for folder in folders:
        try:
            run = _run(folder, at_work=driver_at_work)
        except UsageError as error:
            problems.append(f"cell {folder.name} was left out: {error}")
            continue
        if run is None:
            waiting += 1
        else:
            found.append((run, folder))
    if not found:
        raise UsageError(_nothing_to_report(out, len(folders), problems))
    found.sort(key=lambda pair: _order(pair[0]))
    raw: dict[str, list[dict[str, str]]] = {name: [] for name in RAW_TABLES}
    samples: list[str] = []
    for run, folder in found:
        for name, columns in RAW_TABLES.items():
            try:
                raw[name] += _own_rows(folder / name, columns, run)
            except UsageError as error:
                problems.append(f"cell {folder.name} counts without its {name}: {error}")
        try:
            samples += read_json_lines(folder / "samples.jsonl")
        except UsageError as error:
            problems.append(f"cell {folder.name} counts without its samples: {error}")
    return Results(out, [run for run, _ in found], raw, samples, tuple(problems), waiting)


def title(results: Results) -> str:
    """Return what a comparison is called: as its folder says, or else as its first run does."""
    try:
        name = _json_object(results.out / "experiment.json").get("name")
    except UsageError:
        name = None
    return str(name or results.runs[0]["experiment"] or results.out.resolve().name)


def groups(runs: Sequence[Row], *keys: str) -> Iterator[tuple[tuple[str, ...], list[Row]]]:
    """Yield the runs that agree in the columns ``keys``, in the order in which they first come."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for run in runs:
        found.setdefault(tuple(str(run[key]) for key in keys), []).append(run)
    yield from found.items()


class PlaceRows(NamedTuple):
    """The rows of one environment and model: of ``summary.csv``, ``pairwise.csv``, ``runs.csv``."""

    environment: str
    model: str
    summary: Sequence[Row]
    pairs: Sequence[Row]
    runs: Sequence[Row]


def by_place(
    results: Results, summary: Sequence[Row], pairwise: Sequence[Row]
) -> Iterator[PlaceRows]:
    """Yield the rows of each environment and model, in the order of ``summary``."""
    pairs = dict(groups(pairwise, "environment", "model"))
    runs = dict(groups(results.runs, "environment", "model"))
    for here, rows in groups(summary, "environment", "model"):
        environment, model = here
        yield PlaceRows(environment, model, rows, pairs.get(here, []), runs[here])


def _cells_folder(out: Path) -> Path:
    cells = out / "cells"
    if not out.exists():
        raise UsageError(f"no such results folder: {out}")
    if not cells.is_dir():
        raise UsageError(f"{out} holds no results: it has no folder 'cells'")
    return cells


def at_work(out: Path) -> bool:
    """Return whether a driver, or a cell that it started, is at work in a results folder."""
    try:
        lock = os.open(out / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def _run(folder: Path, *, at_work: bool) -> Row | None:
    """Return the row of a cell, None if it has not been started or may still be at work."""
    spec = _json_object(folder / "spec.json")
    for key in SPEC_KEYS:
        if key not in spec:
            raise UsageError(f"spec.json has no '{key}'")
    if not isinstance(spec["seed"], int):
        raise UsageError(f"spec.json gives {spec['seed']!r} as seed")
    if spec["cell_id"] != folder.name:
        raise UsageError(f"its spec.json is that of the cell {spec['cell_id']}; is it a copy?")
    row = dict.fromkeys(RUNS_COLUMNS) | {k: v for k, v in spec.items() if k in RUNS_COLUMNS}
    row["config_json"] = json.dumps(spec.get("config", {}))
    row["own_json"] = json.dumps(spec.get("own", {}))
    if (folder / "status.json").exists():
        status = _json_object(folder / "status.json")
        if status.get("status") not in STATUSES:
            raise UsageError(f"status.json has the status {status.get('status')!r}")
        row |= {k: v for k, v in status.items() if k in RUNS_COLUMNS and v is not None}
    elif not at_work and any((folder / name).exists() for name in BEGUN):
        row |= {"status": "interrupted", "error_message": "it was started and has not ended"}
        if (failure := failure_in(folder)) is not None:
            row |= {"error_type": failure["error_type"], "error_message": reason(failure)}
    else:
        return None
    if row["schema_version"] != SCHEMA_VERSION:
        raise UsageError(
            f"it was written with schema version {row['schema_version']}, not {SCHEMA_VERSION}"
        )
    for key in RUN_NUMBERS:
        if row[key] is not None and not _is_number(row[key]):
            raise UsageError(f"status.json gives {row[key]!r} as {key}")
    for key in WHOLE:
        if row[key] is not None and type(row[key]) is not int:
            raise UsageError(f"status.json gives {row[key]!r} as {key}")
    return row


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"it has no {path.name}") from None
    except (OSError, ValueError, RecursionError):
        raise UsageError(f"{path.name} is not readable JSON") from None
    if not isinstance(value, dict):
        raise UsageError(f"{path.name} is not a JSON object")
    return value


def _own_rows(path: Path, columns: Sequence[str], run: Row) -> list[dict[str, str]]:
    rows = read_rows(path, columns)
    for row in rows:
        if row["run_id"] != run["run_id"]:
            raise UsageError(f"it holds rows of another run, {row['run_id']}")
        for column in NUMBERS[path.name]:
            if row[column] and not _is_number(row[column]):
                raise UsageError(f"it gives {row[column]!r} as {column}")
        if not row.get("update", "0").isdecimal():
            raise UsageError(f"it gives {row['update']!r} as update")
    return rows


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return not isinstance(value, bool)


def _order(run: Row) -> tuple[str, str, str, int, int]:
    return (
        str(run["environment"]),
        str(run["model"]),
        str(run["algorithm"]),
        int(run["seed"]),
        int(run["repeat"] or 0),
    )


def _nothing_to_report(out: Path, n_folders: int, problems: Sequence[str]) -> str:
    if not n_folders:
        return f"{out} holds no results: there is no cell in {out / 'cells'}"
    if problems:
        return f"no cell in {out} can be read; the first problem: {problems[0]}"
    return f"none of the {n_folders} cells in {out} has ended yet"
