"""TensorBoard: event files in each cell's folder; ``tensorboard --logdir DIR/cells`` shows all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakeoff.comparisons.cell.trackers.tracking import described

FOLDER = "tensorboard"


class Run:
    """A run in TensorBoard; its step is the update."""

    def __init__(self, folder: Path, spec: Mapping[str, Any], first: int) -> None:
        from torch.utils import tensorboard

        writer: Any = tensorboard.SummaryWriter  # untyped
        # what an attempt before this one showed from there on was lost with it
        self._writer = writer(str(folder / FOLDER), purge_step=first)
        self._writer.add_text("spec", f"```\n{json.dumps(described(spec), indent=2)}\n```", first)

    def show(self, values: Mapping[str, float], update: int) -> None:
        """Write scalars, and flush them."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, update)
        self._writer.flush()

    def close(self, *, ok: bool) -> None:
        """Close the event file."""
        self._writer.close()
