"""``bakeoff report DIR --check``: whether what stands in a results folder follows from its runs.

Every derived file is made anew from the raw rows and compared byte for byte; the raw rows of each
run are compared with each other and with what the run says of itself; every file with its recorded
hash. Raw rows that were forged without a contradiction, with all hashes and reports made anew, look
like any others: only a fingerprint that was written down elsewhere tells.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

from bakeoff.comparisons.report import report
from bakeoff.comparisons.report.checking import hashes, rows, specs, sums
from bakeoff.comparisons.results import Results, at_work, load
from bakeoff.comparisons.schema import RAW_TABLES
from bakeoff.comparisons.tables import read_json_lines
from bakeoff.comparisons.wording import cut
from bakeoff.errors import UsageError

SHOWN = 90
"""Characters of a line that differs that are shown."""


def findings(out: Path) -> list[str]:
    """Return a line for each thing in a results folder that is not as it should be.

    Args:
        out: the results folder.

    Raises:
        UsageError: there is no cell in the folder, none that can be read, or a comparison is at
            work in it.
    """
    if at_work(out):
        raise UsageError(f"a comparison is at work in {out}; check it when it has ended")
    results = load(out)
    return [*hashes.findings(out), *_derived(results), *contradictions(results)]


def contradictions(results: Results) -> list[str]:
    """Return a line for each thing that cannot be in the rows of some runs, whatever was derived.

    Args:
        results: the cells' rows.
    """
    found = list(results.problems)
    of_run = _by_run(results)
    for run in results.runs:
        name = str(run["run_id"])
        raw = {table: of_run[table].get(name, []) for table in RAW_TABLES}
        place = f"cells/{run['cell_id']}"
        samples = _samples(results.out / place)
        lines = [*rows.findings(run, raw, samples), *sums.findings(run, raw)]
        found += [f"{place}: {line}" for line in lines]
    return [*found, *sums.audit_findings(results.out), *specs.findings(results)]


def verdict(out: Path, found: list[str]) -> str:
    """Return what to print of a check.

    Args:
        out: the results folder.
        found: its findings.
    """
    if found:
        count = "1 finding" if len(found) == 1 else f"{len(found)} findings"
        return "\n".join([f"{out}: {count}", *(f"- {line}" for line in found)])
    results = load(out)
    n_rows = sum(len(table) for table in results.raw.values())
    return (
        f"{out}: everything follows from the {len(results.runs)} runs and their {n_rows} rows\n"
        f"fingerprint (sha256 of {hashes.FILE}): {hashes.fingerprint(out)}"
    )


def _derived(results: Results) -> Iterator[str]:
    """Compare the derived files that are there with those that the rows give."""
    differ = False
    for name, data in report.derived(results).items():
        path = results.out / name
        if not path.is_file():
            yield f"{name} is missing: `bakeoff report {results.out}` makes it"
        elif (there := path.read_bytes()) != data:
            differ = True
            yield f"{name} does not follow from the runs: {_first_difference(name, there, data)}"
    recorded = hashes.read(results.out)
    before = recorded.get("made_with") if recorded else None
    if differ and before not in (None, hashes.versions()):
        yield (
            f"the report was made with {_versions(before)}, this is {_versions(hashes.versions())}:"
            " last digits may differ for that; `bakeoff report` makes it anew"
        )


def _first_difference(name: str, there: bytes, due: bytes) -> str:
    """Say where two files part: the line, and the column of a table."""
    pair = [data.decode(errors="replace").split("\n") for data in (there, due)]
    for number, (found, expected) in enumerate(zip_longest(*pair), start=1):
        if found is None or expected is None:
            return f"it has {len(pair[0])} lines and should have {len(pair[1])}"
        if found != expected:
            header = pair[0][0] if name.endswith(".csv") else ""
            column, has, should = _apart(header, found, expected)
            return f"line {number}{column} has '{has}' and should have '{should}'"
    return "their bytes differ"


def _apart(header: str, found: str, expected: str) -> tuple[str, str, str]:
    """Return the column in which two lines differ, and what each has there."""
    try:
        fields = list(csv.reader([header, found, expected]))
    except csv.Error:
        fields = []
    if len(fields) == 3 and len({len(line) for line in fields}) == 1 and len(fields[0]) > 1:
        for name, has, should in zip(*fields, strict=True):
            if has != should:
                return f", column {name},", cut(has, SHOWN), cut(should, SHOWN)
    parting = next(i for i, (a, b) in enumerate(zip_longest(found, expected)) if a != b)
    start = max(0, parting - SHOWN // 4)
    return "", cut(found[start:], SHOWN), cut(expected[start:], SHOWN)


def _versions(found: object) -> str:
    known = found if isinstance(found, dict) else {}
    return ", ".join(f"{name} {version}" for name, version in known.items()) or "unknown versions"


def _by_run(results: Results) -> dict[str, dict[str, list[Mapping[str, str]]]]:
    """Return the rows of each table by run."""
    found: dict[str, dict[str, list[Mapping[str, str]]]] = {name: {} for name in RAW_TABLES}
    for name, table in results.raw.items():
        for row in table:
            found[name].setdefault(row["run_id"], []).append(row)
    return found


def _samples(folder: Path) -> list[str]:
    """Return the lines of a run's samples; none if they cannot be read, which is said elsewhere."""
    try:
        return read_json_lines(folder / "samples.jsonl")
    except UsageError:
        return []
