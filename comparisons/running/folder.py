"""A results folder: what was asked for, which cells have ended, and who is at work in it.

    OUT/experiment.json            the comparison, so that the same command goes on with it
    OUT/environment.json           the machine
    OUT/cells/<cell_id>/spec.json  what the cell is to do
                       /status.json  how it ended; written last, so its presence means it has ended
                       /log.txt    what it printed

Everything here is written whole or not at all (a temporary file, then a rename).
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bakeoff.comparisons.running.grid import CellSpec, Experiment
from bakeoff.comparisons.running.host import host
from bakeoff.comparisons.running.sbatch_options import told_elsewhere
from bakeoff.comparisons.schema import SCHEMA_VERSION
from bakeoff.errors import UsageError
from bakeoff.training.config import knobs

LISTS = ("algorithms", "environments", "models", "seeds")

LOCK = ".lock"
"""The file that a driver holds locked while it is at work in a results folder."""


def settle(experiment: Experiment) -> Experiment:
    """Return the experiment under the name its folder has; nothing is written.

    Raises:
        UsageError: the folder cannot hold this comparison: it is a file, holds something else, is
            broken, or was made with other knobs.
    """
    recorded = _recorded(experiment.out)
    if recorded is None:
        return experiment
    # what is said for a key that is left out on purpose
    absent = {name: knob.default for name, knob in knobs().items() if knob.metadata["later"]}
    for key in sorted({*recorded["config"], *experiment.config}):
        before = recorded["config"].get(key, absent.get(key, "not there"))
        now = experiment.config.get(key, absent.get(key, "not there"))
        if before != now:
            raise UsageError(
                f"{experiment.out} was made with {key}={_text(before)}, not {key}={_text(now)}: "
                "only equal settings can be compared; use another --out, or the same setting"
            )
    for name in experiment.algorithms:
        before, now = recorded["own"].get(name, {}), experiment.own.get(name, {})
        if name in recorded["algorithms"] and before != now:
            raise UsageError(
                f"{experiment.out} was made with {_own_text(before)} for {name} alone, not "
                f"{_own_text(now)}; use another --out, or the same settings"
            )
    return dataclasses.replace(experiment, name=recorded["name"])


def record(experiment: Experiment) -> None:
    """Write ``experiment.json``: this comparison, and all that the folder had been asked before."""
    asked = {name: list(getattr(experiment, name)) for name in LISTS}
    before = _recorded(experiment.out) or {}
    union = {
        name: [*before.get(name, []), *(x for x in asked[name] if x not in before.get(name, []))]
        for name in LISTS
    }
    rest = {
        "schema_version": SCHEMA_VERSION,
        "name": experiment.name,
        "memory_limit": experiment.memory_limit,
        "cell_timeout": experiment.cell_timeout,
        "config": dict(experiment.config),
        "own": {**before.get("own", {}), **experiment.own},
        "own_reason": experiment.own_reason or before.get("own_reason", ""),
        "control": experiment.control,
        "launcher": experiment.launcher,
        "accelerate_config": experiment.accelerate_config,
        "slurm": told_elsewhere(experiment.slurm),
    }
    write_json(experiment.out / "experiment.json", {**rest, **union})


def record_host(out: Path, facts: Mapping[str, Any] | None = None) -> None:
    """Write ``environment.json``; a host other than the first one gets a file of its own.

    Args:
        out: the results folder.
        facts: of the host; by default of this one.
    """
    facts = facts or host()
    first = read_json(out / "environment.json")
    if first is None or first.get("host_id") == facts["host_id"]:
        write_json(out / "environment.json", facts)
    else:
        write_json(out / f"environment-{facts['host_id']}.json", facts)


@contextmanager
def locked(out: Path) -> Iterator[int]:
    """Hold the folder, made if need be, for this process; yields the lock's file descriptor.

    Cells inherit the descriptor. If the driver alone is killed, the lock therefore lasts until the
    cell it had started has ended too, and nobody starts that cell a second time beside it.

    A folder that was made for it, and into which nothing was written, goes again: what is refused
    leaves nothing.

    Raises:
        UsageError: another process holds it, or it cannot be made.
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    lock = _held(out)
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield lock
    finally:
        _unmake(made)
        os.close(lock)


