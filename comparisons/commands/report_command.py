"""``bakeoff report``: make what is derived in a results folder anew, check it, or merge several."""

from __future__ import annotations

import argparse
from pathlib import Path

from bakeoff.errors import UsageError


def add_flags(command: argparse.ArgumentParser) -> None:
    """Add the flags of ``bakeoff report`` to its parser."""
    command.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="results folders")
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="of several folders: the one that gets the runs of all (default: beside the first)",
    )
    command.add_argument(
        "--check",
        action="store_true",
        help="write nothing; say what does not follow from the runs, and what in them cannot be",
    )
    command.add_argument(
        "--target",
        metavar="SCORE",
        help="the score that updates, tokens and seconds are read at, now and in later reports; "
        "auto: what half of the runs reach (default: the one given last, else auto)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the report of one folder, or of several as one; or check folders.

    Returns:
        1 if a check found something, else 0.

    Raises:
        UsageError: a folder cannot be read, or folders cannot be merged.
    """
    from bakeoff.comparisons.report import check, merge, report
    from bakeoff.comparisons.report.targets import keep_target

    out = getattr(args, "out", None)
    if "check" in args:
        if out is not None or "target" in args:
            raise UsageError("--check writes nothing: leave --out and --target away")
        found = {folder: check.findings(folder) for folder in args.folders}
        for folder, lines in found.items():
            print(check.verdict(folder, lines))
        return 1 if any(found.values()) else 0
    folder = args.folders[0]
    if len(args.folders) > 1:
        folder = merge.merge(args.folders, out)
        print(f"the runs of {len(args.folders)} folders are in {folder}")
    elif out is not None:
        raise UsageError("--out is for several folders; the report of one stands in it")
    if "target" in args:
        keep_target(folder, args.target)
    print(report.text(report.write(folder)))
    return 0
