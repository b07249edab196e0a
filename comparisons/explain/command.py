"""``bakeoff explain``: make one update of the tiny model, and show what it did."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.comparisons.commands.subcommands import whole_number
from bakeoff.comparisons.commands.working import Progress
from bakeoff.errors import UsageError
from bakeoff.plugins import see_current_folder

if TYPE_CHECKING:
    from bakeoff.comparisons.explain.explanation import Explanation
    from bakeoff.envs import TextEnv

MODEL = "tiny"


def add_flags(command: argparse.ArgumentParser) -> None:
    """Add the flags of ``bakeoff explain`` to its parser."""
    command.add_argument(
        "--env", metavar="SPEC", help="whose items are asked (default: bakeoff/Arithmetic-v0)"
    )
    command.add_argument("--algorithm", metavar="NAME", help="what is explained (default: grpo)")
    command.add_argument("--seed", metavar="N", help="of items and samples (default: 0)")
    command.add_argument(
        "--out", metavar="DIR", help="folder of explain.md and its figures (default: results/...)"
    )


def run(args: argparse.Namespace) -> int:
    """Make the updates, print what they did, and write the page and its figures.

    Raises:
        UsageError: there is nothing to explain, or no such algorithm or environment.
    """
    see_current_folder()
    from bakeoff.comparisons.commands import algorithms_command
    from bakeoff.comparisons.commands.envs_command import made
    from bakeoff.comparisons.running.grid import default_out

    spec = getattr(args, "env", "bakeoff/Arithmetic-v0")
    name = getattr(args, "algorithm", "grpo")
    seed = whole_number("--seed", getattr(args, "seed", "0"))
    out = Path(getattr(args, "out", None) or default_out([spec], [name], "explain"))
    algorithms_command.made(name)
    environment = made(spec)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write into {out}: {error.strerror}") from None
    with Progress(sys.stderr) as progress:
        seen = _explained(environment, spec, name, seed, progress.report)
        progress.report("drawing")
        write(seen, out)
    from bakeoff.comparisons.explain.terminal import show

    show(seen, sys.stdout)
    print(f"\nto read, with figures: {out / 'explain.md'}")
    return 0


def _explained(
    environment: TextEnv, spec: str, name: str, seed: int, report: Callable[[str], None]
) -> Explanation:
    """Find the samples and make the updates, with one thread."""
    report("loading the model")
    import torch

    from bakeoff.comparisons.explain.explanation import explain
    from bakeoff.comparisons.explain.scene import found
    from bakeoff.models import default_learning_rate
    from bakeoff.models.loading import load

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of more, those of so small a model wait for each other
    try:
        tokens = environment.reply_tokens
        scene = found(load(MODEL), environment, seed, reply_tokens=tokens, report=report)
        rate = default_learning_rate(MODEL)
        return explain(scene, name, environment=spec, seed=seed, rate=rate, report=report)
    finally:
        torch.set_num_threads(threads)


def write(seen: Explanation, out: Path) -> None:
    """Write ``explain.md`` and its figures into a folder, each in place of the old one."""
    from bakeoff.comparisons.explain.figures import draw
    from bakeoff.comparisons.explain.page import page
    from bakeoff.comparisons.report.figures import save
    from bakeoff.comparisons.tables import replace_file

    save(draw(seen), out)
    replace_file(out / "explain.md", page(seen).encode())
