"""Plant bugs in the algorithms, one at a time, and see whether their tests notice.

    python benchmarks/mutants.py --out results/mutants.csv

Each bug of ``mutations.yaml`` is planted in a copy of the repository, and the fast tests of the
algorithms run on that copy until the first of them fails. A bug that no test notices has survived:
either a test is missing, or the bug makes no difference. The CSV is written as it goes; what is in
it is not run again. The exit code is 1 if a bug survived.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("algorithms", "comparisons", "envs", "rewards", "src", "tests", "pyproject.toml")
TESTS = (
    "tests/unit/test_losses.py",
    "tests/unit/test_advantages.py",
    "tests/unit/test_oracles*.py",
    "tests/unit/test_identities*.py",
    "tests/unit/test_extremes*.py",
    "tests/unit/test_found_by_mutants.py",
    "tests/unit/test_algorithms_contract.py",
)
TRAINING_TESTS = (
    "tests/unit/test_optimiser_steps.py",
    "tests/unit/test_critics.py",
    "tests/unit/test_correction.py",
    "tests/unit/test_dynamic_sampling.py",
    "tests/unit/test_greedy_baseline.py",
    "tests/unit/test_gold.py",
    "tests/unit/test_rollout_losses.py",
    "tests/unit/test_training.py",
    "tests/unit/test_sampler*.py",
    "tests/unit/test_packing*.py",
    "tests/unit/test_activations.py",
    "tests/unit/test_silent_groups.py",
    "tests/unit/test_precision_masters.py",
)
KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timed out"
COLUMNS = ("file", "bug", "outcome", "by", "seconds")
QUIETLY = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # of what is imported already
PRELOADED = ("torch", "hypothesis")  # no part of bakeoff: a fork imports the copy's


class Bug(NamedTuple):
    """A planted bug: what it is, and the text that is replaced in a file."""

    file: str
    bug: str
    old: str
    new: str


def bugs(file: Path = ROOT / "benchmarks" / "mutations.yaml") -> list[Bug]:
    """Return the bugs of the table, in its order."""
    table = yaml.safe_load(file.read_text())
    return [Bug(name, **row) for name, rows in table.items() for row in rows]


def planted(bug: Bug, text: str) -> str:
    """Return a file's text with the bug in it.

    Raises:
        ValueError: the old text does not stand in it exactly once, or the new is no Python.
    """
    if (count := text.count(bug.old)) != 1:
        raise ValueError(f"{bug.file}, {bug.bug}: its text is there {count} times, not once")
    wrong = text.replace(bug.old, bug.new)
    compile(wrong, bug.file, "exec")
    return wrong


def copy_to(folder: Path) -> None:
    """Copy what the tests need; the links between the folders stay links within the copy."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, folder / part, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / part, folder / part)


def run_tests(folder: Path, patterns: Sequence[str], limit_s: float) -> tuple[str, str, float]:
    """Run tests in a copy until one fails; return the outcome, which test failed, and seconds.

    The process is a fork of this one, in which torch is imported already: that is most of the time
    that a small test takes.

    Raises:
        RuntimeError: pytest could not run them.
    """
    files = [str(file.relative_to(folder)) for p in patterns for file in sorted(folder.glob(p))]
    output, started = folder / "output.txt", time.monotonic()
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=run_pytest, args=(folder, files, output))
    process.start()
    process.join(limit_s)
    if process.is_alive():
        process.kill()
        process.join()
        return TIMED_OUT, "", time.monotonic() - started
    seconds = time.monotonic() - started
    if process.exitcode == 0:
        return SURVIVED, "", seconds
    text = output.read_text()
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", text, re.MULTILINE)
    if failed is None:
        raise RuntimeError(f"pytest ended with {process.exitcode}:\n{text}")
    return KILLED, failed[1].removeprefix("tests/unit/"), seconds


def run_pytest(folder: Path, files: Sequence[str], output: Path) -> None:
    """Run pytest in this process, on the copy, file by file, and exit with the first failure."""
    os.chdir(folder)
    sys.path.insert(0, str(folder / "src"))
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(written, 1)
    os.dup2(written, 2)
    for file in files:
        if code := pytest.main(["-x", "-q", "-p", "no:cacheprovider", *QUIETLY, file]):
            sys.exit(int(code))


