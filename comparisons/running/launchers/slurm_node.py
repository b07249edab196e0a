"""``python -m bakeoff.comparisons.running.launchers.slurm_node FOLDER PLACE``: a job on its node.

It runs the cells of its block one after the other, each a fresh process that is watched as on a
machine of one's own: its timeout, its memory limit and its status are the same. A job that Slurm
starts once more, or that a person does, goes on with what has not ended.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bakeoff.comparisons.running import folder, neighbours
from bakeoff.comparisons.running.attempts import prepare
from bakeoff.comparisons.running.content import changes, with_content
from bakeoff.comparisons.running.host import host
from bakeoff.comparisons.running.launchers.placed import leave_status, read_cell, run
from bakeoff.comparisons.running.launchers.protocol import Order
from bakeoff.comparisons.running.launchers.slurm_submission import Task, alone, begun, ended, read
from bakeoff.comparisons.running.process import Ending, interruptions
from bakeoff.comparisons.running.room import DISK_FULL
from bakeoff.comparisons.running.work import NOISY


def main(argv: list[str]) -> int:
    """Run one job of a submission and return its exit code: 0 unless it was cut off."""
    submission = read(Path(argv[0]))
    if submission is None:
        raise SystemExit(f"there is no submission in {argv[0]}")
    out = submission.folder.parent.parent
    sys.path.append(os.getcwd())  # environments and algorithms of the user's own
    print(f"job {job_number()} on {os.environ.get('SLURMD_NODENAME', '?')}", flush=True)
    told: set[str] = set()
    with neighbours.seen(out) as others, interruptions() as stop:
        with alone(out, "environment", stop):
            folder.record_host(out)
        for task in submission.blocks[int(argv[1])]:
            for other in sorted(set(others()) - told):
                print(f"! another bakeoff is at work, {other}: {NOISY}", flush=True)
                told.add(other)
            place = out / task.folder
            with alone(out, place.name, stop) as lock:
                if lock is None:
                    print("told to end", flush=True)
                    return 1
                if ended(place):
                    print(f"{task.folder}: it has ended already", flush=True)
                elif _run(out, task, lock, stop).exit_code == DISK_FULL:
                    return DISK_FULL  # every other cell would meet the same
    return 1 if stop() else 0


def job_number() -> str:
    """Return this job's number as Slurm writes it, ``12_0``."""
    array, place = (os.environ.get(f"SLURM_ARRAY_{x}_ID", "") for x in ("JOB", "TASK"))
    return f"{array}_{place}" if array else os.environ.get("SLURM_JOB_ID", "?")


def _run(out: Path, task: Task, lock: int, stop: Callable[[], bool]) -> Ending:
    """Run one cell, and have its status on disk whatever becomes of it."""
    place = out / task.folder
    cell = read_cell(place)
    if begun(place) is not None and place == folder.place(out, cell):
        cell = prepare(out, cell)  # a job was cut off in it; an audit has nothing to go on from
    (place / "status.json").unlink(missing_ok=True)
    job = {
        "job": job_number(),
        "node": os.environ.get("SLURMD_NODENAME", ""),
        "attempt": cell.attempt,
        "started": time.time(),
        "facts": host(),
    }
    folder.write_json(place / "job.json", job)
    print(f"{task.folder}: attempt {cell.attempt} starts", flush=True)
    order = Order(cell, place, task.command, task.timeout_s)
    if other := changes(cell.content, with_content([cell])[0].content):
        detail = f"this machine would run other code: {'; '.join(other)}"
        ending = Ending("exited", 1, 0.0, None, detail)
        leave_status(order, ending)
    else:
        ending = run(order, stop, lock=lock, why=f"job {job_number()} of Slurm was told to end")
    status = (folder.read_json(place / "status.json") or {}).get("status")
    print(f"{task.folder}: {status} after {ending.wall_s:.1f} s", flush=True)
    return ending


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
