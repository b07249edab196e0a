"""``bakeoff tune``: the same number of trials for every algorithm, over a declared space."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.commands.subcommands import whole_number
from bakeoff.errors import UsageError

if TYPE_CHECKING:
    from bakeoff.comparisons.running.grid import Experiment
    from bakeoff.comparisons.tuning.space import Space

TRIALS, SEEDS = 8, 2

EXAMPLES = """examples:
  bakeoff tune --algorithms grpo,ppo --trials 8 --out results/tuning
      the learning rate, from a tenth of the model's default to ten times that
  bakeoff tune --algorithms grpo,ppo --space space.yaml --out results/tuning
  bakeoff compare --algorithms grpo,ppo --tuned results/tuning --seeds 10
A space.yaml: learning_rate: {log: [1e-5, 1e-3]}
              ppo: {lam: [0.9, 0.95, 1.0]}
The same command again goes on where it was stopped."""


def add_flags(command: argparse.ArgumentParser) -> None:
    """Add the flags of ``bakeoff tune`` that no other command has."""
    how = command.add_argument_group("how to search")
    how.add_argument(
        "--trials",
        metavar="N",
        help=f"of each algorithm; the first has the defaults (default: {TRIALS})",
    )
    how.add_argument(
        "--seeds",
        metavar="N",
        help=f"of each trial, from 10000 on: none that is compared (default: {SEEDS})",
    )
    how.add_argument(
        "--max-parallel", metavar="N", help="runs at a time: nothing is said of times (default: 1)"
    )
    how.add_argument(
        "--space",
        type=Path,
        metavar="FILE",
        help="YAML file of what varies, and from where to where (default: the learning rate)",
    )


def seeds(args: argparse.Namespace) -> list[int]:
    """Return the seeds of every trial.

    Raises:
        UsageError: they are not given as a number of them.
    """
    from bakeoff.comparisons.tuning.tuning import FIRST_SEED

    count = whole_number("--seeds", args.seeds, 1) if "seeds" in args else SEEDS
    return list(range(FIRST_SEED, FIRST_SEED + count))


def run(base: Experiment, args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """Tune, and print what was chosen.

    Args:
        base: what the comparison is to be of, on the seeds of the trials.
        args: the flags.
        cell: the command that runs a cell, in place of bakeoff's own.

    Returns:
        0; 1 if every trial of an algorithm failed.

    Raises:
        UsageError: the space, or what is to be tuned, is not possible.
    """
    from bakeoff.comparisons.running import driver
    from bakeoff.comparisons.settings import config_text
    from bakeoff.comparisons.tuning import tuning

    n = whole_number("--trials", args.trials) if "trials" in args else TRIALS
    plan = tuning.planned(base, space(base, getattr(args, "space", None)), n)
    if "print_config" in args:
        print(config_text(plan.base), end="")
        return 0
    again = {key: getattr(args, key) for key in ("only", "stale") if key in args}
    command = driver.CELL_COMMAND if cell is None else cell
    rows = tuning.run(plan, quiet="quiet" in args, command=command, **again)
    found = tuning.outcome(plan, rows)["tuned"]
    print("\n".join(said(name, chosen, n) for name, chosen in found.items()))
    for environment, count in plan.asked_in_both.items():
        if count:
            print(f"! {count} items of {environment} are asked in trials and in the comparison")
    print(f"\ntable: {base.out / tuning.TABLE}")
    print(f"use:   bakeoff compare --tuned {base.out} ...")
    return 1 if any(chosen["trial"] is None for chosen in found.values()) else 0


def space(base: Experiment, path: Path | None) -> Space:
    """Return the space of a file, or the default one.

    Raises:
        UsageError: the file is none, or the default one does not suit what is tuned.
    """
    from bakeoff.comparisons.budgets import budget_of
    from bakeoff.comparisons.tuning.space import default_space, read_space

    if path is not None:
        by_updates = budget_of(base.config).kind == "updates"
        return read_space(path, base.algorithms, by_updates=by_updates)
    if len(base.models) > 1:
        raise UsageError("models have learning rates of their own: tune one, or give a --space")
    if base.config.get("lora_rank"):
        raise UsageError("the default space is not for a LoRA, which learns faster: give a --space")
    return default_space(base.models[0])


def said(name: str, chosen: Mapping[str, Any], n: int) -> str:
    """Return the line that says what an algorithm is given.

    Example:
        >>> chosen = {"trial": 2, "spec": "ppo:lam=0.9", "knobs": {"learning_rate": 3e-4}}
        >>> said("ppo", chosen | {"score": 0.5, "score_of_defaults": None, "failed_trials": [0]}, 8)
        'ppo: ppo:lam=0.9, learning_rate=0.0003 (trial 2: 0.500; the defaults: failed; 1 of 8 \
trials failed)'
    """
    failed = len(chosen["failed_trials"])
    lost = f"; {failed} of {n} trials failed" if failed else ""
    if chosen["trial"] is None:
        return f"{name}: every trial failed; there is nothing to choose"
    knobs = [f"{knob}={value}" for knob, value in chosen["knobs"].items()]
    spec = [] if chosen["spec"] == name else [chosen["spec"]]
    what = ", ".join([*spec, *knobs]) if chosen["trial"] else "the defaults"
    before = chosen["score_of_defaults"]
    defaults = "failed" if before is None else f"{before:.3f}"
    came_to = f"{chosen['score']:.3f}"
    if chosen["trial"]:
        came_to = f"trial {chosen['trial']}: {came_to}; the defaults: {defaults}"
    return f"{name}: {what} ({came_to}{lost})"
