"""``python -m bakeoff.comparisons.running.launchers.placed FOLDER COMMAND ...``: a cell, elsewhere.

It is what a launcher starts on the machine that it chose: it runs the command of the cell whose
folder that is, holds it to its limits, and leaves a ``status.json`` whatever became of it, with
the facts of that machine. SIGTERM ends the cell as ``interrupted``.

With ``--tied`` it leaves the process that started it, since an engine may kill its own and their
children (Ray does), but listens to it: a byte on standard input ends the cell as ``interrupted``,
and so does the end of it, which comes when that process is gone, however it went. Standard output
ends when the cell is over. Once nobody is there who may ask for the cell's folder, the one that
holds it is deleted.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bakeoff.comparisons.running.endings import status_of_killed
from bakeoff.comparisons.running.folder import cell_of, read_json, write_json
from bakeoff.comparisons.running.grid import CellSpec
from bakeoff.comparisons.running.launchers.local import Local
from bakeoff.comparisons.running.launchers.protocol import Order
from bakeoff.comparisons.running.process import POLL_S, Ending, interruptions
from bakeoff.comparisons.running.share import threads
from bakeoff.errors import UsageError

PYTHON = "{python}"
"""In a command, the interpreter of whichever machine it runs on."""


def portable(command: Sequence[str]) -> list[str]:
    """Return a command of this machine so that it can be run on another.

    Example:
        >>> portable([sys.executable, "-m", "this"]), portable(["true"])
        (['{python}', '-m', 'this'], ['true'])
    """
    return [PYTHON if word == sys.executable else word for word in command]


def arguments(
    folder: Path, command: Sequence[str], timeout_s: float | None, *, tied: bool
) -> list[str]:
    """Return the command that runs a cell on the machine that this is called on.

    Args:
        folder: the cell's, which holds its ``spec.json``.
        command: what runs it, as ``portable`` returns it.
        timeout_s: seconds it may take, or ``None``.
        tied: whether it ends with what starts it.
    """
    options = ["--tied"] if tied else []
    options += [] if timeout_s is None else ["--timeout-s", str(timeout_s)]
    return [sys.executable, "-P", "-m", __spec__.name, *options, str(folder), *command]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a cell to its end; return 0 if its folder says how it ended."""
    parser = argparse.ArgumentParser(prog="placed", description=__doc__)
    parser.add_argument("--tied", action="store_true", help="end with what started this")
    parser.add_argument("--timeout-s", type=float, help="seconds the cell may take")
    parser.add_argument("folder", type=Path, help="the cell's folder, with a spec.json")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what runs it")
    args = parser.parse_args(argv)
    command = [sys.executable if word == PYTHON else word for word in args.command]
    if args.tied and os.fork():
        os._exit(0)  # so that this is no child of what started it
    order = Order(read_cell(args.folder), args.folder, command, args.timeout_s)
    with interruptions() as asked:
        run(order, lambda: asked() or (args.tied and heard()))
    if args.tied:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the other end sees that it is over
        while os.read(0, 1):
            pass  # until nobody is there any more who wants the files
        shutil.rmtree(args.folder.parent, ignore_errors=True)
    return 0


def read_cell(folder: Path) -> CellSpec:
    """Return the cell that a prepared folder is of."""
    return cell_of(read_json(folder / "spec.json") or {})


def run(
    order: Order, told: Callable[[], bool], *, lock: int | None = None, why: str = ""
) -> Ending:
    """Run a cell to its end, or to the moment it is told to end, and leave its status.

    Args:
        order: which one.
        told: whether it is to end.
        lock: a descriptor that its process inherits.
        why: what is said of the end of one that was told to.
    """
    # engines set their own, which would be neither what was asked for nor what is written down
    cell = order.cell
    os.environ["OMP_NUM_THREADS"] = str(threads(cell.config["threads"], cell.parallel))
    started = Local(1, lock).start(order)
    try:
        while (ending := started.poll(stop=told())) is None:
            started.wait(POLL_S)
    finally:
        started.end()
    if ending.reason == "exited" and ending.exit_code == -signal.SIGTERM:
        time.sleep(POLL_S)  # an engine signals all processes of a job at about the same time
        ending = dataclasses.replace(ending, reason="interrupted" if told() else "exited")
    if ending.reason == "interrupted":
        ending = dataclasses.replace(ending, detail=why)
    leave_status(order, ending)
    return ending


def leave_status(order: Order, ending: Ending) -> None:
    """Write how a cell ended that has left no status that can be read."""
    path = order.folder / "status.json"
    try:
        known = read_json(path) is not None
    except UsageError:
        known = False
    if not known:
        write_json(path, status_of_killed(order.cell, ending, order.folder))


def heard() -> bool:
    """Tell whether something stands on standard input, or its other end is gone."""
    return bool(select.select([0], [], [], 0)[0])


if __name__ == "__main__":
    raise SystemExit(main())