def _held(out: Path) -> int:
    """Return the descriptor of a folder's lock, held; one that was deleted meanwhile is none."""
    while True:
        try:
            out.mkdir(parents=True, exist_ok=True)
            lock = os.open(out / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UsageError(f"cannot write into {out}: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise UsageError(
                f"another bakeoff (process {owner}, or a cell it started) is at work in {out}; "
                "wait for it, stop it, or use another --out"
            ) from None
        if os.fstat(lock).st_nlink:
            return lock
        os.close(lock)


def _unmake(made: Sequence[Path]) -> None:
    """Remove folders, the innermost first, if nothing but the lock stands in that one."""
    with suppress(OSError):  # something else stands in one of them by now
        if made and [path.name for path in made[0].iterdir()] == [LOCK]:
            (made[0] / LOCK).unlink()
            for folder in made:
                folder.rmdir()


def place(out: Path, cell: CellSpec) -> Path:
    """Return the folder of a cell."""
    return out / "cells" / cell.cell_id


def status(out: Path, cell: CellSpec) -> dict[str, Any] | None:
    """Return how a cell ended, or ``None`` if it has not.

    Raises:
        UsageError: its ``status.json`` is broken.
    """
    path = place(out, cell) / "status.json"
    found = read_json(path)
    if found is not None and not isinstance(found.get("status"), str):
        raise UsageError(f"{path} is broken: it names no status; delete it to run that cell again")
    return found


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(value, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)  # what there is room for is not wasted on half a file
        raise


def cell_of(written: Mapping[str, Any]) -> CellSpec:
    """Return the cell that a ``spec.json`` is of; what an older version left out is as by default.

    Raises:
        TypeError: something is missing that has no default.
    """
    names = {field.name for field in dataclasses.fields(CellSpec)}
    return CellSpec(**{key: value for key, value in written.items() if key in names})


def read_json(path: Path) -> dict[str, Any] | None:
    """Return a JSON object, or ``None`` if there is no such file.

    Raises:
        UsageError: it is there and cannot be read.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is broken ({_line(error)}); repair it or delete it") from None
    if not isinstance(value, dict):
        raise UsageError(f"{path} is broken (not a JSON object); repair it or delete it")
    return value


def _recorded(out: Path) -> dict[str, Any] | None:
    path = out / "experiment.json"
    try:
        for folder in (out, *out.parents):
            if folder.exists() and not folder.is_dir():
                raise UsageError(f"{folder} is a file, not a results folder; use another --out")
    except OSError as error:
        raise UsageError(f"cannot read {out}: {error.strerror}") from None
    try:
        found = read_json(path)
        # hidden: the lock, and what a driver left half written that was killed or had no room
        occupied = out.is_dir() and any(entry.name[0] != "." for entry in out.iterdir())
    except UsageError as error:
        raise UsageError(f"{error}, or use another --out (its cells are untouched)") from None
    except OSError as error:
        raise UsageError(f"cannot read {out}: {error.strerror}") from None
    if found is None:
        if occupied:
            raise UsageError(
                f"{out} is not a results folder (no experiment.json); use another --out"
            )
        return None
    if found.get("schema_version") != SCHEMA_VERSION:
        version = found.get("schema_version")
        raise UsageError(
            f"{path} has schema_version {version}, not {SCHEMA_VERSION}; use another --out"
        )
    shapes = {"name": str, "config": dict, "own": dict} | dict.fromkeys(LISTS, list)
    for key, shape in shapes.items():
        if not isinstance(found.get(key), shape):
            raise UsageError(f"{path} is broken (no '{key}'); repair it or use another --out")
    return found


def _text(value: object) -> str:
    return "default" if value is None else str(value)


def _own_text(own: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={_text(value)}" for key, value in own.items()) or "nothing"


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
