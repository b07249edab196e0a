"""The ``bakeoff`` command. Only what a command needs is imported, when it runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.commands.flags import parse
from bakeoff.errors import UsageError, unknown
from bakeoff.plugins import see_current_folder

if TYPE_CHECKING:
    from bakeoff.comparisons.running.grid import Experiment

USAGE, INTERRUPTED = 2, 130
NOT_SETTINGS = (
    "command",
    "data",
    "config",
    "print_config",
    "only",
    "stale",
    "quiet",
    "tuned",
    "trials",
    "space",
)


def main(argv: Sequence[str] | None = None, *, cell: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    0: done (of a grid: its cells have ended, at least one of them ``ok``); 1: every cell failed, or
    a model could not be had, or a file could not be written, or ``doctor`` found no sandbox, or
    a ``check`` a fault; 2: a mistake in what was asked for; 130: interrupted.

    Args:
        argv: the arguments; those of this process by default.
        cell: the command that runs a cell, in place of bakeoff's own.
    """
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        code = 0 if args.command is None else COMMANDS[args.command](args, cell)
        if sys.stdout is not None:  # closed by the caller: `bakeoff envs >&-`
            sys.stdout.flush()
        return code
    except UsageError as error:
        return _failed(error, USAGE)
    except KeyboardInterrupt:
        print("bakeoff: interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `bakeoff envs | head`; keep the interpreter from flushing again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a disk that is full, a folder that is not ours
        return _failed(error, 1)


def compare(args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """Run a grid and print what came out."""
    from bakeoff.comparisons.commands import runs
    from bakeoff.comparisons.fitting.budget import afforded
    from bakeoff.comparisons.running.ranks import check_alone

    check_alone("compare")
    experiment = _experiment(args, {})
    if "tuned" in args:
        from bakeoff.comparisons.tuning.tuned import with_tuned

        experiment = with_tuned(experiment, args.tuned)
    experiment = afforded(experiment)
    if "print_config" in args:
        return runs.print_config(experiment)
    return runs.run(experiment, args, cell)


def tune(args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """Try settings for every algorithm, and say which a comparison is to have."""
    from bakeoff.comparisons.commands import tune_command
    from bakeoff.comparisons.running.ranks import check_alone

    check_alone("tune")
    args.seeds = tune_command.seeds(args)
    experiment = _experiment(args, {}, prefix="tune-")
    if experiment.write_only:
        raise UsageError("--write-only is for one comparison; bakeoff tune runs one for each trial")
    return tune_command.run(experiment, args, cell)


def fit(args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """Find what fits in memory."""
    from bakeoff.comparisons.commands import fit_command

    return fit_command.run(args)


def train(args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """Run one cell, and say where its table and its model are."""
    from bakeoff.comparisons.commands import train_command

    experiment = _experiment(args, train_command.defaults(args), prefix="train-")
    return train_command.run(experiment, args, cell)


def report(args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """Rebuild a results folder's tables, figures and report; check it, or merge several."""
    from bakeoff.comparisons.commands import report_command

    return report_command.run(args)


def envs(args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """List the environments; show, sample or check one; start one of one's own."""
    from bakeoff.comparisons.commands import envs_command

    return envs_command.run(args)


def algorithms(args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """List the algorithms; show or check some; start one of one's own."""
    from bakeoff.comparisons.commands import algorithms_command

    return algorithms_command.run(args)


def models(args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """List the models, or fetch one."""
    from bakeoff.models import MODELS, ModelError

    if "action" not in args or args.action is None:
        _print_table((name, f"{card.summary}; {card.source}") for name, card in MODELS.items())
        return 0
    if args.action != "fetch":
        raise unknown("action of bakeoff models", args.action, ["fetch"])
    if getattr(args, "name", None) is None:
        raise UsageError("name the model to fetch: bakeoff models fetch smollm2")
    if args.name not in MODELS:
        raise unknown("model", args.name, MODELS)
    if args.name != "smollm2":
        print(f"{args.name} ships with bakeoff: there is nothing to fetch")
        return 0
    from bakeoff.models.smollm2 import fetch

    try:
        folder = fetch(lambda text: print(text, flush=True))
    except ModelError as error:
        return _failed(error, 1)
    print(f"smollm2 is in {folder}")
    return 0


def export(args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """Write an environment's questions for another trainer."""
    from bakeoff.comparisons.commands import export_command

    return export_command.run(args)


def replay(args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """Have every algorithm make what it does of the same samples."""
    from bakeoff.comparisons.replay import command

    return command.run(args)


def explain(args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """Make one update, and show what it did to every token."""
    from bakeoff.comparisons.explain import command

    return command.run(args)


def doctor(args: argparse.Namespace, cell: Sequence[str] | None) -> int:
    """Say what this machine has; 1 if programs would have no sandbox."""
    from bakeoff.comparisons.commands.doctor import examine, table

    found = examine()
    if "json" in args:
        import json

        print(json.dumps(found, indent=2))
    else:
        print(table(found))
    return 0 if found["sandbox"]["contained"] else 1


COMMANDS: dict[str, Callable[[argparse.Namespace, Sequence[str] | None], int]] = {
    "compare": compare,
    "tune": tune,
    "fit": fit,
    "train": train,
    "report": report,
    "envs": envs,
    "algorithms": algorithms,
    "models": models,
    "export": export,
    "replay": replay,
    "explain": explain,
    "doctor": doctor,
}


def _experiment(args: argparse.Namespace, defaults: dict[str, Any], prefix: str = "") -> Experiment:
    """Return the comparison of flags, which come before a config file, before the defaults."""
    from bakeoff.comparisons.running.checks import with_data
    from bakeoff.comparisons.running.grid import default_out
    from bakeoff.comparisons.settings import experiment_of, read_config

    see_current_folder()
    given = {key: value for key, value in vars(args).items() if key not in NOT_SETTINGS}
    written = read_config(args.config) if "config" in args else {}
    settings = {**defaults, **written, **given}
    experiment = experiment_of(settings)
    environments = with_data(experiment.environments, getattr(args, "data", None))
    settings["environments"] = list(environments)
    if settings.get("out") is None:
        names = [*experiment.algorithms, *environments] if prefix else environments
        settings["out"] = default_out(names, experiment.models, prefix.rstrip("-"))
    return experiment_of(settings)


def _print_table(rows: Iterable[tuple[str, str]]) -> None:
    found = list(rows)
    width = max(len(name) for name, _ in found)
    for name, summary in found:
        print(f"{name:<{width}}  {summary}")


def _failed(error: Exception, code: int) -> int:
    print(f"bakeoff: error: {' '.join(str(error).split())}", file=sys.stderr)
    return code
