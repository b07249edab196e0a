"""Which trackers there are and what each needs; nothing of theirs is imported here."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from bakeoff.errors import UsageError, unknown

TRACKERS = ("tensorboard", "wandb", "trackio")
"""By name, which is that of the package, of the extra that installs it, and of the adapter here."""


def known_trackers(names: Iterable[str]) -> tuple[str, ...]:
    """Return trackers, each once.

    Raises:
        UsageError: there is none of that name.

    Example:
        >>> known_trackers(["wandb", "tensorbord"])
        Traceback (most recent call last):
        bakeoff.errors.UsageError: unknown tracker 'tensorbord'; did you mean 'tensorboard'? \
(known: tensorboard, trackio, wandb)
    """
    found = tuple(dict.fromkeys(names))
    for name in found:
        if name not in TRACKERS:
            raise unknown("tracker", str(name), TRACKERS)
    return found


def require_trackers(names: Iterable[str]) -> None:
    """Accept trackers whose packages are installed; they are not imported.

    Raises:
        UsageError: one is not; the text says how to get it.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise UsageError(f"--tracker {name} needs {name}: pip install 'bakeoff[{name}]'")
