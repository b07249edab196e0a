"""The command lines of the speed benchmarks: what all of them take, and how it is checked."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Collection
from pathlib import Path

from speed_cells import SETTINGS
from speed_world import DTYPES, MODELS, SHAPES, Shape

from bakeoff.errors import UsageError, unknown

DOCS = Path(__file__).resolve().parents[1] / "docs"


def parser(description: str, example: str, csv_name: str) -> argparse.ArgumentParser:
    """Return a parser with the arguments that all speed benchmarks have."""
    markers = "with --write: the markers in the page (default %(default)s)"
    found = argparse.ArgumentParser(description=description, epilog=f"example: {example}")
    add = found.add_argument
    add("--rounds", type=int, default=3, help="fresh processes of each cell (default 3)")
    add("--warmup", type=int, default=1, help="updates of a process that do not count (default 1)")
    add("--updates", type=int, default=2, help="and those that do (default 2)")
    add("--threads", type=int, default=0, help="CPU threads of both sides (default: all)")
    add("--csv", type=Path, default=DOCS / "performance" / csv_name, metavar="FILE",
        help="the rows, which are taken up and added to (default: %(default)s)")  # fmt: skip
    add("--write", type=Path, metavar="PAGE", help="put the table between its markers there")
    add("--block", default=Path(csv_name).stem, metavar="NAME", help=markers)
    add("--table", action="store_true", help="measure nothing: print the table of the rows")
    add("--knob", action="append", default=[], metavar="NAME=VALUE",
        help="of this project's configuration; may come more than once")  # fmt: skip
    return found


def checked(args: argparse.Namespace) -> argparse.Namespace:
    """Return arguments whose numbers and files make sense; ``knobs`` are read.

    Raises:
        UsageError: they do not.
    """
    for name, least in (("rounds", 1), ("warmup", 0), ("updates", 1), ("threads", 0)):
        if getattr(args, name) < least:
            raise UsageError(f"--{name} must be at least {least}, not {getattr(args, name)}")
    if args.write and not args.write.is_file():
        raise UsageError(f"there is no page {args.write}")
    args.knobs = {}
    for knob in args.knob:
        name, found, value = knob.partition("=")
        if not found:
            raise UsageError(f"--knob needs NAME=VALUE, not '{knob}'")
        try:
            args.knobs[name] = json.loads(value)
        except ValueError:
            args.knobs[name] = value
    return args


def settings(args: argparse.Namespace) -> dict[str, object]:
    """Return the columns that name what all cells of a start share."""
    knobs = json.dumps(args.knobs, sort_keys=True) if args.knobs else ""
    return {**{name: getattr(args, name) for name in SETTINGS[:-1]}, "knobs": knobs}


def names(what: str, text: str, known: Collection[str]) -> list[str]:
    """Return the names in a list with commas, each of which must be known.

    Raises:
        UsageError: one is not.

    Example:
        >>> names("shape", "short,long", ["short", "reasoning", "long"])
        ['short', 'long']
    """
    found = [name.strip() for name in text.split(",")]
    for name in found:
        if name not in known:
            raise unknown(what, name, known)
    return found


def shape_of(text: str) -> Shape:
    """Return the shape that four numbers with commas stand for, in the order of its name.

    Raises:
        UsageError: they are not four, or one is below 1.

    Example:
        >>> shape_of("2,8,1024,64")
        Shape(prompts=2, group=8, prompt_tokens=1024, completion_tokens=64)
    """
    numbers = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if len(numbers) != len(Shape._fields) or min(numbers) < 1:
        raise UsageError(f"a shape is four numbers of at least 1, as 4,8,20,32; not '{text}'")
    return Shape(*numbers)


def add_shapes(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which updates are measured, in which precisions."""
    add = parser.add_argument
    add("--shapes", default=",".join(SHAPES), help="some of %(default)s")
    add("--precisions", default="fp32,bf16_autocast", help=f"some of {', '.join(DTYPES)}")
    add("--model", default="smollm2", help=f"one of {', '.join(MODELS)} (default %(default)s)")
    about = "instead of --shapes, a shape called custom: P prompts of T tokens, G completions of N"
    add("--shape", dest="custom", metavar="P,G,T,N", help=about)


def with_shapes(args: argparse.Namespace) -> argparse.Namespace:
    """Return arguments whose shapes are known; ``shape`` has the sizes of each.

    Raises:
        UsageError: one is not.
    """
    args.shape = dict(SHAPES)
    if args.custom:
        args.shape["custom"], args.shapes = shape_of(args.custom), "custom"
    args.shapes = names("shape", args.shapes, args.shape)
    args.precisions = names("precision", args.precisions, DTYPES)
    (args.model,) = names("model", args.model, MODELS)
    return args


def linked(file: Path, page: Path | None) -> str:
    """Return what a page calls a file: its path from the page's folder; without a page, its own."""
    return os.path.relpath(file, page.parent) if page else str(file)
