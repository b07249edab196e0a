r"""How far each phase of an update is from what this machine could do.

    python benchmarks/limits.py --rounds 3 --write docs/performance.md

How it is measured:
1. In each round and for each shape and precision two fresh processes run in turn: one measures the
   machine's rates (products of two big squares and of the model's own layers, reading and copying a
   buffer of 1 GiB), the other trains, and then times the pass over the prompts by sampling a single
   token of each completion. Decoding is sampling less that.
2. What a phase must do is counted by formula (``speed_floors.py``): the prompt once for its group,
   forward and backward, completions, logits; in decoding, the weights once for each step and the
   keys and values once. Nothing is counted twice that a program could do once.
3. A phase's floor is the larger of operations over the highest matrix-product rate and bytes over
   the highest bandwidth that any round saw. Its share is the floor over the median of its times.
   The last column has the operations alone at the rate of the model's own layers: with 2,048 rows
   for prefill and update, with one row for each completion for decoding.

On a machine that does other things too the rates and the times are both too low, and the shares are
of no use: see the load in the line below the tables.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import speed_arguments
import speed_command
from speed_cells import Results, Row, failures, fill, measured, said
from speed_floors import PHASES, Rates, Sizes, floors
from speed_own import Job
from speed_rates import Measured
from speed_tables import markdown
from speed_world import Shape

GIGA = 10**9


def probed(found: Mapping[str, Any]) -> dict[str, object]:
    """Return a probe's columns: the medians of its phases' seconds, and the model's sizes."""
    updates = found["run"]["updates"]
    generation, update = (
        statistics.median(one[phase]["wall_s"] for one in updates)
        for phase in ("generation", "update")
    )
    prefill = statistics.median(found["prefill_s"])
    seconds = {"prefill_s": prefill, "decoding_s": generation - prefill, "update_s": update}
    return {**seconds, **found["run"]["sizes"]}


class Limits:
    """All cells of one start.

    Attributes:
        results: the rows so far.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.results = args, Results(args.csv)
        self.places = [(shape, precision) for precision in args.precisions for shape in args.shapes]

    def measure(self) -> None:
        """Measure what is missing."""
        done, cells = 0, 2 * len(self.places) * self.args.rounds
        for turn in range(1, self.args.rounds + 1):
            for shape, precision in self.places:
                for kind in ("rates", "probe")[:: 1 if turn % 2 else -1]:
                    done += 1
                    self._fill(kind, shape, precision, turn, f"[{done}/{cells}]")

    def _cell(self, kind: str, shape: str, precision: str) -> dict[str, object]:
        place = {"kind": kind, "shape": shape, "sizes": self.args.shape[shape]}
        settings = speed_arguments.settings(self.args)
        if kind == "rates":
            settings |= {"warmup": 0, "updates": 0, "knobs": ""}
        return {"model": self.args.model, **place, "precision": precision, **settings}

    def _fill(self, kind: str, shape: str, precision: str, turn: int, progress: str) -> None:
        args = self.args
        job = Job(
            model=args.model,
            shape=args.shape[shape],
            precision=precision,
            warmup=args.warmup,
            updates=args.updates,
            threads=args.threads,
            device="cpu",
            knobs=args.knobs if kind == "probe" else {},
        )

        def measure() -> Mapping[str, object]:
            found = measured(kind, job)
            return probed(found) if kind == "probe" else found

        cell = {**self._cell(kind, shape, precision), "round": turn}
        fill(self.results, cell, measure, progress)

    def block(self) -> str:
        """Return the tables."""
        rates, times, used = [], [], []
        for shape, precision in self.places:
            cells = [self._cell(kind, shape, precision) for kind in ("rates", "probe")]
            machine, probes = (self.results.of(**cell) for cell in cells)
            used += machine + probes
            if machine and probes:
                best = best_of(machine)
                rates.append([shape, precision, *spelled_rates(best)])
                sizes = self.args.shape[shape]
                times += [[shape, precision, *line] for line in shares(sizes, best, probes)]
        made = f"{self.args.warmup} + {self.args.updates} updates a process"
        parts = [markdown(SHARES, times, words=3), markdown(RATES, rates, words=2)]
        parts += [*failures(self.results), said(used, f"model {self.args.model}", made)]
        return "\n\n".join(parts)


SHARES = ("shape", "precision", "phase", "s", "GFLOP", "GB", "least s, operations",
          "least s, bytes", "share of the limit", "GFLOP/s",
          "share of its own layers' rate")  # fmt: skip

RATES = ("shape", "precision", "big squares, GFLOP/s", "layers, 2,048 rows",
         "layers, a row a completion", "reading, GB/s", "copying, GB/s")  # fmt: skip


def best_of(rows: Sequence[Row]) -> Measured:
    """Return the highest of each rate in some rows."""
    return Measured(*(max(float(row[name]) for row in rows) for name in Measured._fields))


def spelled_rates(rates: Measured) -> list[str]:
    """Return rates as a table has them, in thousands of millions."""
    return [f"{value / GIGA:,.1f}" for value in rates]


def shares(shape: Shape, machine: Measured, probes: Sequence[Row]) -> list[list[str]]:
    """Return a line for each phase: its time, its work, its floors and its share of the limit."""
    sizes = Sizes(*(int(probes[-1][name]) for name in Sizes._fields))
    limit = Rates(max(machine.square, machine.layers), max(machine.read, machine.copy))
    lines = []
    for phase, work_of in PHASES.items():
        seconds = statistics.median(float(row[f"{phase}_s"]) for row in probes)
        work = work_of(shape, sizes)
        by_flops, by_bytes = floors(work, limit)
        own = machine.rows if phase == "decoding" else machine.layers
        lines.append([
            phase, f"{seconds:.2f}", f"{work.flops / GIGA:,.0f}", f"{work.bytes / GIGA:,.1f}",
            f"{by_flops:.2f}", f"{by_bytes:.2f}", f"{max(by_flops, by_bytes) / seconds:.0%}",
            f"{work.flops / seconds / GIGA:,.0f}", f"{work.flops / own / seconds:.0%}",
        ])  # fmt: skip
    return lines


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments, checked.

    Raises:
        UsageError: one makes no sense.
    """
    example = "python benchmarks/limits.py --rounds 3 --shapes short --write docs/performance.md"
    parser = speed_arguments.parser("Measure the distance to the machine's limit.", example,
                                "limits.csv")  # fmt: skip
    speed_arguments.add_shapes(parser)
    return speed_arguments.with_shapes(speed_arguments.checked(parser.parse_args(argv)))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    return speed_command.run("limits", arguments, Limits, argv)


if __name__ == "__main__":
    sys.exit(main())
