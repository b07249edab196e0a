"""Options of ``sbatch`` as a person gives them: in flags, in a config file, or from Python."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bakeoff.errors import UsageError

OWN = (
    *("job-name", "array", "output", "error", "open-mode", "chdir", "parsable", "wrap"),
    *("nodes", "ntasks", "ntasks-per-node"),
)
"""Options that bakeoff sets: it finds its jobs, and what they write, by them; a cell has a node."""

TIMES = ("time", "time-min", "begin", "deadline")
"""Options with colons in them, of which YAML makes a number to the base of 60."""

OF_ANY_SITE = (
    *("time", "time-min", "mem", "mem-per-cpu", "mem-per-gpu", "cpus-per-task", "cpus-per-gpu"),
    *("gres", "gpus", "gpus-per-node", "gpus-per-task", "exclusive", "tmp", "threads-per-core"),
)
"""Options whose values say what a job is given, and mean the same on another cluster."""


def sbatch_options(given: object) -> dict[str, str]:
    """Return the options that ``KEY=VALUE`` texts or a mapping name; a bare ``KEY`` has no value.

    Args:
        given: a list of texts, or ``{option: value}`` with text, whole numbers, or true (no value).

    Raises:
        UsageError: one is malformed, given twice, or is bakeoff's to set.

    Example:
        >>> sbatch_options(["partition=gpu", "cpus_per_task=4", "exclusive"])
        {'partition': 'gpu', 'cpus-per-task': '4', 'exclusive': ''}
        >>> sbatch_options({"cpus_per_task": 4, "exclusive": True})
        {'cpus-per-task': '4', 'exclusive': ''}
    """
    if isinstance(given, Mapping):
        pairs = list(given.items())
    elif isinstance(given, list | tuple):
        pairs = [(key, value) for key, _, value in (str(text).partition("=") for text in given)]
    else:
        raise UsageError(f"slurm must be 'option of sbatch: value', not {given!r}")
    found: dict[str, str] = {}
    for name, value in pairs:
        key = str(name).strip().removeprefix("--").replace("_", "-")
        text = _text(key, value)
        if not re.fullmatch(r"[a-z][a-z-]*", key) or not text.isprintable():
            shown = f"{name}={text}" if text else str(name)
            raise UsageError(
                f"--slurm takes an option of sbatch, as in time=2:00:00, not '{shown}'"
            )
        if key in OWN:
            raise UsageError(f"--slurm {key}: bakeoff sets that option of sbatch; leave it out")
        if key in found:
            raise UsageError(f"--slurm {key} is given twice")
        found[key] = text.strip()
    return found


def told_elsewhere(options: Mapping[str, str]) -> dict[str, str | None]:
    """Return options as a results folder names them, which strangers may read.

    The values of others than ``OF_ANY_SITE`` are ``None``: they name what one site has, such as a
    partition, or are nobody else's business, such as an account.

    Example:
        >>> told_elsewhere({"time": "2:00:00", "account": "ours", "contiguous": ""})
        {'time': '2:00:00', 'account': None, 'contiguous': ''}
    """
    return {
        name: value if name in OF_ANY_SITE or not value else None for name, value in options.items()
    }


def _text(key: str, value: object) -> str:
    """Return a value as ``sbatch`` is to read it."""
    if value is None or value is True:
        return ""
    if isinstance(value, str) or (type(value) is int and key not in TIMES):
        return str(value)
    raise UsageError(f"the value of slurm {key} must be text: write it in quotes, not as {value!r}")
