"""Weights & Biases: offline, in the cell's folder, unless WANDB_MODE says otherwise.

``wandb sync DIR/cells/*/wandb/offline-run-*`` sends offline runs there later. The project is the
comparison, unless WANDB_PROJECT names one; runs that differ in their seed alone are a group.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakeoff.comparisons.cell.trackers.tracking import described, family

NOT_IN_A_PROJECT = re.compile(r"[/\\#?%:]+")


class Run:
    """A run of Weights & Biases; its step is the update."""

    def __init__(self, folder: Path, spec: Mapping[str, Any], first: int) -> None:
        import wandb

        project = NOT_IN_A_PROJECT.sub("-", str(spec["experiment"]))[:128]
        again = f" from {first}" if first else ""
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", project),
            name=f"{spec['cell_id']}{again}",
            group=family(spec)[:128],
            config=described(spec),
            dir=str(folder),
            mode=None if "WANDB_MODE" in os.environ else "offline",
            # neither a copy of the log nor a watch over the machine: both would be in the times
            settings=wandb.Settings(console="off", x_disable_stats=True, silent=True),
        )

    def show(self, values: Mapping[str, float], update: int) -> None:
        """Log the values at the update as step."""
        self._run.log(dict(values), step=update)

    def close(self, *, ok: bool) -> None:
        """Finish the run, and wait until all of it is in its file or sent."""
        import wandb

        code = 0 if ok else 1
        self._run.finish(exit_code=code)
        wandb.teardown(exit_code=code)  # `finish` alone leaves the writing to the process's end
