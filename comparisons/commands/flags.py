"""The command line's grammar: one parser, a flag for every knob, and errors that name the nearest.

Nothing heavy is imported: every ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import bakeoff
from bakeoff.comparisons.commands import (
    algorithms_flags,
    envs_flags,
    export_command,
    fit_command,
    report_command,
    tune_command,
)
from bakeoff.comparisons.commands.run_flags import (
    add_algorithms,
    add_places,
    add_running,
    add_settings,
)
from bakeoff.comparisons.commands.subcommands import Adder, add_commands
from bakeoff.comparisons.explain import command as explain_command
from bakeoff.comparisons.replay import command as replay_command
from bakeoff.errors import UsageError, unknown

EPILOGS = {
    "compare": """examples:
  bakeoff compare
      grpo, ppo and reinforce on arithmetic with the tiny model, three seeds
  bakeoff compare --algorithms grpo,reinforce:baseline=leave_one_out --seeds 5 --updates 60
  bakeoff compare --env bakeoff/GSM8K-v0 --data DIR --model smollm2 --memory-limit 8GiB
  bakeoff compare --env my_envs.py:me/Add-v0 --out results/add
The same command again goes on where it was stopped.""",
    "tune": tune_command.EXAMPLES,
    "fit": fit_command.EXAMPLES,
    "train": """examples:
  bakeoff train --algorithm ppo --env bakeoff/Arithmetic-v0:level=3 --updates 100 --seed 1
  torchrun --nproc-per-node 2 -m bakeoff train
      one run of two processes, as is bakeoff train --launcher accelerate --num-processes 2
The same command again goes on from the last checkpoint.""",
    "report": """examples:
  bakeoff report results/arithmetic-v0-tiny
  bakeoff report results/arithmetic-v0-tiny --check
  bakeoff report results/monday results/tuesday --out results/both""",
    "envs": """examples:
  bakeoff envs
  bakeoff envs show bakeoff/Countdown-v0
  bakeoff envs sample bakeoff/Countdown-v0 -n 3 --split eval
  bakeoff envs check my_envs.py:me/Add-v0
  bakeoff envs new sorting
One's own is named my_envs.py:me/Add-v0, where my_envs.py registers it.""",
    "algorithms": """examples:
  bakeoff algorithms
  bakeoff algorithms show grpo:clip=0.1
  bakeoff algorithms show grpo dr_grpo
  bakeoff algorithms check my_file.py:function
  bakeoff algorithms new mine
One's own: --algorithms my_file.py:function, which returns a bakeoff.types.Algorithm.""",
    "models": """examples:
  bakeoff models
  bakeoff models fetch smollm2
Any other: --model org/name from the Hugging Face hub, or a local folder.""",
    "export": """examples:
  bakeoff export --env bakeoff/Countdown-v0 --to verl --out countdown
  bakeoff export --env bakeoff/Arithmetic-v0:level=3 --to jsonl --out sums -n 5000
For verl it prints the settings that go with the files. For TRL see docs/exports.md.""",
    "replay": """examples:
  bakeoff replay --out results/replay
      all algorithms on 8 replicates of 16 x 8 completions of the tiny model
  bakeoff replay --algorithms grpo,grpo:scale_by_std=false,my_algos.py:mine --out results/mine
  bakeoff replay --from results/replay --algorithms rloo,ppo:lam=0.95 --out results/ppo
The same command again uses the recording that is there.""",
    "explain": """examples:
  bakeoff explain
      one update of grpo on an arithmetic item that the tiny model answers both right and wrong
  bakeoff explain --algorithm ppo --seed 1
  bakeoff explain --env bakeoff/Arithmetic-v0:level=1 --algorithm rft --out results/rft
The tiny model must sometimes solve what it is asked: that is little else than sums.""",
    "doctor": """examples:
  bakeoff doctor
  bakeoff doctor --json
It exits with 1 if the programs that rewards for code run would have no sandbox.""",
}

NESTED = ("envs", "algorithms")  # commands that have actions

SUMMARIES = {
    "compare": "run algorithms side by side and write tables",
    "tune": "give every algorithm the same number of trials over a declared space",
    "fit": "find the largest group, batch, reply or model that fits in memory",
    "train": "one run: one algorithm, one seed",
    "report": "rebuild everything derived in a results folder; check it, or merge several",
    "envs": "list the environments; show, sample or check one; start one",
    "algorithms": "list the algorithms; show or check some; start one",
    "models": "list the models, or fetch one",
    "export": "write an environment's questions for another trainer",
    "replay": "lay the gradients of all algorithms on the same samples side by side",
    "explain": "show what one update does to the probability of each token",
    "doctor": "say which sandbox, versions and hardware there are",
}


