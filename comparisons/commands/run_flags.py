"""Flags that several commands share: what is run, where, how, and with which settings."""

from __future__ import annotations

import argparse
from pathlib import Path

from bakeoff.comparisons.cell.trackers.registry import TRACKERS
from bakeoff.comparisons.running.given import LAUNCHERS
from bakeoff.training.config import knobs

TRAIN_CHECKPOINT_EVERY = 20
"""Updates between checkpoints of ``bakeoff train``: it is there for the model, too."""

ALSO = {"processes": ("--num-processes",)}
"""Flags that have a second name: the one that accelerate gives them."""


def add_algorithms(what: argparse._ArgumentGroup) -> None:
    """Add the flag that names algorithms."""
    what.add_argument(
        "--algorithms",
        action="append",
        metavar="NAMES",
        help="with commas between them, or repeated; all: every one that ships "
        "(default: grpo,ppo,reinforce)",
    )


def add_places(what: argparse._ArgumentGroup, repeated: str) -> None:
    """Add the flags of environments and models; ``repeated`` says whether there may be several."""
    what.add_argument(
        "--env",
        action="append",
        dest="environments",
        metavar="SPEC",
        help=f"environment, with arguments if any{repeated} (default: bakeoff/Arithmetic-v0)",
    )
    what.add_argument(
        "--model",
        action="append",
        dest="models",
        metavar="NAME",
        help=f"a name, a hub id or a local folder{repeated} (default: tiny)",
    )
    what.add_argument(
        "--data", metavar="PATH", help="folder of data, for every environment that takes one"
    )


def add_running(command: argparse.ArgumentParser) -> None:
    """Add the flags of how runs are made, and their settings."""
    run = command.add_argument_group("how to run it")
    run.add_argument("--out", metavar="DIR", help="results folder (default: results/...)")
    run.add_argument("--memory-limit", metavar="SIZE", help="end a run that holds more: 8GiB")
    run.add_argument("--cell-timeout", metavar="SECONDS", help="end a run that takes longer")
    _add_launching(run)
    run.add_argument("--only", metavar="failed", help="run what failed once more, nothing else")
    run.add_argument(
        "--stale",
        metavar="keep|rerun",
        help="what becomes of runs in the folder that other code or versions made",
    )
    run.add_argument(
        "--tracker",
        action="append",
        dest="trackers",
        metavar="|".join(TRACKERS),
        help="show runs there as well; repeatable",
    )
    run.add_argument("--quiet", action="store_true", help="print the results only")
    run.add_argument("--config", type=Path, metavar="FILE", help="YAML file; flags come before it")
    run.add_argument(
        "--print-config", action="store_true", help="print the resolved YAML, and stop"
    )
    add_settings(command)


def _add_launching(run: argparse._ArgumentGroup) -> None:
    run.add_argument(
        "--launcher",
        metavar="|".join(LAUNCHERS),
        help="what starts the runs: local one process for each, accelerate --num-processes; ray "
        "and slurm place them on other machines (default: local)",
    )
    run.add_argument(
        "--accelerate-config", metavar="FILE", help="one of yours, for the launcher accelerate"
    )
    run.add_argument(
        "--ray-address", metavar="ADDRESS", help="of the Ray cluster (default: this machine's)"
    )
    run.add_argument(
        "--slurm",
        action="append",
        metavar="KEY=VALUE",
        help="option of sbatch, such as partition=gpu; repeatable",
    )
    run.add_argument(
        "--write-only",
        action="store_true",
        help="write the script for sbatch, and submit nothing",
    )


def add_settings(command: argparse.ArgumentParser) -> None:
    """Add a flag for every knob of a run."""
    settings = command.add_argument_group("settings, the same in all runs")
    for name, knob in knobs().items():
        choices, default = knob.metadata["choices"], knob.default
        if command.prog.endswith(" train") and name == "checkpoint_every":
            default = TRAIN_CHECKPOINT_EVERY
        kind = str(knob.type).partition(" | ")[0]
        word = "KIND=VALUE" if name == "budget" else name.rpartition("_")[2].upper()
        shown = "" if default is None else f" (default: {default})"
        flags = [f"--{name.replace('_', '-')}", *ALSO.get(name, ())]
        settings.add_argument(
            *flags,
            dest=name,
            metavar="|".join(choices) or {"int": "N", "float": "X"}.get(kind, word),
            help=f"{knob.metadata['help']}{shown}".replace("%", "%%"),
        )
