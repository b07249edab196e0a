"""``bakeoff replay``: record rollouts once, and have every algorithm make of them what it does."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bakeoff.comparisons.commands.subcommands import whole_number
from bakeoff.comparisons.commands.working import Progress
from bakeoff.errors import UsageError, unknown
from bakeoff.plugins import see_current_folder

ALL = "all"

ENVIRONMENT, MODEL = "bakeoff/Arithmetic-v0", "tiny"

COUNTS: dict[str, tuple[int | None, int, str]] = {
    "prompts": (16, 1, "items in one replicate"),
    "group_size": (8, 1, "completions of each item"),
    "replicates": (8, 1, "times that the same items are answered; 1 splits its items in halves"),
    "critic_updates": (40, 0, "further batches that the critic is fitted to; 0 for no critic"),
    "seed": (0, 0, "of items and sampling"),
    "max_new_tokens": (None, 1, "tokens a reply may have (default: the environment's)"),
    "micro_batch": (64, 1, "completions in one pass; changes memory, not results"),
}
"""Flags that are whole numbers: their default, the least there may be, and their help."""

RATES = {
    "learning_rate": "AdamW step size of the update (default: the model's)",
    "critic_learning_rate": "and of the critic that is fitted (default: 5 times the model's)",
}

CRITIC_RATE = 5.0
"""The critic's step size by default, in the model's: it has a few dozen updates to become one."""

REPLAYING = ("command", "algorithms", "out", "source", "device", "micro_batch", "learning_rate")
"""What may go with ``--from``; the rest is settled by the recording."""

DEVICES = ("auto", "cpu", "cuda")


class Request(NamedTuple):
    """What was asked for, checked as far as that goes without torch.

    Attributes:
        algorithms: their specs.
        out: where the tables go.
        place: the folder of the recording.
        recorded: whether the recording must be there already.
        environment, model: their names.
        device: ``auto``, ``cpu`` or ``cuda``.
        numbers, rates: the flags that are numbers; None where the model or environment decides.
    """

    algorithms: list[str]
    out: Path
    place: Path
    recorded: bool
    environment: str
    model: str
    device: str
    numbers: dict[str, int | None]
    rates: dict[str, float | None]


def add_flags(command: argparse.ArgumentParser) -> None:
    """Add the flags of ``bakeoff replay`` to its parser."""
    what = command.add_argument_group("what to record")
    how = command.add_argument_group("how to replay it")
    what.add_argument(
        "--env", dest="environment", metavar="SPEC", help=f"environment (default: {ENVIRONMENT})"
    )
    what.add_argument(
        "--model", metavar="NAME", help=f"a name, a hub id or a folder (default: {MODEL})"
    )
    for name, (default, _, text) in COUNTS.items():
        shown = "" if default is None else f" (default: {default})"
        flag = f"--{name.replace('_', '-')}"
        group = how if name in REPLAYING else what
        group.add_argument(flag, dest=name, metavar="N", help=f"{text}{shown}")
    for name, text in RATES.items():
        group = how if name in REPLAYING else what
        group.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar="X", help=text)
    how.add_argument(
        "--algorithms", action="append", metavar="NAMES", help="with commas, or all (default: all)"
    )
    how.add_argument("--out", metavar="DIR", help="folder of the recording and the tables")
    how.add_argument(
        "--from", dest="source", metavar="DIR", help="replay the recording of an earlier folder"
    )
    how.add_argument("--device", metavar="auto|cpu|cuda", help="where to run (default: auto)")


def run(args: argparse.Namespace) -> int:
    """Record, or read a recording; replay it; write the tables and print the summary.

    Raises:
        UsageError: something is missing, misspelled or does not go together.
    """
    request = requested(vars(args))
    see_current_folder()
    from bakeoff.comparisons.replay import session
    from bakeoff.models import ModelError

    try:
        with Progress(sys.stderr) as progress:
            summary = session.run(request, progress.count)
    except (ModelError, FloatingPointError) as error:
        print(f"bakeoff: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(summary)
    return 0


def requested(given: Mapping[str, Any]) -> Request:
    """Return the request that flags make.

    Raises:
        UsageError: something is missing, misspelled or does not go together.
    """
    numbers = {name: _whole(name, given.get(name)) for name in COUNTS}
    rates = {name: _rate(name, given.get(name)) for name in RATES}
    device = given.get("device", "auto")
    if device not in DEVICES:
        raise unknown("device", device, DEVICES)
    source = given.get("source")
    for flag, folder in (("--out", given.get("out")), ("--from", source)):
        if folder == "":  # an unset variable, most likely; it would mean the current folder
            raise UsageError(f"{flag} names no folder: it is empty")
    if source is not None:
        extra = [name for name in given if name not in REPLAYING]
        if extra:
            flag = FLAGS.get(extra[0], extra[0]).replace("_", "-")
            raise UsageError(f"--{flag} is settled by the recording; leave it out, or leave --from")
    elif given.get("out") is None:
        raise UsageError("bakeoff replay needs --out, or --from; see bakeoff replay --help")
    elif numbers["replicates"] == numbers["prompts"] == 1:
        raise UsageError("one item has no halves: give --prompts 2 or --replicates 2")
    return Request(
        algorithms=chosen(given.get("algorithms", [ALL])),
        out=Path(given.get("out") or source or ""),
        place=Path(source or given["out"]) / "recording",
        recorded=source is not None,
        environment=given.get("environment", ENVIRONMENT),
        model=given.get("model", MODEL),
        device=device,
        numbers=numbers,
        rates=rates,
    )


def chosen(texts: list[str]) -> list[str]:
    """Return the algorithms that are asked for, each once, without importing torch.

    Raises:
        UsageError: a name is unknown, or stands there twice.

    Example:
        >>> chosen(["grpo,rloo"])
        ['grpo', 'rloo']
    """
    from bakeoff import algorithms
    from bakeoff.comparisons.running.grid import normal_form
    from bakeoff.plugins import parse_spec

    names = [name.strip() for text in texts for name in text.split(",")]
    if ALL in names:
        names = [name for name in names if name != ALL]
        names = [*(name for name in algorithms.ALGORITHMS if name not in names), *names]
    if "" in names:
        raise UsageError("--algorithms has an empty name in it")
    names = [normal_form(name) for name in names]
    for name in names:
        algorithms.known(parse_spec(name).target)
        if names.count(name) > 1:
            raise UsageError(f"--algorithms names {name} twice")
    return names


FLAGS = {"environment": "env"}
"""Flags that are called otherwise than what they set."""


def _whole(name: str, text: str | None) -> int | None:
    default, low, _ = COUNTS[name]
    if text is None:
        return default
    return whole_number(f"--{name.replace('_', '-')}", text, low)


def _rate(name: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise UsageError(f"--{name.replace('_', '-')} must be a number from 0 to 1, not '{text}'")
    return value