class Once(argparse.Action):
    """Keeps a flag's value, and refuses another one for the same flag; for one command line."""

    given: object = None

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Keep the value."""
        if self.given not in (None, values):
            parser.error(f"{option_string} is given as {self.given} and as {values}: leave one out")
        self.given = values
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """An argument parser that raises ``UsageError``, and keeps one value of a flag that has one."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.register("action", None, Once)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and exiting."""
        raise UsageError(message)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    Raises:
        UsageError: an unknown command or flag, or a flag without its value.
    """
    parser, commands = _parsers()
    if argv and not argv[0].startswith("-") and argv[0] not in commands:
        raise unknown("command", argv[0], commands)
    if argv[:1] and argv[0] in NESTED and argv[1:] and not argv[1].startswith("-"):
        actions = [name.split()[1] for name in commands if name.startswith(f"{argv[0]} ")]
        if argv[1] not in actions:
            raise unknown(f"action of bakeoff {argv[0]}", argv[1], actions)
    args, extra = parser.parse_known_args(argv)
    if extra:
        nested = f"{args.command} {getattr(args, 'action', None)}"
        command = nested if nested in commands else args.command
        raise _unknown_argument(extra[0], command, commands.get(command, parser))
    if args.command is None:
        parser.print_help()
    return args


def _parsers() -> tuple[Parser, dict[str, argparse.ArgumentParser]]:
    parser = Parser(
        prog="bakeoff",
        description="Reward environments for language models, and the algorithms that learn from "
        "them, compared.",
        epilog="examples:\n  bakeoff compare\n  bakeoff compare --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"bakeoff {bakeoff.__version__}")
    actions: dict[str, dict[str, argparse.ArgumentParser]] = {}
    adders: dict[str, Adder] = {
        "compare": _add_compare,
        "tune": _add_tune,
        "fit": _add_fit,
        "train": _add_train,
        "report": report_command.add_flags,
        "envs": lambda command: actions.update(envs=envs_flags.add_actions(command)),
        "algorithms": lambda command: actions.update(
            algorithms=algorithms_flags.add_actions(command)
        ),
        "models": _add_models,
        "export": export_command.add_flags,
        "replay": replay_command.add_flags,
        "explain": explain_command.add_flags,
        "doctor": _add_doctor,
    }
    commands = add_commands(parser, "command", adders, summaries=SUMMARIES, epilogs=EPILOGS)
    for name, nested in actions.items():
        commands |= {f"{name} {action}": parser for action, parser in nested.items()}
    return parser, commands


def _add_compare(command: Parser) -> None:
    what = command.add_argument_group("what to compare")
    add_algorithms(what)
    add_places(what, repeated="; repeatable")
    what.add_argument(
        "--seeds", metavar="N", help="3 means 0, 1 and 2; or a list: 0,4,7 (default: 3)"
    )
    what.add_argument(
        "--no-control",
        action="store_false",
        dest="control",
        help="do not run the first algorithm twice to see what chance alone makes",
    )
    what.add_argument(
        "--max-parallel",
        metavar="N",
        help="runs at a time, where times do not matter: they are compared only if it is 1 "
        "(default: 1)",
    )
    what.add_argument(
        "--no-audit",
        action="store_false",
        dest="audit",
        help="do not count memory and FLOPs in short runs of their own",
    )
    what.add_argument(
        "--tuned",
        type=Path,
        metavar="DIR",
        help="give each algorithm what bakeoff tune chose for it in DIR (default: the defaults)",
    )
    add_running(command)


def _add_tune(command: Parser) -> None:
    what = command.add_argument_group("what to tune")
    add_algorithms(what)
    add_places(what, repeated="; repeatable")
    tune_command.add_flags(command)
    add_running(command)


def _add_fit(command: Parser) -> None:
    what = command.add_argument_group("what is to fit")
    add_algorithms(what)
    add_places(what, repeated="; repeatable")
    fit_command.add_flags(command)
    add_settings(command)


def _add_train(command: Parser) -> None:
    what = command.add_argument_group("what to train")
    what.add_argument(
        "--algorithm", action="append", dest="algorithms", metavar="NAME", help="(default: grpo)"
    )
    add_places(what, repeated="")
    what.add_argument("--seed", dest="seeds", metavar="N", help="(default: 0)")
    add_running(command)


def _add_models(command: Parser) -> None:
    command.add_argument("action", nargs="?", metavar="fetch", help="download and convert one")
    command.add_argument("name", nargs="?", metavar="NAME", help="its name")


def _add_doctor(command: Parser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _unknown_argument(
    text: str, command: str | None, parser: argparse.ArgumentParser
) -> UsageError:
    """Return the error for an argument that the command does not have."""
    of = f"bakeoff {command}" if command else "bakeoff"
    flag = text.partition("=")[0]
    if not flag.startswith("-"):
        return UsageError(f"{of} does not take '{text}' (see {of} --help)")
    flags: list[Any] = [option for action in parser._actions for option in action.option_strings]
    near = difflib.get_close_matches(flag, flags, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return UsageError(f"unknown flag {flag} of {of}{hint} (see {of} --help)")
