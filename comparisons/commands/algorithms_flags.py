"""The grammar of ``bakeoff algorithms``: what each of its actions takes."""

from __future__ import annotations

import argparse

from bakeoff.comparisons.commands.subcommands import Adder, add_commands

SPECS = "a name, with arguments if any; my_file.py:function for one of your own"

EPILOGS = {
    "list": """example:
  bakeoff algorithms""",
    "show": """examples:
  bakeoff algorithms show grpo:clip=0.1
  bakeoff algorithms show grpo dr_grpo dapo
Several of them are laid side by side.""",
    "check": """examples:
  bakeoff algorithms check my_algos.py:mine
  bakeoff algorithms check grpo ppo:critic=shared --json
No model is needed. It exits with 1 if anything fails.""",
    "new": """example:
  bakeoff algorithms new mine
writes mine.py, a small algorithm that works; nothing is overwritten.""",
}

SUMMARIES = {
    "list": "list the algorithms",
    "show": "what one computes, its arguments, and what its name means elsewhere",
    "check": "check one without a model: credit, loss, and whether it learns",
    "new": "write a starter for one of your own",
}


def add_actions(command: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Add the actions to the parser of ``bakeoff algorithms`` and return their parsers by name."""
    adders: dict[str, Adder] = {
        "list": lambda action: None,
        "show": _add_specs,
        "check": _add_specs,
        "new": _add_name,
    }
    return add_commands(command, "action", adders, summaries=SUMMARIES, epilogs=EPILOGS)


def _add_specs(action: argparse.ArgumentParser) -> None:
    action.add_argument("specs", nargs="+", metavar="SPEC", help=SPECS)
    action.add_argument("--json", action="store_true", help="print JSON instead")


def _add_name(action: argparse.ArgumentParser) -> None:
    help = "what the file and the function are called, without .py"
    action.add_argument("name", metavar="NAME", help=help)
