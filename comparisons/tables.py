"""Reading and writing the CSV tables: what grows while a run lives, and what is rebuilt from it.

A table is UTF-8 CSV with one header row. An empty cell is a missing value, booleans are ``true``
and ``false``, floats stand in ``repr`` precision, and a loss that is not a number is written
``nan``: that it became one is data. The columns stand in ``bakeoff.comparisons.schema``, and what
they hold in docs/tables.md.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bakeoff.comparisons.schema import RAW_TABLES, RUNS_COLUMNS
from bakeoff.errors import UsageError

if TYPE_CHECKING:
    from bakeoff.comparisons.results import Results


def cell_text(value: object) -> str:
    """Return how a value stands in a table.

    Example:
        >>> [cell_text(value) for value in (None, True, 0.1, 3, float("nan"), {"a": 1})]
        ['', 'true', '0.1', '3', 'nan', '{"a": 1}']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, sort_keys=True)
    return repr(value) if isinstance(value, float) else str(value)


def append_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Append rows to a raw table, with its header if it is new, and flush them to the system.

    A torn last line, left by a process that was killed while it wrote, is cut off first.

    Args:
        path: the table; it is made if it does not exist.
        columns: the table's columns; a row may leave some out, which are missing then.
        rows: values by column.

    Raises:
        UsageError: the table has other columns.
        ValueError: a row has a column that the table has not.
    """
    with path.open("a+b") as file:
        size = _cut_torn_line(file)
        if size:
            file.seek(0)
            header = file.readline().decode(errors="replace")
            _check_header(path, next(csv.reader([header])), columns)
        file.write(_lines(columns, rows, header=not size).encode())


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a whole table in place of the old one, atomically.

    Raises:
        ValueError: a row has a column that the table has not.
    """
    replace_file(path, table(columns, rows))


def table(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    """Return a whole table as the bytes of its file.

    Raises:
        ValueError: a row has a column that the table has not.

    Example:
        >>> table(("algorithm", "score"), [{"algorithm": "grpo", "score": 0.5}])
        b'algorithm,score\\ngrpo,0.5\\n'
    """
    return _lines(columns, rows, header=True).encode()


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that whoever reads it finds the old one or the new one, never a part."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the raw tables and the samples that a cell's folder has, in hex."""
    paths = (folder / name for name in (*RAW_TABLES, "samples.jsonl"))
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.exists()
    }


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a table; a torn last line is dropped, a missing table has no rows.

    Raises:
        UsageError: the header is not ``columns``, the text is not UTF-8, or a line other than the
            last has a wrong number of fields.
    """
    if not path.exists():
        return []
    try:
        text = _complete_lines(path.read_bytes()).decode()
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    lines = []
    try:
        for line in csv.reader(io.StringIO(text, newline=""), strict=True):
            lines.append(line)
    except csv.Error as error:
        if "unexpected end of data" not in str(error):  # that is a quote torn open
            raise UsageError(f"{path}: row {len(lines) + 1} is not CSV ({error})") from None
    if not lines:
        return []
    _check_header(path, lines[0], columns)
    if len(lines[-1]) != len(columns):
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if len(line) != len(columns):
            raise UsageError(
                f"{path}: row {number} has {len(line)} fields, not {len(columns)}; "
                "was it edited by hand?"
            )
    return [dict(zip(columns, line, strict=True)) for line in lines[1:]]


def read_json_lines(path: Path) -> list[str]:
    """Return the lines of a JSON-lines file, as text; a torn last line is dropped.

    Raises:
        UsageError: a line other than the last is not JSON.
    """
    if not path.exists():
        return []
    text = _complete_lines(path.read_bytes()).decode(errors="replace")
    lines = text.split("\n")[:-1]  # splitlines would also break at U+2028, which JSON may hold
    for number, line in enumerate(lines, start=1):
        try:
            json.loads(line)
        except ValueError:
            raise UsageError(f"{path}: line {number} is not JSON") from None
    return lines


def rebuild(out: Path) -> tuple[str, ...]:
    """Merge the rows of all cells into the tables at the top of a results folder.

    Writes ``runs.csv``, ``curves.csv``, ``phases.csv``, ``memory.csv``, ``evals.csv`` and
    ``samples.jsonl``, each atomically, in one fixed order. Failed cells keep their rows.

    Args:
        out: the results folder.

    Returns:
        One line for each thing that could not be read; the rest is complete.

    Raises:
        UsageError: there is no cell in the folder.
    """
    from bakeoff.comparisons.results import load

    results = load(out)
    for name, data in merged(results).items():
        replace_file(out / name, data)
    return results.problems


def merged(results: Results) -> dict[str, bytes]:
    """Return the rows of all cells as the files at the top of a results folder, by name."""
    return {
        "runs.csv": table(RUNS_COLUMNS, results.runs),
        **{name: table(columns, results.raw[name]) for name, columns in RAW_TABLES.items()},
        "samples.jsonl": "".join(f"{line}\n" for line in results.samples).encode(),
    }


def _cut_torn_line(file: BinaryIO) -> int:
    """Cut what stands after the last line's end, and return the size that is left."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return 0
    file.seek(-1, os.SEEK_END)
    if file.read(1) == b"\n":
        return size
    file.seek(0)
    size = len(_complete_lines(file.read()))
    file.truncate(size)
    return size


def _complete_lines(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    if list(header) == list(columns):
        return
    missing = [name for name in columns if name not in header]
    extra = [name for name in header if name not in columns]
    wrong = f"no column '{missing[0]}'" if missing else f"a column '{extra[0]}'" if extra else ""
    raise UsageError(
        f"{path} has {wrong or 'its columns in another order'}: it was written by another version"
    )


def _lines(columns: Sequence[str], rows: Iterable[Mapping[str, object]], *, header: bool) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows({key: cell_text(value) for key, value in row.items()} for row in rows)
    return text.getvalue()
