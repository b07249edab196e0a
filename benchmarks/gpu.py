r"""On a GPU: this project's sampler and update against transformers and TRL.

    python benchmarks/gpu.py --rounds 3 --write docs/performance.md

The model is of 0.5 billion random weights (the sizes of Qwen2-0.5B), so that nothing has to be
downloaded. What takes part:
1. The samplers: this project's, ``transformers.generate`` and its continuous batching
   (``generate_batch``), in turn, each in a fresh process; once with full replies, and once with one
   token in 256 that ends a reply, so that lengths are uneven. Tokens a second are those of the
   completions, without padding; the first calls of a process do not count.
2. The update: this project's, and TRL's if it is installed. MFU is the operations that an update
   needs (``speed_floors.py``: the prompt once for its group, nothing recomputed), over its time,
   over the rate of big square products that was measured on the same machine.
Memory is the allocator's highest mark. ``generate_batch`` takes most of the free memory for its
cache, whether it needs it or not.

``--device cpu --size tiny`` tries it out where there is no GPU; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import speed_arguments
import speed_command
import torch
from speed_cells import Results, Row, failures, fill, measured, medians, said
from speed_floors import Sizes, update
from speed_own import Job
from speed_tables import MIB, markdown, ratio, spelled
from speed_world import DTYPES, MODELS, Shape

from bakeoff.errors import UsageError

ENGINES = ("bakeoff", "generate", "generate_batch")
SHAPE = {"cuda": Shape(32, 16, 256, 512), "cpu": Shape(2, 4, 20, 16)}


def rated(found: Mapping[str, Any]) -> dict[str, object]:
    """Return the columns of a sampler's process: tokens a second, and memory.

    Example:
        >>> run = {"seconds": [1.0, 2.0], "tokens": [10, 40], "baseline_bytes": 0}
        >>> rated({**run, "peak_bytes": 2**20})
        {'tokens_per_s': 15.0, 'tokens': 25, 'peak_mib': 1.0, 'above_mib': 1.0}
    """
    rates = [n / s for n, s in zip(found["tokens"], found["seconds"], strict=True)]
    peak, baseline = found["peak_bytes"], found["baseline_bytes"]
    return {
        "tokens_per_s": statistics.median(rates),
        "tokens": round(statistics.mean(found["tokens"])),
        "peak_mib": peak / MIB,
        "above_mib": (peak - baseline) / MIB,
    }


class OnGpu:
    """All cells of one start.

    Attributes:
        results: the rows so far.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.results = args, Results(args.csv)
        trl = importlib.util.find_spec("trl") is not None
        self.sides = ("bakeoff", "trl") if trl else ("bakeoff",)

    def cells(self) -> list[tuple[str, str, dict[str, object]]]:
        """Return kind, name and knobs of every process of a round."""
        own, theirs = self.args.knobs, {"micro_batch": self.args.trl_micro_batch}
        samplers = [
            ("sampling", engine, {**knobs, "engine": engine, "uneven": uneven})
            for uneven in (False, True)
            for engine, knobs in ((name, own if name == "bakeoff" else {}) for name in ENGINES)
        ]
        updates = [(side, "update", theirs if side == "trl" else own) for side in self.sides]
        return [("rates", "rates", {}), *samplers, *updates]

    def measure(self) -> None:
        """Measure what is missing."""
        done, cells = 0, self.cells()
        for turn in range(1, self.args.rounds + 1):
            for kind, name, knobs in cells[:: 1 if turn % 2 else -1]:
                done += 1
                progress = f"[{done}/{len(cells) * self.args.rounds}]"
                self._fill(self._cell(kind, name, knobs), kind, knobs, turn, progress)

    def _cell(self, kind: str, name: str, knobs: Mapping[str, object]) -> dict[str, object]:
        args = self.args
        place = {"kind": kind, "name": name, "uneven": knobs.get("uneven", ""), "model": args.size}
        place |= {"sizes": args.shape, "precision": args.precision, "device": args.device}
        return {**place, **speed_arguments.settings(args)}

    def _fill(
        self, cell: dict[str, object], kind: str, knobs: Mapping[str, Any], turn: int, progress: str
    ) -> None:
        args = self.args
        job = Job(
            model=args.size,
            shape=args.shape,
            precision=args.precision,
            warmup=args.warmup,
            updates=args.updates,
            threads=args.threads,
            device=args.device,
            knobs=knobs,
        )

        def measure() -> Mapping[str, object]:
            found = measured(kind, job)
            if kind == "rates":
                return found
            if kind == "sampling":
                return rated(found)
            flops = update(args.shape, Sizes(**found["sizes"])).flops
            return {**medians(found), "update_flops": flops}

        fill(self.results, {**cell, "round": turn}, measure, progress)

    def rows(self, kind: str, name: str, uneven: object = "") -> list[Row]:
        """Return the rows of a cell, in the order of the rounds."""
        return sorted(
            self.results.of(**self._cell(kind, name, {"uneven": uneven})),
            key=lambda row: int(row["round"]),
        )

    def samplers(self) -> str:
        """Return the table of samplers."""
        lines = []
        for uneven in (False, True):
            own = self.rows("sampling", "bakeoff", uneven)
            for engine in ENGINES:
                rows = self.rows("sampling", engine, uneven)
                rates, peaks = ([float(r[c]) for r in rows] for c in ("tokens_per_s", "above_mib"))
                if rows:
                    same = len(rows) == len(own) and engine != "bakeoff"
                    times = [float(row["tokens_per_s"]) for row in own]
                    lines.append([
                        "uneven" if uneven else "full", engine,
                        f"{statistics.median(rates):,.0f}",
                        spelled(ratio(times, rates)) if same else "",
                        f"{statistics.median(peaks):,.0f}",
                    ])  # fmt: skip
        header = ("replies", "sampler", "tokens/s", "bakeoff is faster by", "MiB above the model")
        return markdown(header, lines, words=2)

    def updates(self) -> str:
        """Return the table of updates."""
        machine = self.rows("rates", "rates")
        rate = max((float(row["square"]) for row in machine), default=float("nan"))
        lines = []
        for side in self.sides:
            if rows := self.rows(side, "update"):
                middle = {
                    name: statistics.median(float(row[name]) for row in rows)
                    for name in ("wall_s", "generation_wall_s", "update_wall_s", "above_mib")
                }
                mfu = float(rows[0]["update_flops"]) / middle["update_wall_s"] / rate
                seconds = [f"{value:.2f}" for value in list(middle.values())[:3]]
                lines.append([side, *seconds, f"{mfu:.0%}", f"{middle['above_mib']:,.0f}"])
        header = ("side", "s", "of it generation", "of it update", "MFU of the update",
                  "MiB above the model")  # fmt: skip
        return markdown(header, lines, words=1) + f"\n\nBig squares: {rate / 10**9:,.0f} GFLOP/s"

    def block(self) -> str:
        """Return the tables."""
        args = self.args
        made = (f"model {args.size}", str(args.shape), args.precision, f"device {args.device_name}",
                f"{args.warmup} + {args.updates} calls a process")  # fmt: skip
        rows = self.results.of(model=args.size, sizes=args.shape, device=args.device)
        parts = [self.samplers(), self.updates(), *failures(self.results)]
        return "\n\n".join([*parts, said(rows, *made)])


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments, checked.

    Raises:
        UsageError: one makes no sense, or there is no CUDA.
    """
    example = "python benchmarks/gpu.py --rounds 3 --write docs/performance.md"
    parser = speed_arguments.parser("Measure on a GPU.", example, "gpu.csv")
    add = parser.add_argument
    add("--device", default="cuda", choices=("cuda", "cpu"), help="cpu only to try it out")
    add("--size", default="0.5b", choices=MODELS, help="of the model (default 0.5b)")
    add("--precision", default="bf16_autocast", choices=DTYPES, help="(default bf16_autocast)")
    add("--shape", dest="custom", metavar="P,G,T,N", help="P prompts of T tokens, G completions of "
        "N tokens each (default 32,16,256,512; on a CPU 2,4,20,16)")  # fmt: skip
    add("--trl-micro-batch", type=int, default=16, help="completions in a pass of TRL's (16)")
    args = speed_arguments.checked(parser.parse_args(argv))
    if args.device == "cuda" and not args.table and not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here; try it with --device cpu --size tiny")
    args.shape = speed_arguments.shape_of(args.custom) if args.custom else SHAPE[args.device]
    args.device_name = "cpu"
    if args.device == "cuda" and torch.cuda.is_available():
        args.device_name = torch.cuda.get_device_name()
    if args.shape.completions % args.trl_micro_batch:
        args.trl_micro_batch = args.shape.group
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    return speed_command.run("gpu", arguments, OnGpu, argv)


if __name__ == "__main__":
    sys.exit(main())
