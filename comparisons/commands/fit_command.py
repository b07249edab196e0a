"""``bakeoff fit``: the largest group, batch, reply or model that fits in a given memory.

With ``--devices`` or ``--device-memory`` it plans (``plan_command``).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.budgets import CHOSEN
from bakeoff.comparisons.commands import plan_command
from bakeoff.errors import UsageError, unknown
from bakeoff.plugins import see_current_folder

if TYPE_CHECKING:
    from bakeoff.comparisons.running.grid import Experiment

EXAMPLES = """examples:
  bakeoff fit --memory 2GiB
  bakeoff fit --memory 6GiB --algorithms grpo,ppo --model smollm2 --vary max_new_tokens
  bakeoff fit --memory 4GiB --vary model --model tiny --model smollm2
  bakeoff fit --memory 1GiB --algorithms grpo,ppo --verify --out fit.csv
  bakeoff fit --model qwen2.5-7b --device-memory 80GiB --precision bf16
  bakeoff fit --model qwen2.5-7b --devices 2,4,8 --device-memory 80GiB --precision bf16
"""

OWN = ("command", "data", "memory", "vary", "verify", "out", "json", *plan_command.FLAGS)
"""Flags that are no settings of a run."""


def add_flags(command: argparse.ArgumentParser) -> None:
    """Add the flags that only ``bakeoff fit`` has."""
    command.add_argument("--memory", metavar="SIZE", help="what a run may hold at its peak: 6GiB")
    command.add_argument(
        "--vary",
        metavar="WHAT",
        help="what to make as large as fits: group_size, prompts_per_update, max_new_tokens or "
        "model (default: group_size)",
    )
    command.add_argument(
        "--verify",
        action="store_true",
        help="run two updates at that size and at the next one, and measure",
    )
    command.add_argument("--out", type=Path, metavar="FILE", help="write a CSV table")
    command.add_argument("--json", action="store_true", help="print JSON instead of tables")
    plan_command.add_flags(command)


def run(args: argparse.Namespace) -> int:
    """Find what fits, and print it; 1 if nothing does."""
    from bakeoff.comparisons.fitting import verifying
    from bakeoff.comparisons.fitting.facts import facts
    from bakeoff.comparisons.fitting.fit import fits
    from bakeoff.comparisons.fitting.table import rows
    from bakeoff.comparisons.fitting.text import text
    from bakeoff.comparisons.running.driver import CELL_COMMAND
    from bakeoff.comparisons.running.grid import config_of
    from bakeoff.comparisons.schema import FIT_COLUMNS
    from bakeoff.comparisons.tables import write_rows

    see_current_folder()
    settings = {name: value for name, value in vars(args).items() if name not in OWN}
    if "out" in args and (args.out.is_dir() or not args.out.parent.is_dir()):
        raise UsageError(f"--out {args.out} cannot be written: give a file in a folder that exists")
    if plan_command.asked(args):
        return plan_command.run(args, settings, getattr(args, "out", None))
    vary, limit = _question(args)
    experiment = _experiment(args, settings)
    places = experiment.algorithms, experiment.environments, experiment.models
    known = facts(*places, experiment.config)
    found = fits(known, places, lambda name: config_of(experiment, name), vary, limit)
    measured = verifying.measured(found, CELL_COMMAND) if "verify" in args else {}
    table = rows(found, measured)
    if "out" in args:
        write_rows(args.out, FIT_COLUMNS, table)
    print(_json(table) if "json" in args else text(found, measured))
    return 0 if any(one.best is not None for one in found) else 1


def _question(args: argparse.Namespace) -> tuple[str, int]:
    """Return what is made as large as fits, and in how many bytes.

    Raises:
        UsageError: one of them is missing or none, or a size is given that is looked for.
    """
    from bakeoff.comparisons.fitting.fit import VARIED
    from bakeoff.training.budget import size

    vary = getattr(args, "vary", "group_size")
    if vary not in VARIED:
        raise unknown("--vary", vary, VARIED)
    if "memory" not in args:
        raise UsageError("say how much memory there is: bakeoff fit --memory 6GiB")
    if (limit := size(args.memory)) < 1:
        raise UsageError(f"--memory must be above 0, not {args.memory}")
    whole = {name: "makes the whole batch one backward pass" for name in CHOSEN[1:]}
    for name, why in {vary: f"looks for the largest {vary}", **whole}.items():
        if name in args:
            raise UsageError(f"bakeoff fit {why}: leave --{name.replace('_', '-')} out")
    return vary, limit


def _experiment(args: argparse.Namespace, settings: Mapping[str, Any]) -> Experiment:
    """Return the comparison that is asked about, checked, its models here.

    Raises:
        UsageError: it is not possible, or nothing is foretold of it.
    """
    from bakeoff.comparisons.budgets import budget_of
    from bakeoff.comparisons.running.checks import check, fetch_models, with_data
    from bakeoff.comparisons.settings import experiment_of
    from bakeoff.training.memory.sizes import model_config

    experiment = experiment_of(settings)
    _check_processes(experiment.config, verify="verify" in args)
    if budget_of(experiment.config).kind == "memory":
        raise UsageError("bakeoff fit says what --memory affords: leave --budget out")
    environments = with_data(experiment.environments, getattr(args, "data", None))
    # no run is started, so whatever would start its processes will do
    launcher = "local" if experiment.config.get("processes", 1) == 1 else "accelerate"
    experiment = dataclasses.replace(experiment, environments=environments, launcher=launcher)
    check(experiment)
    fetch_models({name for name in experiment.models if model_config(name) is None})
    return experiment


def _check_processes(config: Mapping[str, Any], *, verify: bool) -> None:
    """Accept settings of processes of which it is foretold what each holds."""
    if config.get("sharding", "none") != "none":
        raise UsageError(
            "what sharded runs hold is foretold of devices, not of --memory: give --devices "
            f"{config['processes']} --device-memory SIZE"
        )
    if verify and config.get("processes", 1) > 1:
        raise UsageError("--verify runs one process, and the settings say several: leave one out")


def _json(table: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps([dict(row) for row in table], indent=2)
