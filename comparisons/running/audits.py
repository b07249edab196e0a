"""Audits: short runs beside the timed ones, in which bytes and operations are counted.

There is one for each algorithm, environment and model: two updates of seed 0, in
``OUT/audits/<id>/`` with a cell's files. They are made after the timed cells, each in a process of
its own; one that fails is told of, and takes nothing from anyone.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakeoff.comparisons.running import folder
from bakeoff.comparisons.running.content import with_content
from bakeoff.comparisons.running.endings import status_of_killed
from bakeoff.comparisons.running.grid import CellSpec, Experiment, cells
from bakeoff.comparisons.running.launchers.protocol import Order, Started
from bakeoff.comparisons.running.process import POLL_S, Ending
from bakeoff.comparisons.running.progress import Screen, duration
from bakeoff.comparisons.running.work import Site
from bakeoff.errors import UsageError

FOLDER = "audits"

SETTINGS: Mapping[str, Any] = {
    "updates": 2,
    "budget": None,
    "eval_every": 2,
    "samples_per_update": 0,
    "checkpoint_every": 0,
    "processes": None,
    "sharding": None,
}
"""What an audit has in the place of its comparison's settings, or ``None`` for the default: it
counts in one process what a run holds and computes, however many share that."""


def audits(experiment: Experiment) -> list[CellSpec]:
    """Return the audits of a comparison, as the cells that they are.

    Example:
        >>> from bakeoff.comparisons.running.grid import plan
        >>> found = audits(plan(algorithms=["grpo", "ppo"], seeds=[3, 4], updates=100))
        >>> [(audit.algorithm, audit.seed, audit.config["updates"]) for audit in found]
        [('grpo', 0, 2), ('ppo', 0, 2)]
    """
    config = _without(experiment.config) | {k: v for k, v in SETTINGS.items() if v is not None}
    # no more than are sampled at a time: further ones find the memory of the first
    items = min(experiment.config["eval_items"], experiment.config["sample_batch"])
    short = dataclasses.replace(
        experiment,
        config={**config, "eval_items": items},
        own={name: _without(own) for name, own in experiment.own.items()},
        seeds=(0,),
        accelerate_config=None,
        control=False,
        trackers=(),
    )
    return cells(short)


def run_missing(experiment: Experiment, site: Site, screen: Screen) -> None:
    """Run the audits that are not there yet, of what ended ok in at least one timed run."""
    went_well = {
        _subject(cell)
        for cell in cells(experiment)
        if _ending(folder.place(site.out, cell)).get("status") == "ok"
    }
    wanted = [
        audit
        for audit in audits(experiment)
        if _subject(audit) in went_well and not ended(site.out, audit)
    ]
    if not wanted or site.stop():
        return
    count = f"{len(wanted)} audit{'' if len(wanted) == 1 else 's'}"
    alone = ", in one process each" if experiment.config.get("processes", 1) > 1 else ""
    screen.note(f"{count} of memory and FLOPs to run: short, slow and not timed{alone}")
    _run_all(list(with_content(wanted)), site, screen)


def ended(out: Path, audit: CellSpec) -> bool:
    """Tell whether an audit is there that will not be made again."""
    return _ending(place(out, audit)).get("status") not in (None, "interrupted")


def place(out: Path, audit: CellSpec) -> Path:
    """Return the folder of an audit."""
    return out / FOLDER / audit.cell_id


def _without(config: Mapping[str, Any]) -> dict[str, Any]:
    return {knob: value for knob, value in config.items() if knob not in SETTINGS}


def _subject(cell: CellSpec) -> tuple[str, ...]:
    return cell.algorithm, cell.environment, cell.model


def _ending(here: Path) -> Mapping[str, Any]:
    """Return what a folder's process left; nothing if it left none that can be read."""
    try:
        return folder.read_json(here / "status.json") or {}
    except UsageError:
        return {}


def _run_all(waiting: list[CellSpec], site: Site, screen: Screen) -> None:
    """Run audits: on this machine one at a time, elsewhere as many as the launcher takes."""
    jobs: list[tuple[CellSpec, Started]] = []
    try:
        while jobs or (waiting and not site.stop()):
            while waiting and not site.stop() and not (site.launcher.here and jobs):
                if not site.launcher.takes(waiting[0], [audit for audit, _ in jobs]):
                    break
                audit = waiting.pop(0)
                try:
                    jobs.append((audit, _start(audit, site)))
                except OSError as error:
                    screen.note(f"  the audit of {audit.algorithm} could not be run: {error}")
            for audit, started in list(jobs):
                if (ending := started.poll(stop=site.stop())) is not None:
                    jobs.remove((audit, started))
                    _end(audit, ending, site, screen)
            if jobs:
                jobs[0][1].wait(POLL_S)
            elif waiting:
                time.sleep(POLL_S)
    finally:
        for _, started in jobs:
            started.end()


def _start(audit: CellSpec, site: Site) -> Started:
    here = place(site.out, audit)
    order = Order(audit, here, [*site.command, "--audit"], site.timeout_s)
    if (started := site.launcher.adopted(order)) is not None:
        return started
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    folder.write_json(here / "spec.json", dataclasses.asdict(audit))
    return site.launcher.start(order)


def _end(audit: CellSpec, ending: Ending, site: Site, screen: Screen) -> None:
    """Have the status of an audit that ended on disk, whatever became of it, and say what it is."""
    here = place(site.out, audit)
    if not (here / "status.json").exists():
        folder.write_json(here / "status.json", status_of_killed(audit, ending, here))
    status = _ending(here)
    words = f"audit of {audit.algorithm}, {audit.environment}, {audit.model}"
    said = f"  {words}: {status.get('status')}, {duration(ending.wall_s)}"
    if status.get("status") != "ok":
        said += f"; {status.get('error_message') or 'no message'}; see {here / 'log.txt'}"
    screen.note(said)
