"""Whether cells fit in memory, said before anything starts: refused above the limit, or warned.

A cell that would go over ``--memory-limit`` even if all replies were of one token is refused, with
the numbers, and the others run. One that would go over it, or needs more than the machine has to
spare, if replies are as long as they may be, is run, and warned of.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bakeoff.comparisons.fitting.facts import Facts, facts
from bakeoff.comparisons.running import folder
from bakeoff.comparisons.running.attempts import prepare
from bakeoff.comparisons.running.endings import status_of_killed
from bakeoff.comparisons.running.given import ELSEWHERE
from bakeoff.comparisons.running.grid import CellSpec, Experiment
from bakeoff.comparisons.running.process import Ending
from bakeoff.comparisons.running.ranks import processes
from bakeoff.comparisons.running.share import available_bytes
from bakeoff.errors import UsageError
from bakeoff.training.config import train_config
from bakeoff.training.memory.prediction import Prediction, predicted
from bakeoff.training.memory.sizes import model_config, model_sizes
from bakeoff.training.memory.workload import Lengths, Machine, Needs, Run

ROUGHLY = Machine(baseline=2**30)
MOST = Needs(critic="separate", reference=True)
"""More than any process holds without a model, and than any algorithm asks for: so it is seen
without torch that a small model fits anyhow."""


class Foretold(NamedTuple):
    """What a run will hold.

    Attributes:
        most: if replies are as long as they may be.
        least: the peak in bytes if they were of one token.
    """

    most: Prediction
    least: int


@dataclass(frozen=True)
class Outlook:
    """What is foretold of cells that are due.

    Attributes:
        refused: those that go over their limit in any case, each with what is foretold of it.
        warnings: a line for each algorithm, environment and model that may not fit.
    """

    refused: Sequence[tuple[CellSpec, Foretold]] = ()
    warnings: Sequence[str] = ()

    @property
    def notes(self) -> list[str]:
        """What is to be said before the first run."""
        said = dict.fromkeys(_message(*pair) for pair in self.refused)
        return [*(f"not started: {text}" for text in said), *self.warnings]

    def without_refused(self, cells: Sequence[CellSpec]) -> list[CellSpec]:
        """Return the cells that are not refused."""
        out = {cell.cell_id for cell, _ in self.refused}
        return [cell for cell in cells if cell.cell_id not in out]


def outlook(
    experiment: Experiment, due: Sequence[CellSpec], ask: Callable[..., Facts] = facts
) -> Outlook:
    """Return what is foretold of the cells that are due; nothing is written.

    Args:
        experiment: the comparison.
        due: its cells that are to run.
        ask: finds the facts of algorithms, environments, models and knobs.

    Raises:
        UsageError: every one of them would go over the limit.
    """
    room = available_bytes() if experiment.launcher not in ELSEWHERE else None
    limit = experiment.memory_limit
    at_work = experiment.max_parallel * max((processes(cell) for cell in due), default=1)
    share = None if room is None else room // at_work
    if not due or (limit is None and (share is None or _surely_fit(due, share))):
        return Outlook()
    if any(cell.config.get("sharding", "none") != "none" for cell in due):
        return Outlook(warnings=["whether sharded runs fit in memory is not foretold"])
    try:
        found = ask(*_distinct(due), experiment.config)
    except UsageError as error:
        return Outlook(warnings=[f"whether the runs fit in memory cannot be foretold: {error}"])
    seen: dict[tuple[str, str, str], Foretold | None] = {}
    refused, warnings = [], dict[str, None]()
    for cell in due:
        place = (cell.algorithm, cell.environment, cell.model)
        if place not in seen:
            seen[place] = _foretold(found.run(*place, cell.config))
        if (told := seen[place]) is None:
            continue
        if limit is not None and told.least > limit:
            refused.append((cell, told))
        elif limit is not None and told.most.peak_bytes > limit:
            warnings[_warning(place, told.most, f"is ended at {_mib(limit)}")] = None
        elif share is not None and told.most.peak_bytes > share:
            warnings[_warning(place, told.most, f"has {_mib(share)} that are free")] = None
    if len(refused) == len(due):
        raise UsageError(f"no run fits: {_message(*min(refused, key=lambda pair: pair[1].least))}")
    return Outlook(refused, list(warnings))


def refuse(out: Path, cell: CellSpec, told: Foretold) -> None:
    """Write down that a cell was not started, as its status: it counts as out of memory."""
    cell = prepare(out, cell)
    place = folder.place(out, cell)
    status = {
        **status_of_killed(cell, Ending("exited", 0, 0.0, None), place),
        "status": "oom",
        "exit_code": None,
        "error_type": "Preflight",
        "error_message": _message(cell, told),
        "predicted_peak_bytes": told.most.peak_bytes,
    }
    folder.write_json(place / "status.json", status)


def _distinct(due: Sequence[CellSpec]) -> list[list[str]]:
    """Return the algorithms, environments and models of some cells."""
    names = ("algorithm", "environment", "model")
    return [list(dict.fromkeys(getattr(cell, name) for cell in due)) for name in names]


def _surely_fit(due: Sequence[CellSpec], room: int) -> bool:
    """Tell whether even the hungriest algorithm fits, as far as is known without torch."""
    seen = {(cell.model, str(sorted(cell.config.items()))): cell for cell in due}
    for cell in seen.values():
        written = model_config(cell.model)
        sizes = None if written is None else model_sizes(written)
        if sizes is None or sizes.context is None:
            return False
        config = train_config(cell.config)
        reply = config.sampling.max_new_tokens or sizes.context // 2
        prompt = max(1, sizes.context - reply)
        run = Run(sizes, MOST, config, Lengths(prompt, prompt, reply), ROUGHLY)
        if predicted(run).peak_bytes > room:
            return False
    return True


def _foretold(run: Run | None) -> Foretold | None:
    """Return what a run will hold; ``None`` if nothing is foretold of its model."""
    if run is None:
        return None
    short = dataclasses.replace(run, lengths=dataclasses.replace(run.lengths, completion=1))
    return Foretold(predicted(run), predicted(short).peak_bytes)


def _message(cell: CellSpec, told: Foretold) -> str:
    return (
        f"{cell.algorithm} would hold {_mib(told.least)} even with replies of one token, and up to "
        f"{_mib(told.most.peak_bytes)}, above the memory limit of "
        f"{_mib(cell.memory_limit_bytes or 0)}; {_largest(told.most)}; {ADVICE}"
    )


def _warning(place: tuple[str, str, str], prediction: Prediction, bound: str) -> str:
    return (
        f"{', '.join(place)} may hold up to {_mib(prediction.peak_bytes)} and {bound}; "
        f"{_largest(prediction)}; {ADVICE}"
    )


ADVICE = "try a smaller --micro-batch, --recompute layers, or a smaller --group-size"


def _largest(prediction: Prediction) -> str:
    """Return the three largest components of the peak."""
    found = sorted(prediction.at_peak.items(), key=lambda pair: -pair[1])[:3]
    parts = ", ".join(f"{name} {_mib(n_bytes)}" for name, n_bytes in found)
    return f"in {prediction.peak_phase}: {parts}"


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:,.0f} MiB"
