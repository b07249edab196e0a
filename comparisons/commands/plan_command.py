"""``bakeoff fit --devices``: how many devices a run needs, planned without models or devices."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bakeoff.comparisons.commands.subcommands import whole_number
from bakeoff.errors import UsageError, unknown
from bakeoff.training.config import knobs
from bakeoff.training.sampling.server_config import SERVER

PROMPT_TOKENS, REPLY_TOKENS = 512, 1024
"""Of each prompt and reply, unless they are given."""

FLAGS = ("devices", "device_memory", "prompt_tokens")
"""Those with which a plan is asked for."""


def add_flags(command: argparse.ArgumentParser) -> None:
    """Add the flags of a plan."""
    plan = command.add_argument_group("planning for devices that are not here")
    plan.add_argument("--device-memory", metavar="SIZE", help="memory of one device: 80GiB")
    plan.add_argument(
        "--devices",
        metavar="N",
        help="how many train: a number, a list (1,2,4,8), or auto, the fewest that do "
        "(default: auto)",
    )
    plan.add_argument(
        "--prompt-tokens", metavar="N", help=f"tokens of a prompt (default: {PROMPT_TOKENS})"
    )


def asked(args: argparse.Namespace) -> bool:
    """Tell whether it is a plan that is asked for."""
    return any(name in args for name in FLAGS)


def run(args: argparse.Namespace, settings: dict[str, Any], out: Path | None) -> int:
    """Plan, and print it; 1 if nothing fits.

    Args:
        args: flags.
        settings: of the comparison, among them.
        out: where a table is written.

    Raises:
        UsageError: flags that do not go together, or a model of which nothing is foretold.
    """
    from bakeoff.comparisons.fitting.facts import facts
    from bakeoff.comparisons.fitting.planned import rows, text
    from bakeoff.comparisons.fitting.planning import CHOSEN, Question, plans
    from bakeoff.comparisons.schema import PLAN_COLUMNS
    from bakeoff.comparisons.settings import experiment_of
    from bakeoff.comparisons.tables import write_rows
    from bakeoff.training.budget import size
    from bakeoff.training.memory.shapes import planned_sizes
    from bakeoff.training.memory.workload import Lengths

    _check(args)
    counts = _counts(getattr(args, "devices", "auto"))
    if (memory := size(args.device_memory)) < 1:
        raise UsageError(f"--device-memory must be above 0, not {args.device_memory}")
    prompt = whole_number("--prompt-tokens", getattr(args, "prompt_tokens", str(PROMPT_TOKENS)), 1)
    sampler = settings.pop("sampler", "builtin")
    sharding = settings.pop("sharding", None)
    experiment = experiment_of({"max_new_tokens": str(REPLY_TOKENS), **settings})
    reply = experiment.config["max_new_tokens"]
    sizes = {name: planned_sizes(name) for name in experiment.models}
    question = Question(
        needs=facts(experiment.algorithms, [], [], {}).needs,
        sizes=sizes,
        knobs=experiment.config,
        lengths=Lengths(prompt, prompt, reply),
        memory=memory,
        sharding=sharding,
        elsewhere=sampler == SERVER,
        given=frozenset(name for name in CHOSEN if name in args),
    )
    found = plans(question, counts)
    table = list(rows(found, question))
    if out is not None:
        write_rows(out, PLAN_COLUMNS, table)
    print(json.dumps(table, indent=2) if "json" in args else text(found, question))
    return 0 if any(plan.fits for plan in found) else 1


def _check(args: argparse.Namespace) -> None:
    """Accept flags that a plan has a use for."""
    if "device_memory" not in args:
        raise UsageError("say how much memory a device has: --device-memory 80GiB")
    instead = {
        "memory": "give --device-memory alone",
        "vary": "a plan looks for devices: leave it out",
        "verify": "there is nothing to run: leave it out",
        "environments": "give --prompt-tokens and --max-new-tokens",
        "data": "give --prompt-tokens and --max-new-tokens",
        "budget": "leave it out",
        "processes": "give --devices",
    }
    for name, what in instead.items():
        if name in args:
            flag = "--env" if name == "environments" else f"--{name}"
            raise UsageError(f"{flag} does not go with --devices and --device-memory: {what}")
    sampler, known = getattr(args, "sampler", "builtin"), ("builtin", SERVER)
    if sampler == "vllm":
        raise UsageError(
            "what an engine in the process of the training takes is not foretold: plan with "
            f"--sampler {SERVER}, which has devices of its own"
        )
    if sampler not in known:
        raise unknown("--sampler", sampler, known)
    choices = knobs()["sharding"].metadata["choices"]
    if (sharding := getattr(args, "sharding", "none")) not in choices:
        raise unknown("--sharding", sharding, choices)


def _counts(text: str) -> list[int] | None:
    """Return numbers of devices; ``None``: the fewest that do.

    Example:
        >>> _counts("1,2,8"), _counts("auto")
        ([1, 2, 8], None)
    """
    if text == "auto":
        return None
    found = [whole_number("--devices", one.strip(), 1) for one in text.split(",") if one.strip()]
    if not found or max(found) > 4096:
        raise UsageError(f"--devices is a number up to 4096, a list of them, or auto, not '{text}'")
    return found
