"""Whether algorithm specs can be made, in a process that may import torch and a user's own code."""

from __future__ import annotations

import sys

from bakeoff.comparisons.cell.failures import first_line
from bakeoff.errors import UsageError


def check(specs: list[str], group_size: int, updates: int, *, corrected: bool = False) -> int:
    """Verify algorithm specs; print one line and return 2 if one is wrong."""
    from bakeoff import algorithms, models

    for spec in specs:
        try:
            algorithm = algorithms.make(spec, corrected=corrected)
            if algorithm.critic is not None and algorithm.critic.kind == "lora":
                models.require_peft(spec)
        except UsageError as error:
            print(" ".join(str(error).split()), file=sys.stderr)
            return 2
        except (Exception, SystemExit) as error:  # code of the user's may raise anything
            print(
                f"algorithm '{spec}': {type(error).__name__}: {first_line(error)}", file=sys.stderr
            )
            return 2
        if group_size < algorithm.min_group_size:
            print(
                f"{spec} needs a group_size of at least {algorithm.min_group_size}", file=sys.stderr
            )
            return 2
        if algorithm.critic is not None and algorithm.critic.warmup >= updates:
            print(
                f"{spec}: only the critic learns in the first {algorithm.critic.warmup} updates, "
                f"and {updates} are all there are; set critic_warmup lower",
                file=sys.stderr,
            )
            return 2
    return 0
