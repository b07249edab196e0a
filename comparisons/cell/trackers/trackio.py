"""trackio: a SQLite file on this machine; ``trackio show --project NAME`` shows a comparison.

The file is where trackio has all of them (TRACKIO_DIR), so that one dashboard shows everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakeoff.comparisons.cell.trackers.tracking import described, family


class Run:
    """A run of trackio; its step is the update."""

    def __init__(self, folder: Path, spec: Mapping[str, Any], first: int) -> None:
        import trackio

        again = f" from {first}" if first else ""
        self._run = trackio.init(
            project=str(spec["experiment"]),
            name=f"{spec['cell_id']}{again}",
            group=family(spec),
            config=described(spec),
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )

    def show(self, values: Mapping[str, float], update: int) -> None:
        """Log the values at the update as step."""
        self._run.log(dict(values), step=update)

    def close(self, *, ok: bool) -> None:
        """Finish the run."""
        import trackio

        trackio.finish()
