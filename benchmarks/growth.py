r"""How an update's time and memory grow: with the group, the lengths, the prompts and the model.

    python benchmarks/growth.py --rounds 3 --write docs/performance.md

One size is changed at a time, the others stay as they are in the middle: 2 prompts of 128 tokens,
8 completions of 64 tokens, a model of 30 million random weights with SmolLM2's vocabulary of
49,152. Every cell is a fresh process, and its figures are medians over the rounds; the rounds go
over all cells in turn. Completions are full and groups have spread, as in ``vs_trl.py``. Memory is
the highest mark of the process above what it held when the model was loaded, so it has gradients
and the optimiser's averages in it: three times the weights. The dashed line is what logits of all
sampled tokens would take in fp32.

A cell that is in the CSV is not measured again. ``--quick`` tries it all out with small sizes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import speed_arguments
import speed_command
from growth_figure import AXES, Point, drawn
from speed_cells import Results, failures, fill, measured, medians, said
from speed_own import Job
from speed_tables import MIB, markdown
from speed_world import DTYPES, Shape

from bakeoff.comparisons.tables import replace_file

FP32 = 4


class Plan(NamedTuple):
    """What stays, and what each of the axes takes in its place."""

    model: str
    shape: Shape
    values: Mapping[str, Sequence[int]]
    models: Sequence[str]


FULL = Plan(
    "30m",
    Shape(prompts=2, group=8, prompt_tokens=128, completion_tokens=64),
    {
        "group": (2, 4, 8, 16, 32),
        "completion_tokens": (16, 32, 64, 128, 256),
        "prompt_tokens": (32, 128, 512, 1024, 2048),
        "prompts": (1, 2, 4, 8, 16),
    },
    ("tiny", "30m", "smollm2"),
)

QUICK = Plan(
    "tiny",
    Shape(prompts=2, group=4, prompt_tokens=16, completion_tokens=8),
    {
        "group": (2, 4, 8),
        "completion_tokens": (4, 8),
        "prompt_tokens": (16, 64),
        "prompts": (1, 2),
    },
    ("tiny", "30m"),
)


def cells_of(plan: Plan) -> list[tuple[str, str, Shape]]:
    """Return axis, model and shape of every point; the middle is on every axis.

    Example:
        >>> [(axis, str(shape)) for axis, model, shape in cells_of(QUICK)][1:3]
        [('group', '2 x 16 tokens x 4 x 8'), ('group', '2 x 16 tokens x 8 x 8')]
    """
    shapes = [
        (axis, plan.model, plan.shape._replace(**{axis: value}))
        for axis, values in plan.values.items()
        for value in values
    ]
    return shapes + [("model", model, plan.shape) for model in plan.models]


class Growth:
    """All cells of one start.

    Attributes:
        results: the rows so far.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.results = args, Results(args.csv)
        self.plan = QUICK if args.quick else FULL

    def measure(self) -> None:
        """Measure what is missing; the middle is measured once for all axes."""
        cells = list(dict.fromkeys((model, shape) for _, model, shape in cells_of(self.plan)))
        done = 0
        for turn in range(1, self.args.rounds + 1):
            for model, shape in cells[:: 1 if turn % 2 else -1]:
                done += 1
                self._fill(model, shape, turn, f"[{done}/{len(cells) * self.args.rounds}]")

    def _cell(self, model: str, shape: Shape) -> dict[str, object]:
        place = {"model": model, **shape._asdict(), "precision": self.args.precision}
        return {**place, **speed_arguments.settings(self.args)}

    def _fill(self, model: str, shape: Shape, turn: int, progress: str) -> None:
        args = self.args
        job = Job(
            model=model,
            shape=shape,
            precision=args.precision,
            warmup=args.warmup,
            updates=args.updates,
            threads=args.threads,
            device="cpu",
            knobs=args.knobs,
        )

        def measure() -> Mapping[str, object]:
            found = measured("bakeoff", job)
            sizes = {name: found[name] for name in ("parameters", "vocabulary")}
            return {**medians(found), **sizes}

        fill(self.results, {**self._cell(model, shape), "round": turn}, measure, progress)

    def points(self) -> dict[str, list[Point]]:
        """Return what was measured, by axis."""
        found: dict[str, list[Point]] = {axis: [] for axis in AXES}
        for axis, model, shape in cells_of(self.plan):
            rows = self.results.of(**self._cell(model, shape))
            if not rows:
                continue
            columns = (
                statistics.median(float(row[name]) for row in rows)
                for name in ("wall_s", "generation_wall_s", "update_wall_s", "above_mib")
            )
            vocabulary, parameters = (int(rows[0][name]) for name in ("vocabulary", "parameters"))
            logits = shape.completions * shape.completion_tokens * vocabulary * FP32 / MIB
            size = parameters if axis == "model" else getattr(shape, axis)
            found[axis].append(Point(size, *columns, logits))
        return found

    def block(self) -> str:
        """Draw the figure, and return it with the table."""
        figure = self.args.csv.with_suffix(".png")
        replace_file(figure, drawn(self.points()))
        lines = [
            [AXES[axis], f"{point.size:,}", f"{point.wall_s:.2f}", f"{point.generation_s:.2f}",
             f"{point.update_s:.2f}", f"{point.above_mib:,.0f}", f"{point.logits_mib:,.0f}"]
            for axis, points in self.points().items()
            for point in points
        ]  # fmt: skip
        header = ("axis", "size", "s an update", "of it generation", "of it update",
                  "MiB above the model", "MiB of all logits")  # fmt: skip
        rows = [row for _, model, shape in cells_of(self.plan)
                for row in self.results.of(**self._cell(model, shape))]  # fmt: skip
        middle = f"in the middle {self.plan.model}, {self.plan.shape}"
        made = f"{self.args.precision}; {self.args.warmup} + {self.args.updates} updates a process"
        place = speed_arguments.linked(figure, self.args.write)
        parts = [f"![Update time and memory against five sizes]({place})"]
        parts += [markdown(header, lines, words=1), *failures(self.results)]
        return "\n\n".join([*parts, said(rows, middle, made)])


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments, checked.

    Raises:
        UsageError: one makes no sense.
    """
    example = "python benchmarks/growth.py --rounds 3 --write docs/performance.md"
    parser = speed_arguments.parser("Measure how time and memory grow.", example, "growth.csv")
    parser.add_argument("--precision", default="fp32", choices=DTYPES, help="(default fp32)")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try it out")
    return speed_arguments.checked(parser.parse_args(argv))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    return speed_command.run("growth", arguments, Growth, argv)


if __name__ == "__main__":
    sys.exit(main())