def tests_of(bug: Bug) -> Sequence[str]:
    """Return which tests are to notice a bug."""
    return TESTS if bug.file.startswith("algorithms/") else TRAINING_TESTS


def hunt(chosen: Sequence[Bug], folder: Path) -> Iterator[dict[str, object]]:
    """Plant the bugs one after the other in a copy of the repository; yield a row for each.

    Raises:
        RuntimeError: the tests fail on the copy without a bug, or see another package.
    """
    for name in PRELOADED:
        importlib.import_module(name)
    copy_to(folder)
    check_import(folder)
    sound_s: dict[Sequence[str], float] = {}
    for bug in chosen:
        patterns = tests_of(bug)
        if patterns not in sound_s:
            outcome, by, sound_s[patterns] = run_tests(folder, patterns, limit_s=3600)
            if outcome != SURVIVED:
                raise RuntimeError(f"without a bug, {by} fails")
        file = folder / bug.file
        sound = file.read_text()
        file.write_text(planted(bug, sound))
        forget(file)
        outcome, by, seconds = run_tests(folder, patterns, limit_s=60 + 5 * sound_s[patterns])
        file.write_text(sound)
        forget(file)
        row = {"outcome": outcome, "by": by, "seconds": round(seconds, 1)}
        yield {"file": bug.file, "bug": bug.bug, **row}


def forget(file: Path) -> None:
    """Remove a file's bytecode: two texts of one size in one second have the same."""
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        compiled.unlink()


def check_import(folder: Path) -> None:
    """Check that the copy is what a test there imports.

    Raises:
        RuntimeError: it is another one.
    """
    found = subprocess.run(
        [sys.executable, "-c", "import bakeoff.algorithms as a; print(a.__file__)"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if not Path(found).resolve().is_relative_to(folder.resolve()):
        raise RuntimeError(f"the tests would import {found}, not the copy")


def main() -> int:
    """Run what is not in the CSV yet, and print the score of all that was chosen."""
    parser = argparse.ArgumentParser(description="Do the tests notice planted bugs?")
    parser.add_argument("--out", type=Path, default=Path("results/mutants.csv"), metavar="CSV")
    parser.add_argument("--only", default="", metavar="TEXT", help="bugs with this in file or name")
    parser.add_argument("--list", action="store_true", help="print the bugs, and stop")
    args = parser.parse_args()
    chosen = [bug for bug in bugs() if args.only in f"{bug.file}: {bug.bug}"]
    for bug in chosen:
        planted(bug, (ROOT / bug.file).read_text())
        if args.list:
            print(f"{bug.file}: {bug.bug}")
    if args.list:
        return 0
    rows = run_rest(chosen, args.out)
    survivors = [key for key, row in rows.items() if row["outcome"] == SURVIVED]
    print(f"\n{len(rows) - len(survivors)} of {len(rows)} planted bugs were noticed")
    for file, name in survivors:
        print(f"  survived: {file}: {name}")
    return 1 if survivors else 0


def run_rest(chosen: Sequence[Bug], out: Path) -> dict[tuple[str, str], dict[str, object]]:
    """Run the bugs that have no row in the CSV, adding one for each; return the rows of all."""
    rows: dict[tuple[str, str], dict[str, object]] = {}
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists():
        with out.open(newline="") as file:
            rows = {(row["file"], row["bug"]): dict(row) for row in csv.DictReader(file)}
    else:
        out.write_text(",".join(COLUMNS) + "\n")
    rest = [bug for bug in chosen if (bug.file, bug.bug) not in rows]
    with tempfile.TemporaryDirectory() as folder, out.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        for number, row in enumerate(hunt(rest, Path(folder)) if rest else [], 1):
            writer.writerow(row)
            file.flush()
            rows[str(row["file"]), str(row["bug"])] = row
            print(f"{number}/{len(rest)} {row['outcome']:<9} {row['file']}: {row['bug']}"
                  f" ({row['seconds']} s) {row['by']}", flush=True)  # fmt: skip
    return {(bug.file, bug.bug): rows[bug.file, bug.bug] for bug in chosen}


if __name__ == "__main__":
    sys.exit(main())
