"""``bakeoff algorithms``: list algorithms, show what they compute, check them, start a new one."""

from __future__ import annotations

import argparse
import inspect
import json
import os
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bakeoff.algorithms import ALGORITHMS, ENTRY_POINTS, make, maker
from bakeoff.algorithms.elsewhere import elsewhere
from bakeoff.algorithms.manifest import KEYS
from bakeoff.plugins import entry_point_targets, making, parse_spec, see_current_folder
from bakeoff.types import Algorithm

NARROWEST, WIDEST = 60, 110


def run(args: argparse.Namespace) -> int:
    """Do what ``bakeoff algorithms`` was asked; return the exit code."""
    see_current_folder()
    return ACTIONS[getattr(args, "action", None) or "list"](args)


def show_list(args: argparse.Namespace) -> int:
    """Print every algorithm and what it is."""
    rows = {name: preset.summary for name, preset in ALGORITHMS.items()}
    rows |= entry_point_targets(ENTRY_POINTS)
    width = max(map(len, rows))
    for name, summary in rows.items():
        print(f"{name:<{width}}  {summary}")
    return 0


def show(args: argparse.Namespace) -> int:
    """Print what one algorithm is, or several side by side."""
    found = [description(spec) for spec in args.specs]
    if "json" in args:
        print(json.dumps(found, indent=2))
    elif len(found) == 1:
        print("\n\n".join(page(found[0], _width())))
    else:
        print("\n\n".join(side_by_side(found, _width())))
    return 0


def check(args: argparse.Namespace) -> int:
    """Check algorithms; 1 if anything failed."""
    for spec in args.specs:
        made(spec)  # all of them, before the first is checked
    from bakeoff.algorithms.checking import check as checked

    checkups = [checked(spec) for spec in args.specs]
    if "json" in args:
        print(json.dumps([checkup.as_dict() for checkup in checkups], indent=2))
    else:
        print("\n\n".join(map(str, checkups)))
    return 0 if all(checkup.passed for checkup in checkups) else 1


def new(args: argparse.Namespace) -> int:
    """Write a starter, and say how to go on."""
    from bakeoff.comparisons.commands.algorithm_starter import write_starter

    commands = write_starter(args.name, Path.cwd())
    print(f"{args.name}.py is written. Next:\n")
    print("\n".join(f"  {command}" for command in commands))
    return 0


ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": show_list,
    "show": show,
    "check": check,
    "new": new,
}


def made(spec: str) -> Algorithm:
    """Return an algorithm, whatever goes wrong in the user's code being a ``UsageError``.

    Raises:
        UsageError: it does not exist or cannot be made.
    """
    with making(f"'{spec}'"):
        return make(spec)


def description(spec: str) -> dict[str, Any]:
    """Return all that is known of an algorithm, as plain data.

    Raises:
        UsageError: it does not exist or cannot be made.

    Example:
        >>> found = description("grpo:clip=0.1")
        >>> found["semantics"]["surrogate"], found["needs"]
        ('ratio * advantage, clipped to [0.9, 1.1]', ['2 completions of each item, or more'])
    """
    parsed, algorithm = parse_spec(spec), made(spec)
    from bakeoff.algorithms.arguments import general_arguments, own_arguments

    function = maker(parsed.target)
    preset = ALGORITHMS.get(parsed.target)
    said = (inspect.getdoc(function) or "").partition("\n")[0]
    return {
        "algorithm": str(parsed),
        "summary": preset.summary if preset else said,
        "file": os.path.realpath(inspect.getsourcefile(function) or ""),
        "semantics": dict(algorithm.semantics),
        "needs": needs(algorithm),
        "arguments": [argument._asdict() for argument in own_arguments(parsed)],
        "options": [option._asdict() for option in general_arguments(parsed, algorithm)],
        "elsewhere": elsewhere(parsed.target),
    }


def needs(algorithm: Algorithm) -> list[str]:
    """Return what the training loop must provide for an algorithm, in words."""
    found = []
    if algorithm.on_gold:
        found.append("gold replies")
    if algorithm.min_group_size > 1:
        found.append(f"{algorithm.min_group_size} completions of each item, or more")
    if algorithm.critic is not None:
        found.append("a critic")
    if algorithm.needs_reference:
        found.append("a reference model")
    if algorithm.needs_greedy:
        found.append("the greedy reply to each item")
    return found


def page(found: Mapping[str, Any], width: int) -> Iterator[str]:
    """Yield the paragraphs that describe one algorithm.

    Args:
        found: its description.
        width: the columns there are.

    Example:
        >>> next(page(description("rft"), 80))
        "rft: supervised learning of one's own right replies"
    """
    yield f"{found['algorithm']}: {found['summary']}".removesuffix(": ")
    yield "\n".join(
        [
            f"file   {found['file']}",
            f"needs  {'; '.join(found['needs']) or 'nothing but samples and their rewards'}",
        ]
    )
    semantics = found["semantics"]
    yield _table("what it computes", semantics or {"": "It does not say."}, width)
    for title, name in (("its arguments", "arguments"), ("options of every algorithm", "options")):
        if found[name]:
            yield _table(title, {_pair(one): _account(one) for one in found[name]}, width)
    if found["elsewhere"]:
        yield _table("what the name means elsewhere", found["elsewhere"], width)


def side_by_side(found: Sequence[Mapping[str, Any]], width: int) -> Iterator[str]:
    """Yield a paragraph for each part of what several algorithms compute: what agrees, once."""
    names = [one["algorithm"] for one in found]
    alike = {}
    for key in dict.fromkeys([*KEYS, *(key for one in found for key in one["semantics"])]):
        values = [str(one["semantics"].get(key, "it does not say")) for one in found]
        if len(set(values)) == 1:
            alike[key] = values[0]
        else:
            yield _table(key, dict(zip(names, values, strict=True)), width)
    yield _table(
        "needs", {one["algorithm"]: "; ".join(one["needs"]) or "-" for one in found}, width
    )
    if alike:
        yield _table("the same in all of them", alike, width)


def _pair(argument: Mapping[str, Any]) -> str:
    return f"{argument['name']}={_scalar(argument['value'])}"


def _account(argument: Mapping[str, Any]) -> str:
    """Return what an argument does, what it may be, and its default if it is another now."""
    says, choices = str(argument["says"]).rstrip("."), argument["choices"]
    parts = [] if all(word in says for word in choices.split(", ")) else [choices]
    if argument["value"] != argument["default"]:
        parts.append(f"default {_scalar(argument['default'])}")
    return f"{says} ({'; '.join(parts)})" if parts else says


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(title: str, rows: Mapping[str, object], width: int) -> str:
    """Return rows of a name and a text under a title, the texts wrapped."""
    first = max(map(len, rows)) + 4
    lines = [title]
    for name, text in rows.items():
        start, rest = f"  {name}".ljust(first), " " * first
        lines += textwrap.wrap(
            str(text) or "-",
            width,
            initial_indent=start,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def _width() -> int:
    return min(max(shutil.get_terminal_size((100, 24)).columns, NARROWEST), WIDEST)
