"""The grammar of ``bakeoff envs``: what each of its actions takes."""

from __future__ import annotations

import argparse

from bakeoff.comparisons.commands.subcommands import Adder, add_commands

PLACE = "me.py:me/Name-v0 for one of your own"

EPILOGS = {
    "list": """examples:
  bakeoff envs
  bakeoff envs list my_envs.py
It exits with 1 if an installed environment, or a file given, cannot be imported.""",
    "show": """examples:
  bakeoff envs show bakeoff/Countdown-v0
  bakeoff envs show bakeoff/GSM8K-v0 --data DIR
  bakeoff envs show my_envs.py:me/Add-v0:digits=3""",
    "sample": """examples:
  bakeoff envs sample bakeoff/Arithmetic-v0:level=3 -n 3 --split eval
  bakeoff envs sample bakeoff/Arithmetic-v0 -n 1 --reply 'It is 52.'
In an environment of several turns, give --reply once for each turn.""",
    "check": """examples:
  bakeoff envs check bakeoff/Arithmetic-v0
  bakeoff envs check my_envs.py:me/Add-v0 --json
  bakeoff envs check bakeoff/GSM8K-v0 --data DIR --items 50
No model is needed. It exits with 1 if anything fails.""",
    "new": """example:
  bakeoff envs new sorting
writes sorting.py, which registers me/Sorting-v0, and test_sorting.py; nothing is overwritten.""",
}

SUMMARIES = {
    "list": "list the environments",
    "show": "describe one: arguments, rewards, sizes, an example",
    "sample": "print items of one, and score a reply of yours",
    "check": "check one without a model: rewards, splits, reproducibility",
    "new": "write a starter for one of your own, with a test",
}


def add_actions(command: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Add the actions to the parser of ``bakeoff envs`` and return their parsers by name."""
    adders: dict[str, Adder] = {
        "list": _add_list,
        "show": _add_one,
        "sample": _add_sample,
        "check": _add_check,
        "new": lambda action: _add_name(action, "NAME", "what the file is called, without .py"),
    }
    return add_commands(command, "action", adders, summaries=SUMMARIES, epilogs=EPILOGS)


def _add_list(action: argparse.ArgumentParser) -> None:
    action.add_argument("files", nargs="*", metavar="FILE", help="also those that files register")


def _add_one(action: argparse.ArgumentParser) -> None:
    _add_name(action, "ID", f"its name, with arguments if any; {PLACE}")
    action.add_argument("--data", metavar="PATH", help="folder of its data")


def _add_sample(action: argparse.ArgumentParser) -> None:
    _add_one(action)
    action.add_argument("-n", default="3", metavar="N", help="how many items (default: 3)")
    action.add_argument("--split", default="train", metavar="train|eval", help="(default: train)")
    action.add_argument(
        "--reply", action="append", metavar="TEXT", help="score this as a reply to the first"
    )


def _add_check(action: argparse.ArgumentParser) -> None:
    _add_one(action)
    action.add_argument("--items", default="20", metavar="N", help="items to try (default: 20)")
    action.add_argument(
        "--deadline", default="10", metavar="SECONDS", help="for one scoring (default: 10)"
    )
    action.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _add_name(action: argparse.ArgumentParser, metavar: str, help: str) -> None:
    action.add_argument("name", metavar=metavar, help=help)
