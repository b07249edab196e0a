"""What the speed benchmarks do from the command line: measure, print their tables, write them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from speed_tables import write_block

from bakeoff.errors import UsageError


class Benchmark(Protocol):
    """Cells that are measured, and tables of them."""

    def measure(self) -> None:
        """Measure what is missing."""

    def block(self) -> str:
        """Return the tables."""


def run(
    name: str,
    arguments: Callable[[Sequence[str] | None], argparse.Namespace],
    benchmark: Callable[[argparse.Namespace], Benchmark],
    argv: Sequence[str] | None,
) -> int:
    """Run a benchmark; return the exit code.

    Args:
        name: said before an error.
        arguments: reads the command line.
        benchmark: is made of what it says.
        argv: the command line.
    """
    try:
        args = arguments(argv)
        found = benchmark(args)
        if not args.table:
            found.measure()
        block = found.block()
        print(block)
        if args.write:
            write_block(args.write, args.block, block)
    except UsageError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    return 0
