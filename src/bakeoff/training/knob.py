"""A setting of a run: the field of a dataclass that is a flag and a key of a config file too."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def knob(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    choices: tuple[str, ...] = (),
    later: bool = False,
) -> Any:
    """Return a field; ``later`` marks knobs that the first release did not have."""
    metadata = {"help": help, "low": low, "choices": choices, "later": later}
    return field(default=default, metadata=metadata)
