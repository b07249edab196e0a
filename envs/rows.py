"""Rows of a data set: read through `datasets` from the hub, or from a JSON file or folder.

A file may be compressed by gzip. Each row comes with the place it stands at, so that an error can
name the file and line.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bakeoff.errors import UsageError

Row = Mapping[str, Any]

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+", re.ASCII)
_SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")


class Source(NamedTuple):
    """Where a data set is, if its user does not say, and what it is called.

    Attributes:
        name: what errors call it.
        hub_id: where it is by default.
        config: its configuration there.
        variable: the environment variable that names another place.
        hint: what a local folder holds, in words.
    """

    name: str
    hub_id: str
    config: str | None
    variable: str
    hint: str

    def place(self, data: str | None) -> str:
        """Return what was asked for, else what the variable says, else the hub's id."""
        return data or os.environ.get(self.variable) or self.hub_id

    def rows(self, data: str, split: str, file: str | None = None) -> list[tuple[str, Row]]:
        """Return the rows of a split, each with its place.

        Args:
            data: a folder, a ``.json`` or ``.jsonl`` file (or ``.json.gz``), or a hub id.
            split: the split of the hub's data set.
            file: the file of a folder; by default the only ``.json`` or ``.jsonl`` file there.

        Raises:
            UsageError: the data is not there, is empty, or cannot be read.
        """
        path = Path(data).expanduser()
        local = path.exists() or _is_json(path) or not _HUB_ID.fullmatch(data)
        if local:
            return _local_rows(path if _is_json(path) else self._file(path, file))
        try:
            found = _load(data, *([self.config] if self.config else []), split=split)
        except Exception as error:  # no network, no such data set, a hub that is down, ...
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise UsageError(
                f"cannot read {self.name} from '{data}': no such folder, and from the hub: "
                f"{reason}; give {self.hint} as data, or in {self.variable}"
            ) from None
        return [(f"{data}, split '{split}', row {n}", row) for n, row in enumerate(found, 1)]

    def _file(self, folder: Path, file: str | None) -> Path:
        if not folder.is_dir():
            raise UsageError(f"no such folder: {folder} (give {self.hint})")
        if file is not None:
            if not (folder / file).is_file():
                raise UsageError(f"{folder} holds no {file} (give {self.hint})")
            return folder / file
        files = sorted(path for path in folder.iterdir() if _is_json(path))
        if len(files) != 1:
            names = ", ".join(path.name for path in files[:5]) or "none"
            raise UsageError(
                f"{folder} should hold one .json or .jsonl file, and holds {names}; "
                f"name the file itself as data, or in {self.variable}"
            )
        return files[0]


Rows = str | Path | Iterable[Row]


def placed_rows(source: Rows) -> list[tuple[str, Row]]:
    """Return rows with the place of each: of a JSON Lines or JSON file, a list, or a `Dataset`.

    Raises:
        UsageError: there are none, or they cannot be read.
    """
    if isinstance(source, str | Path):
        return _local_rows(Path(source).expanduser())
    found = [(f"row {n}", row) for n, row in enumerate(source, 1)]
    if not found:
        raise UsageError("the data set has no rows")
    return found


def _is_json(path: Path) -> bool:
    return path.name.endswith(_SUFFIXES)


def _local_rows(path: Path) -> list[tuple[str, Row]]:
    """Return the rows of a JSON Lines file, or of a JSON file that is a list."""
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from None
    listed = path.name.endswith((".json", ".json.gz"))
    places = _list_places(path, content) if listed else _line_places(path, content)
    if not places:
        raise UsageError(f"{path} is empty")
    with tempfile.TemporaryDirectory() as cache:
        try:
            rows = _load("json", data_files={"rows": str(path)}, split="rows", cache_dir=cache)
        except Exception as error:  # such as a column with texts and numbers in it
            reason = str(error.__cause__ or error).partition("\n")[0]
            raise UsageError(f"{path}: datasets cannot read it: {reason}") from None
    return list(zip(places, rows, strict=True))


def _line_places(path: Path, content: bytes) -> list[str]:
    numbered = enumerate(content.split(b"\n"), 1)
    lines = [(f"{path}, line {n}", line) for n, line in numbered if line.strip()]
    for place, line in lines:
        _check_object(_json(line, place), place)
    return [place for place, _ in lines]


def _list_places(path: Path, content: bytes) -> list[str]:
    rows = _json(content, str(path)) if content.strip() else []
    if not isinstance(rows, list):
        raise UsageError(f"{path}: not a JSON list of rows")
    places = [f"{path}, row {n}" for n in range(1, len(rows) + 1)]
    for place, row in zip(places, rows, strict=True):
        _check_object(row, place)
    return places


def _json(text: bytes, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place}: not JSON ({error})") from None


def _check_object(row: object, place: str) -> None:
    if not isinstance(row, dict):
        raise UsageError(f"{place}: not a JSON object")


def _load(*arguments: Any, **options: Any) -> list[Row]:
    """Return the rows that `datasets.load_dataset` finds, without its progress bars and logs."""
    import datasets

    bars = not datasets.utils.are_progress_bars_disabled()
    verbosity = datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        rows: list[Row] = datasets.load_dataset(*arguments, **options).to_list()
    finally:
        datasets.logging.set_verbosity(verbosity)
        if bars:
            datasets.enable_progress_bars()
    return rows
