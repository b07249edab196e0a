"""``bakeoff report A B --out C``: several results folders as one.

The runs are copied as they are, byte for byte, so that their hashes hold and their ``run_id`` still
names the comparison that they come from. Runs of one environment, model and seed are paired
wherever they ran; times and bytes of different machines are not compared
(``bakeoff.comparisons.report.pairwise``).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakeoff.comparisons.report.checking.hashes import CELLS, OF_CELL
from bakeoff.comparisons.results import at_work
from bakeoff.comparisons.running import contamination
from bakeoff.comparisons.running.folder import LISTS, locked, read_json, write_json
from bakeoff.comparisons.schema import CONTAMINATION_COLUMNS, SCHEMA_VERSION
from bakeoff.comparisons.tables import file_hashes, write_rows
from bakeoff.errors import UsageError

PARTIAL = ".merging"
"""Where a run's folder is copied to before it is moved to its place in one step."""


def merge(sources: Sequence[Path], out: Path | None = None) -> Path:
    """Copy the runs of several results folders into one, and return it; its report is not written.

    A run that several of them hold is copied once. A folder that holds some of the runs already
    gets the others; nothing is copied unless all of it can be.

    Args:
        sources: results folders of comparisons with equal settings.
        out: the folder for all of them; by default beside the first one, with all their names.

    Raises:
        UsageError: a folder cannot be read or is at work, schema versions or settings differ, or
            two folders hold different runs of one cell.
    """
    first = Path(sources[0])
    if out is None:
        out = first.parent / "+".join(Path(source).resolve().name for source in sources)
    folders = [Path(source) for source in sources if Path(source).resolve() != out.resolve()]
    if (out / "experiment.json").exists():
        folders = [out, *folders]
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} holds something else; use another --out")
    asked = [_asked(folder) for folder in folders]
    whole = _together(folders, asked)
    copied = _cells(folders)
    with locked(out):
        for (place, name), source in copied.items():
            _copy(source, out / place / name, out / PARTIAL)
        _copy_rest(folders, out)
        own_name = whole["name"] if folders[0] == out else out.resolve().name
        write_json(out / "experiment.json", {**whole, "name": own_name})
    return out


def _asked(folder: Path) -> dict[str, Any]:
    """Return what a folder's comparison was asked for."""
    if not folder.is_dir():
        raise UsageError(f"no such results folder: {folder}")
    if at_work(folder):
        raise UsageError(f"a comparison is at work in {folder}; merge it when it has ended")
    asked = read_json(folder / "experiment.json")
    if asked is None:
        raise UsageError(f"{folder} is not a results folder: it has no experiment.json")
    version = asked.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"{folder} has schema version {version}, not {SCHEMA_VERSION}: its tables have other "
            "columns and cannot be merged"
        )
    for key, shape in {"config": dict, "own": dict, **dict.fromkeys(LISTS, list)}.items():
        if not isinstance(asked.get(key), shape):
            raise UsageError(f"{folder / 'experiment.json'} is broken (no '{key}')")
    return asked


def _together(folders: Sequence[Path], asked: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one ``experiment.json`` of several."""
    first = asked[0]
    own: dict[str, Any] = {}
    for folder, other in zip(folders, asked, strict=True):
        for knob in sorted({*first["config"], *other["config"]}):
            before, now = (one["config"].get(knob) for one in (first, other))
            if before != now:
                raise UsageError(
                    f"{folders[0]} was made with {knob}={before} and {folder} with {knob}={now}: "
                    "only equal settings can be compared"
                )
        for algorithm, settings in other["own"].items():
            if own.setdefault(algorithm, settings) != settings:
                raise UsageError(f"{folder} has other settings for {algorithm} than another folder")
    lists = {
        names: list(dict.fromkeys(name for one in asked for name in one[names])) for names in LISTS
    }
    reasons = dict.fromkeys(one["own_reason"] for one in asked if one.get("own_reason"))
    kept = {key: value for key, value in first.items() if all(o.get(key) == value for o in asked)}
    return {
        **dict.fromkeys(first),
        **kept,
        **lists,
        "own": own,
        "own_reason": "; ".join(reasons),
        "control": any(one.get("control") for one in asked),
        "name": first.get("name"),
    }


def _cells(folders: Sequence[Path]) -> dict[tuple[str, str], Path]:
    """Return which run is to be copied from where: of equal ones, the first."""
    found: dict[tuple[str, str], Path] = {}
    for folder in folders:
        for place in CELLS:
            runs = sorted((folder / place).iterdir()) if (folder / place).is_dir() else []
            for run in (run for run in runs if run.is_dir()):
                same = found.setdefault((place, run.name), run)
                if same is not run and _content(same) != _content(run):
                    raise UsageError(
                        f"{same} and {run} are different runs of one cell: only one of them can be "
                        "counted; leave one folder out"
                    )
    if not found:
        raise UsageError(f"there is no cell in {folders[0]}, nor in the others")
    return found


def _content(run: Path) -> dict[str, Any]:
    """Return what a run was told and what it left, its log left out."""
    told = {name: (run / name).read_bytes() for name in OF_CELL if (run / name).exists()}
    return {**told, **file_hashes(run)}


def _copy(source: Path, target: Path, partial: Path) -> None:
    """Copy a run's files but its checkpoint; a run that is there stays."""
    if target.exists():
        return
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_file() and not path.name.startswith("checkpoint"):
            shutil.copy2(path, partial / path.name)
    target.parent.mkdir(exist_ok=True)
    partial.rename(target)


def _copy_rest(folders: Sequence[Path], out: Path) -> None:
    """Write the machines and what was found of contamination."""
    shared: dict[tuple[str, str], dict[str, str]] = {}
    for folder in folders:
        for path in sorted(folder.glob("environment*.json")):
            facts = read_json(path) or {}
            first = read_json(out / "environment.json")
            if first is None:
                write_json(out / "environment.json", facts)
            elif facts.get("host_id") != first.get("host_id"):
                write_json(out / f"environment-{facts.get('host_id')}.json", facts)
        for row in contamination.rows(folder):
            shared.setdefault((row["train_environment"], row["eval_environment"]), row)
    if shared:
        write_rows(out / contamination.FILE, CONTAMINATION_COLUMNS, shared.values())
