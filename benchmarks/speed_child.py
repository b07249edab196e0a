"""A fresh process of a speed benchmark: reads a job from standard input, prints what came of it."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from typing import Any

from bakeoff.errors import UsageError

KINDS = {
    "bakeoff": "speed_own.train",
    "trl": "speed_trl.train",
    "probe": "speed_own.probe",
    "rates": "speed_rates.measured",
    "sampling": "speed_samplers.sampled",
}
"""What a process may be asked for, and what answers."""


def main() -> None:
    """Do what standard input asks."""
    from speed_own import Job
    from speed_world import Shape

    kind, fields = json.load(sys.stdin)
    job = Job(**{**fields, "shape": Shape(*fields["shape"])})
    module, _, name = KINDS[kind].partition(".")
    try:
        found = getattr(importlib.import_module(module), name)(job)
    except UsageError as error:
        sys.exit(f"UsageError: {error}")
    print("\n" + json.dumps(plain(found)), flush=True)


def plain(value: Any) -> Any:
    """Return a record as dictionaries, so that its fields keep their names.

    Example:
        >>> from speed_own import Times
        >>> plain({"update": [Times(2.0, 1.0)]})
        {'update': [{'wall_s': 2.0, 'cpu_s': 1.0}]}
    """
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    main()
