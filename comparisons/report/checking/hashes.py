"""SHA-256 of what a report was made from and of what was made: ``checksums.json``.

It names the derived files and figures, what was asked for, and how each cell ended; a cell's
``status.json`` holds the hashes of its raw tables (``files_sha256``). One hash, that of
``checksums.json``, therefore stands for the whole folder. These are no signatures: whoever can
write into the folder can make all of them anew. What they prove is that a folder is the one whose
fingerprint was written down elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bakeoff.comparisons.schema import SCHEMA_VERSION
from bakeoff.comparisons.tables import file_hashes, replace_file

FILE = "checksums.json"

GIVEN = ("experiment.json", "report.json", "environment*.json", "contamination.csv")
"""Files of a results folder that are neither a cell's nor derived, as patterns."""

CELLS = ("cells", "audits")
"""Folders in which each folder holds a run."""

OF_CELL = ("spec.json", "status.json")

MADE_WITH = ("bakeoff", "numpy", "scipy")
"""Packages on which the last digits of a derived table may depend."""


def write(out: Path, derived: Iterable[str]) -> None:
    """Write ``checksums.json``: of derived files, of what was asked for, of how each cell ended.

    Args:
        out: the results folder.
        derived: the names of the files that were made from the cells.
    """
    names = [*derived, *(path.name for pattern in GIVEN for path in sorted(out.glob(pattern)))]
    for cell in _cells(out):
        ended = (cell / "status.json").exists()
        of_cell = OF_CELL if ended else (*OF_CELL, *file_hashes(cell))
        names += [(cell / name).relative_to(out).as_posix() for name in of_cell]
    files = {name: _sha256(out / name) for name in names if (out / name).exists()}
    facts = {"schema_version": SCHEMA_VERSION, "made_with": versions(), "sha256": files}
    replace_file(out / FILE, (json.dumps(facts, indent=2) + "\n").encode())


def findings(out: Path) -> Iterator[str]:
    """Yield a line for each file that is missing, or is not the one whose hash was recorded."""
    recorded = read(out)
    if recorded is None:
        yield f"{FILE} is missing or broken: `bakeoff report {out}` makes it"
    else:
        yield from _differing(out, recorded["sha256"], f"the one that {FILE} names")
        known = {Path(name).parent.as_posix() for name in recorded["sha256"]}
        for cell in _cells(out):
            place = cell.relative_to(out).as_posix()
            if place not in known and (cell / "status.json").exists():
                yield f"{place} has come since {FILE} was made: `bakeoff report {out}` takes it up"
    for cell in _cells(out):
        status = _json(cell / "status.json")
        if status is None:
            continue
        place = cell.relative_to(out).as_posix()
        own = status.get("files_sha256")
        if not isinstance(own, Mapping):
            yield f"{place}/status.json has no hashes of the run's tables"
            continue
        yield from _differing(out, {f"{place}/{k}": v for k, v in own.items()}, "what the run left")
        for name in sorted(file_hashes(cell).keys() - own.keys()):
            yield f"{place}/{name} was not there when the run ended"


def fingerprint(out: Path) -> str:
    """Return the hash of ``checksums.json``, which stands for the whole folder; empty without it.

    Example:
        >>> fingerprint(Path("no/such/folder"))
        ''
    """
    return _sha256(out / FILE) if (out / FILE).is_file() else ""


def read(out: Path) -> dict[str, Any] | None:
    """Return what ``checksums.json`` says, None if it is missing or broken."""
    found = _json(out / FILE)
    if found is None or not isinstance(found.get("sha256"), Mapping):
        return None
    return found


def versions() -> dict[str, str]:
    """Return the versions of the packages that derived tables are made with."""
    return {name: version(name) for name in MADE_WITH}


def _differing(out: Path, files: Mapping[str, Any], what: str) -> Iterator[str]:
    for name, sha256 in files.items():
        if not (out / name).is_file():
            yield f"{name} is missing"
        elif _sha256(out / name) != sha256:
            yield f"{name} is not {what} (its hash differs)"


def _cells(out: Path) -> Iterator[Path]:
    for place in CELLS:
        if (out / place).is_dir():
            yield from sorted(path for path in (out / place).iterdir() if path.is_dir())


def _json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
