"""What fits by formula, run: two updates at that size and at the next one, and what they held.

These are audits (``bakeoff.comparisons.cell.audit``) whose replies never end and whose groups all
have spread, since that is what the formula is of.
"""

from __future__ import annotations

import dataclasses
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bakeoff.comparisons.fitting.fit import Fit, Tried, Value
from bakeoff.comparisons.running.audits import audits
from bakeoff.comparisons.running.endings import tail
from bakeoff.comparisons.running.folder import read_json, write_json
from bakeoff.comparisons.running.grid import plan
from bakeoff.comparisons.running.work import variables

Key = tuple[str, str, str, Value]
"""Algorithm, environment, model and what was tried."""


class Measured(NamedTuple):
    """What a run held.

    Attributes:
        live: bytes of tensors at the peak.
        process: bytes of the process at its highest mark; it was counting, which takes some.
        problem: why there are none; empty if there are.
    """

    live: int | None = None
    process: int | None = None
    problem: str = ""


def measured(found: Iterable[Fit], command: tuple[str, ...]) -> dict[Key, Measured]:
    """Run each size that fits, and the next one; return what they held.

    Args:
        found: what each algorithm can afford.
        command: what runs a cell.
    """
    return {one.key(tried): _run(one, tried, command) for one in found for tried in one.tried}


def _run(one: Fit, tried: Tried, command: tuple[str, ...]) -> Measured:
    algorithm, environment, model, _ = one.key(tried)
    knobs = {**tried.knobs, "updates": 2, "eval_items": 1}
    experiment = plan(
        algorithms=[algorithm], environments=[environment], models=[model], seeds=[0], **knobs
    )
    (audit,) = audits(experiment)
    with tempfile.TemporaryDirectory(prefix="bakeoff-fit-") as name:
        place = Path(name)
        write_json(place / "spec.json", dataclasses.asdict(audit))
        with (place / "log.txt").open("wb") as log:
            subprocess.run(
                [*command, "--audit", name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=variables(audit),
                check=False,
            )
        status: Mapping[str, Any] = read_json(place / "status.json") or {}
        if status.get("status") != "ok":
            last = " ".join(tail(place / "log.txt", 1))
            return Measured(problem=str(status.get("error_message") or last or "it was killed"))
        return Measured(status.get("peak_live_tensor_bytes"), status.get("peak_rss_bytes"))
