"""``bakeoff train``: one run, in processes of its own or in those that it was launched as."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from bakeoff.comparisons.commands import runs
from bakeoff.comparisons.commands.run_flags import TRAIN_CHECKPOINT_EVERY
from bakeoff.comparisons.running.grid import Experiment
from bakeoff.comparisons.running.ranks import check_all_started, rank_here
from bakeoff.errors import UsageError
from bakeoff.training.devices.refusals import asked_sharding
from bakeoff.training.devices.world import launched_size


def defaults(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the settings of a run are if no others are given, and read its one seed.

    Raises:
        UsageError: the seed is none, or it was launched with a configuration that no run can have.
    """
    check_all_started()
    if "seeds" in args:
        if not (args.seeds.isascii() and args.seeds.isdecimal()):
            raise UsageError(f"--seed is one whole number from 0 on, not '{args.seeds}'")
        args.seeds = args.seeds + ","  # one seed, not so many
    found: dict[str, Any] = {
        "algorithms": "grpo",
        "seeds": [0],
        "checkpoint_every": TRAIN_CHECKPOINT_EVERY,
        "audit": False,
    }
    if (size := launched_size()) > 1:
        found |= {"processes": size, "launcher": "accelerate"}
        if (sharding := asked_sharding()) is not None:
            found["sharding"] = sharding
    return found


def run(experiment: Experiment, args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """Run the one cell of an experiment, and say where its table and its model are.

    Raises:
        UsageError: there are more cells, or the run is not possible.
    """
    from bakeoff.comparisons.fitting.budget import afforded
    from bakeoff.comparisons.running.folder import place, settle
    from bakeoff.comparisons.running.grid import cells

    if len(cells(experiment)) != 1:
        raise UsageError("bakeoff train runs one cell; bakeoff compare runs many")
    if (asked := experiment.config.get("processes", 1)) != (size := launched_size()) > 1:
        raise UsageError(f"bakeoff train was launched as {size} processes, not {asked}")
    experiment = afforded(experiment)
    if "print_config" in args:
        return 0 if rank_here() else runs.print_config(experiment)
    code = runs.run(experiment, args, cell) if size == 1 else _together(experiment, args)
    if rank_here() == 0 and not experiment.write_only:
        folder = place(experiment.out, cells(settle(experiment))[0])
        print(f"\ntable: {folder / 'curves.csv'}")
        if (folder / "model").is_dir():
            print(f"model: {folder / 'model'}")
    return code


def _together(experiment: Experiment, args: argparse.Namespace) -> int:
    """Run it in the processes that are there, and print what came out; its own exit code."""
    from bakeoff.comparisons.cell import together
    from bakeoff.comparisons.report import report

    again = {key: getattr(args, key) for key in ("only", "stale") if key in args}
    code = together.run(experiment, quiet="quiet" in args, **again)
    if rank_here() == 0:
        print(report.console(experiment.out))
    return code
