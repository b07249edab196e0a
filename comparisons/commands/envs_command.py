"""``bakeoff envs``: list environments, show one, sample it, check it, start a new one."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bakeoff.comparisons.commands.starter import write_starter
from bakeoff.comparisons.commands.working import Progress
from bakeoff.comparisons.running.checks import with_data
from bakeoff.envs import ENTRY_POINTS, ENVIRONMENTS, SPLITS, TextEnv, describe, make
from bakeoff.envs.checking import check
from bakeoff.envs.text_env import checked_split
from bakeoff.errors import UsageError
from bakeoff.plugins import (
    entry_point_targets,
    import_code,
    import_object,
    making,
    parse_spec,
    see_current_folder,
)
from bakeoff.types import Item


def run(args: argparse.Namespace) -> int:
    """Do what ``bakeoff envs`` was asked; return the exit code."""
    see_current_folder()
    return ACTIONS[getattr(args, "action", None) or "list"](args)


def show_list(args: argparse.Namespace) -> int:
    """Print every environment; 1 if one could not be imported, which is said."""
    found, trouble = listing(getattr(args, "files", []))
    width = max(len(name) for name in found)
    for name, summary in sorted(found.items()):
        print(f"{name:<{width}}  {summary}")
    for name, why in trouble.items():
        said = "" if name in why else f"{name} cannot be imported: "
        print(f"! {said}{' '.join(why.split())}")
    return 1 if trouble else 0


def listing(files: Sequence[str] = ()) -> tuple[dict[str, str], dict[str, str]]:
    """Return the summary of every environment, and why some could not be imported.

    Args:
        files: files or modules that register more of them.

    Example:
        >>> found, trouble = listing()
        >>> found["bakeoff/Sequences-v0"][:4], trouble
        ('What', {})
    """
    trouble: dict[str, str] = {}
    for file in files:
        _try(lambda: import_code(file), file, trouble)  # noqa: B023 (called at once)
    found = dict(_try(describe, "a registered environment", trouble) or _shipped())
    for id, place in entry_point_targets(ENTRY_POINTS).items():
        target = _try(lambda: import_object(place), id, trouble)  # noqa: B023
        found[id] = f"({place})" if target is None else _summary(target) or place
    return {id: text for id, text in found.items() if id not in trouble}, trouble


def _shipped() -> dict[str, str]:
    return {id: _summary(import_object(place)) for id, place in ENVIRONMENTS.items()}


def show(args: argparse.Namespace) -> int:
    """Print what an environment is."""
    print("\n\n".join(page(args.name, getattr(args, "data", None))))
    return 0


def page(spec: str, data: str | None = None) -> Iterator[str]:
    """Yield the paragraphs that describe an environment.

    If its items cannot be had, and it ships, its description comes all the same.

    Raises:
        UsageError: there is no such environment, or it cannot be made.

    Example:
        >>> list(page("bakeoff/Arithmetic-v0"))[0]
        'bakeoff/Arithmetic-v0'
    """
    try:
        env = made(spec, data)
    except UsageError as error:
        kind = ENVIRONMENTS.get(parse_spec(spec).target)
        if kind is None:
            raise
        yield from _description(parse_spec(spec).target, import_object(kind))
        yield f"There are no items to show: {error}"
        return
    definition = env.spec.kwargs.get("definition") if env.spec is not None else None
    yield from _description(env.spec_text, definition.make_item if definition else type(env))
    yield _rewards(env)
    sizes = ", ".join(f"{split} {env.size(split):,}" for split in SPLITS)
    facts = [f"items    {sizes}", f"turns    {env.turns}", f"tokens   {env.reply_tokens} a reply"]
    if env.needs_sandbox:
        facts.append("sandbox  its rewards run programs; see bakeoff doctor")
    yield "\n".join(facts)
    split = next((split for split in SPLITS if env.size(split)), None)
    if split is not None:
        yield f"an example, {item_text(env, env.item(0, split))}"


def sample(args: argparse.Namespace) -> int:
    """Print items and their gold replies, and how a reply is scored."""
    count, split = int(_number("-n", args.n, int)), checked_split(args.split)
    env = made(args.name, getattr(args, "data", None))
    items = [env.item(index, split) for index in range(min(count, env.size(split)))]
    if not items:
        raise UsageError(f"{env.id} has no {split} items")
    replies = tuple(getattr(args, "reply", ()))
    if len(replies) > env.turns:
        raise UsageError(f"{len(replies)} replies, and {env.id} has {env.turns} turns")
    for item in items:
        print(item_text(env, item), end="\n\n")
    if replies:
        score = env.score(items[0], replies if env.turns > 1 else replies[0])
        said = "not scored" if score.value is None else f"{score.value:g}"
        print(f"your reply to {items[0].id}: {said}")
        for name, part in score.parts.items():
            print(f"  {name} {part:g}, weight {env.rewards[name][0]:g}")
        for why in filter(None, (score.malformed, score.reason)):
            print(f"  {why}")
    return 0


def check_one(args: argparse.Namespace) -> int:
    """Check an environment; 1 if anything failed."""
    items, deadline_s = _number("--items", args.items, int), _number("--deadline", args.deadline)
    env = made(args.name, getattr(args, "data", None))
    with Progress(sys.stderr) as progress:
        checkup = check(env, items=int(items), deadline_s=deadline_s, report=progress.report)
    print(json.dumps(checkup.as_dict(), indent=2) if "json" in args else checkup)
    return 0 if checkup.passed else 1


def new(args: argparse.Namespace) -> int:
    """Write a starter, and say how to go on."""
    commands = write_starter(args.name, Path.cwd())
    print(f"{args.name}.py and test_{args.name}.py are written. Next:\n")
    print("\n".join(f"  {command}" for command in commands))
    return 0


ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": show_list,
    "show": show,
    "sample": sample,
    "check": check_one,
    "new": new,
}


def made(spec: str, data: str | None = None) -> TextEnv:
    """Return an environment, whatever goes wrong in the user's code being a ``UsageError``.

    Raises:
        UsageError: it does not exist or cannot be made.
    """
    with making(f"'{spec}'"):
        return make(with_data([spec], data)[0])


def item_text(env: TextEnv, item: Item) -> str:
    """Return an item for a person to read: what is asked, and the gold replies, turn by turn."""
    lines = [item.id, _labelled("prompt", item.prompt)]
    if item.answer and item.answer != item.gold:
        lines.append(_labelled("answer", item.answer))
    said: list[str] = []
    while len(said) < env.turns:
        said.append(env.gold_reply(item, tuple(said)))
        lines.append(_labelled("gold", said[-1]))
        heard = env.turn(item, tuple(said)) if env.turns > 1 else None
        if heard is None:
            break
        lines.append(_labelled("heard", heard))
    return "\n".join(lines)


def _labelled(name: str, text: str) -> str:
    """Return a text behind its name, lines below each other; lone surrogates are escaped."""
    shown = text.encode("utf-8", "backslashreplace").decode()
    return textwrap.indent(shown, " " * 10, lambda line: True).replace(" " * 10, f"  {name:<8}", 1)


def _description(name: str, target: object) -> Iterator[str]:
    yield name
    yield inspect.getdoc(target) or "It has no docstring."
    rows = []
    parameters = list(inspect.signature(target).parameters.values())  # type: ignore[arg-type]
    for parameter in parameters if isinstance(target, type) else parameters[1:]:
        if parameter.name not in ("split", "render_mode"):
            default = parameter.default is not parameter.empty
            rows.append(f"  {parameter.name}={parameter.default}" if default else parameter.name)
    yield "\n".join(["arguments and defaults", *rows]) if rows else "It has no arguments."


def _rewards(env: TextEnv) -> str:
    width = max(map(len, env.rewards), default=0)
    lines = ["rewards"]
    for name, (weight, function) in env.rewards.items():
        low, high = env.ranges.get(name, (0.0, 1.0))
        count = f"weight {weight:g}" if weight else "only logged"
        row = f"  {name:<{width}}  {count:<11}  {low:g} to {high:g}  {_summary(function)}"
        lines.append(row.rstrip())
    return "\n".join(lines)


def _summary(target: object) -> str:
    return (inspect.getdoc(target) or "").partition("\n")[0]


def _number(flag: str, text: str, kind: type[int] | type[float] = float) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = 0
    if not 0 < value < 1e9:
        raise UsageError(f"{flag} must be a number above 0, not '{text}'")
    return value


def _try(act: Callable[[], Any], name: str, trouble: dict[str, str]) -> Any:
    """Return what a function returns, or ``None`` and note why it failed."""
    try:
        return act()
    except (Exception, SystemExit) as error:  # code of the user's may raise anything
        why = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
        trouble[name] = why
        return None
