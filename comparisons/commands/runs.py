"""What the commands that run cells share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bakeoff.comparisons.running.grid import Experiment


def run(experiment: Experiment, args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """Run a comparison, and print what came out; 1 if no cell ended ok."""
    from bakeoff.comparisons.report import report as reports
    from bakeoff.comparisons.running import driver

    command = driver.CELL_COMMAND if cell is None else cell
    only, stale = getattr(args, "only", None), getattr(args, "stale", None)
    driver.run(experiment, only=only, stale=stale, quiet="quiet" in args, command=command)
    if experiment.write_only:
        return 0
    print(reports.console(experiment.out))
    return 0 if "ok" in driver.statuses(experiment) else 1


def print_config(experiment: Experiment) -> int:
    """Print a comparison as the YAML of a config file, once it is checked."""
    from bakeoff.comparisons.running.checks import check
    from bakeoff.comparisons.settings import config_text

    check(experiment)
    print(config_text(experiment), end="")
    return 0
