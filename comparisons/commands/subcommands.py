"""Commands and their actions on the command line, and the numbers that flags are given."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from bakeoff.errors import UsageError

Adder = Callable[[Any], None]
"""Adds the flags of a command to its parser."""


def add_commands(
    parser: argparse.ArgumentParser,
    dest: str,
    adders: Mapping[str, Adder],
    *,
    summaries: Mapping[str, str],
    epilogs: Mapping[str, str],
) -> dict[str, argparse.ArgumentParser]:
    """Add commands to a parser, and return their own parsers by name.

    Args:
        parser: a command's, or the whole command line's.
        dest: where the name of the chosen one is put, and what they are called in the usage.
        adders: what adds the flags of each.
        summaries: one line about each, without a capital or a full stop.
        epilogs: examples of each.
    """
    found = parser.add_subparsers(dest=dest, metavar=dest, parser_class=type(parser))
    commands: dict[str, argparse.ArgumentParser] = {}
    for name, add in adders.items():
        commands[name] = found.add_parser(
            name,
            help=summaries[name],
            description=summaries[name][0].upper() + summaries[name][1:] + ".",
            epilog=epilogs[name],
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,
        )
        add(commands[name])
    return commands


def whole_number(flag: str, text: str, low: int = 0) -> int:
    """Return the whole number that a flag was given.

    Raises:
        UsageError: it is none, too small, or has more than nine digits.

    Example:
        >>> whole_number("--seed", "7")
        7
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) >= low):
        least = f" of at least {low}" if low else ""
        raise UsageError(f"{flag} must be a whole number{least}, not '{text}'")
    return int(text)
