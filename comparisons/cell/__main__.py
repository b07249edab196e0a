"""``python -m bakeoff.comparisons.cell FOLDER`` runs the cell whose ``spec.json`` is there.

``--audit FOLDER`` runs it as an audit, which counts; ``--check SPEC ...`` only verifies algorithms;
``--sizes REQUEST`` prints what the memory of runs follows from.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bakeoff.comparisons.cell.audit import Audit
from bakeoff.comparisons.cell.cell import Cell
from bakeoff.comparisons.cell.sizes import sizes
from bakeoff.comparisons.cell.specs import check


def main(argv: list[str] | None = None) -> int:
    """Run a cell, or check algorithm specs; return the exit code."""
    parser = argparse.ArgumentParser(prog="bakeoff.comparisons.cell", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="the cell's folder, with a spec.json")
    parser.add_argument("--audit", action="store_true", help="count bytes and FLOPs; see audit.py")
    parser.add_argument("--check", nargs="+", metavar="SPEC", help="algorithms to verify")
    parser.add_argument("--sizes", metavar="REQUEST", help="JSON: print sizes; see sizes.py")
    parser.add_argument(
        "--group-size", type=int, default=2, help="with --check: what they will get"
    )
    parser.add_argument("--updates", type=int, default=40, help="with --check: the same")
    parser.add_argument("--corrected", action="store_true", help="with --check: the same")
    args = parser.parse_args(argv)
    # a user's own modules come last: a datasets.py in the folder may not stand in for the library
    sys.path.append(os.getcwd())
    if args.check:
        return check(args.check, args.group_size, args.updates, corrected=args.corrected)
    if args.sizes:
        return sizes(args.sizes)
    if args.folder is None:
        parser.error("name a cell's folder, or --check, or --sizes")
    return (Audit if args.audit else Cell)(args.folder).run()


if __name__ == "__main__":
    raise SystemExit(main())
