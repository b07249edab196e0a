r"""This project's loop against TRL's ``GRPOTrainer``, side by side.

    python benchmarks/vs_trl.py --rounds 3 --write docs/performance.md

How it is measured:
1. Both train in turn, each in a fresh process for every shape, precision and round; which of them
   is first changes from round to round. A figure is the median of the rounds, and a round's that of
   its counted updates; a ratio is the geometric mean of the rounds' own ratios, with Student's 95 %
   interval of their logarithms.
2. Both get the same model, prompts (which is checked by a digest of their tokens), group size,
   lengths, temperature 1, GRPO's loss without a KL, AdamW at a learning rate of 1e-6 without
   weight decay, gradients clipped at 1, one optimiser step an update, and number of threads. All
   completions are full: the token that ends a reply is one that is not in the vocabulary. The
   reward is a checksum of the text, so that every group has spread and no side may leave one out.
3. TRL is tuned first: an update with each size of its micro-batches, and with its default of
   recomputed activations (``gradient_checkpointing``), all with the same step. The fastest is used.
   This project runs with its defaults, and with what ``--knob`` sets.
4. In ``bf16_autocast`` weights are in fp32 and passes in bf16 on both sides, which is what TRL's
   ``bf16=True`` is. In ``bf16`` the weights are, too: TRL then has no fp32 copy of them, and its
   AdamW averages in bf16, which this project's never are.
5. Generation is sampling; scoring is rewards, advantages and what else precedes the update; the
   update is the passes forward and backward and the optimiser's step.
6. Memory is the highest mark of the process (``VmHWM``) from when the model was loaded, and how far
   it is above what the process held then: a library's own code is in the first and not the second.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Iterator, Sequence

import speed_arguments
import speed_command
from speed_cells import Failed, Results, Row, failures, fill, measured, medians, said
from speed_own import Job
from speed_world import Shape
from vs_trl_tables import phases, ratios, tuning

from bakeoff.errors import UsageError

SIDES = ("bakeoff", "trl")
SIZES = (4, 8, 16, 32)
TUNING = "tuning"
CHECKPOINTING = " with checkpointing"


def variants(shape: Shape, tried: Sequence[int] = SIZES) -> dict[str, dict[str, object]]:
    """Return the settings of TRL's that make the same optimiser step.

    Args:
        shape: what is asked.
        tried: micro-batches of so many completions, if they divide all evenly.

    Example:
        >>> list(variants(Shape(2, 4, 20, 8)))
        ['4', '8', '8 with checkpointing']
    """
    sizes = [size for size in tried if shape.completions % size == 0]
    found: dict[str, dict[str, object]] = {str(size): {"micro_batch": size} for size in sizes}
    for last in sizes[-1:]:
        found[f"{last}{CHECKPOINTING}"] = {"micro_batch": last, "checkpointing": True}
    return found


class Comparison:
    """All cells of one start.

    Attributes:
        results: the rows so far.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.results = args, Results(args.csv)
        self.done = 0
        tunings = sum(len(self.variants(name)) for name in args.shapes)
        cells = tunings + 2 * len(args.shapes) * args.rounds
        self.all = cells * len(args.precisions)

    def variants(self, shape: str) -> dict[str, dict[str, object]]:
        """Return the settings of TRL's that are tried for a shape."""
        return variants(self.args.shape[shape], self.args.sizes)

    def measure(self) -> None:
        """Measure what is missing: first what suits TRL, then all rounds."""
        places = [(shape, precision) for precision in self.args.precisions
                  for shape in self.args.shapes]  # fmt: skip
        for shape, precision in places:
            for variant in self.variants(shape):
                self._fill(shape, precision, "trl", TUNING, variant)
        for turn in range(1, self.args.rounds + 1):
            for shape, precision in places:
                for side in SIDES[:: 1 if turn % 2 else -1]:
                    variant = self.best(shape, precision) if side == "trl" else "defaults"
                    self._fill(shape, precision, side, turn, variant)

    def best(self, shape: str, precision: str) -> str:
        """Return the variant of TRL's that was fastest, or else its first."""
        rows = self.results.of(**self._cell(shape, precision, "trl", TUNING))
        names = self.variants(shape)
        times = {row["variant"]: float(row["wall_s"]) for row in rows if row["variant"] in names}
        return min(times, key=times.__getitem__) if times else next(iter(names))

    def _cell(self, shape: str, precision: str, side: str, turn: object) -> dict[str, object]:
        settings = speed_arguments.settings(self.args)
        if turn == TUNING:
            settings |= {"warmup": 0, "updates": 1, "knobs": ""}
        place = {"shape": shape, "sizes": self.args.shape[shape], "precision": precision}
        return {"model": self.args.model, **place, "side": side, "round": turn, **settings}

    def _fill(self, shape: str, precision: str, side: str, turn: object, variant: str) -> None:
        cell = {**self._cell(shape, precision, side, turn), "variant": variant}
        sizes = self.args.shape[shape]
        job = Job(
            model=self.args.model,
            shape=sizes,
            precision=precision,
            warmup=int(str(cell["warmup"])),
            updates=int(str(cell["updates"])),
            threads=self.args.threads,
            device="cpu",
            knobs=self.variants(shape)[variant] if side == "trl" else self.args.knobs,
        )

        def measure() -> dict[str, object]:
            found = medians(measured(side, job))
            if found["tokens"] != sizes.completions * sizes.completion_tokens:
                raise Failed(f"{found['tokens']} tokens were sampled: not all completions are full")
            return found

        self.done += 1
        fill(self.results, cell, measure, f"[{self.done}/{self.all}]")

    def rounds(self, shape: str, precision: str) -> Iterator[tuple[Row, Row]]:
        """Yield the rows of both sides of each round that neither failed in.

        Raises:
            UsageError: the sides had other prompts.
        """
        for turn in range(1, self.args.rounds + 1):
            own, theirs = (
                self.results.of(**self._cell(shape, precision, side, turn)) for side in SIDES
            )
            if own and theirs:
                if own[-1]["asked"] != theirs[-1]["asked"]:
                    raise UsageError(f"{shape}, {precision}, round {turn}: the prompts differ")
                yield own[-1], theirs[-1]

    def block(self) -> str:
        """Return the tables."""
        places = [(s, p) for s in self.args.shapes for p in self.args.precisions]
        pairs = {place: list(self.rounds(*place)) for place in places}
        tuned = [row for place in places for row in self._tuned(*place)]
        used = [row for found in pairs.values() for pair in found for row in pair]
        made = f"{self.args.warmup} + {self.args.updates} updates a process"
        parts = [ratios(pairs), phases(pairs), tuning(tuned), *failures(self.results)]
        return "\n\n".join([*parts, said(used, f"model {self.args.model}", made)])

    def _tuned(self, shape: str, precision: str) -> list[Row]:
        return self.results.of(**self._cell(shape, precision, "trl", TUNING))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments, checked.

    Raises:
        UsageError: one makes no sense, or TRL is not installed.
    """
    example = "python benchmarks/vs_trl.py --rounds 3 --shapes short --write docs/performance.md"
    parser = speed_arguments.parser(
        "Compare this project's loop with TRL's.", example, "vs_trl.csv"
    )
    speed_arguments.add_shapes(parser)
    sizes = "completions of a micro-batch that are tried for TRL (default 4 8 16 32)"
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N", help=sizes)
    args = speed_arguments.with_shapes(speed_arguments.checked(parser.parse_args(argv)))
    for name in args.shapes:
        if not all(size > 0 for size in args.sizes) or not variants(args.shape[name], args.sizes):
            raise UsageError(f"no micro-batch of {args.sizes} divides the completions of '{name}'")
    if not args.table and importlib.util.find_spec("trl") is None:
        raise UsageError("TRL is not installed: pip install 'bakeoff[trl]'")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    return speed_command.run("vs_trl", arguments, Comparison, argv)


if __name__ == "__main__":
    sys.exit(main())
