"""Cells as jobs of Slurm: one job for all cells of an environment, model and seed.

The job runs them one after the other on one node, so that the algorithms of a seed share their
machine. Jobs are independent of the driver, which only waits for them: one that is interrupted or
killed leaves them at work, and the same command takes them up again.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bakeoff.comparisons.running.grid import CellSpec, Experiment
from bakeoff.comparisons.running.launchers import slurm_submission as submissions
from bakeoff.comparisons.running.launchers.protocol import Order
from bakeoff.comparisons.running.launchers.slurm_cell import SlurmCell
from bakeoff.comparisons.running.launchers.slurm_queue import (
    JobState,
    Queue,
    SlurmSilentError,
    states,
    submit,
)
from bakeoff.comparisons.running.launchers.slurm_script import script
from bakeoff.comparisons.running.launchers.slurm_submission import Submission
from bakeoff.errors import UsageError

OF_ONE_MACHINE = ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay")
UNSHARED = "unless it is exported, nodes do not see it, and they must, under the same path"


class Written(Exception):
    """The scripts are written, and nothing more was asked for."""


class Slurm:
    """Hands cells to Slurm, all at once."""

    parallel = 1
    here = False
    notes: Sequence[str] = ()

    def __init__(self, out: Path, given: Mapping[str, str], *, write_only: bool = False) -> None:
        """Take note of the results folder, and of the options that the user wants."""
        self.out, self.write_only = out, write_only
        self._given = given
        self._waiting: list[SlurmCell] = []
        self._queue = Queue()
        self.submitted: list[Submission] = []

    def accept(self, cells: Sequence[CellSpec]) -> None:
        """Accept them if Slurm answers; see which are in its hands already.

        Raises:
            UsageError: it does not.
        """
        if shutil.which("sbatch") is None:
            return  # what is only written needs none
        kind = filesystem(self.out)
        if kind in OF_ONE_MACHINE:
            self.notes = [f"{self.out} is on {kind}: {UNSHARED}"]
        try:
            self._queue.ask(submissions.unended(self.out))
        except SlurmSilentError as error:
            raise UsageError(f"Slurm does not answer: {error}") from None

    def takes(self, cell: CellSpec, at_work: Sequence[CellSpec]) -> bool:
        """Tell that it takes every cell: when it runs is for Slurm to say."""
        return True

    def adopted(self, order: Order) -> SlurmCell | None:
        """Return a cell whose job waits or runs, or has ended badly while nobody looked."""
        task = str(order.folder.relative_to(self.out))
        for submission in self._queue.known:
            place = submission.place(task)
            if place is None:
                continue
            cell = SlurmCell(order, self._look, submission, place)
            state = self._queue.state(submission, place)
            over = cell.judged(state) if submission.submitted(place) else None
            failed = over is not None and over.reason in ("timeout", "oom", "exited")
            if state.live or (failed and not (order.folder / "status.json").exists()):
                self.submitted.append(submission)
                return cell
            return None
        return None

    def start(self, order: Order) -> SlurmCell:
        """Take a cell; it is submitted with the others when the first of them is asked for."""
        cell = SlurmCell(order, self._look)
        self._waiting.append(cell)
        return cell

    def _look(self, cell: SlurmCell) -> JobState:
        """Return what Slurm says of a cell's job, as far as it was asked lately.

        Raises:
            UsageError: the job was refused.
            Written: its script is written, and nothing more was asked for.
        """
        if self._waiting:
            self._submit()
        if self.write_only:
            raise Written("all cells are in the hands of Slurm already: nothing is written")
        assert cell.submission is not None
        self._queue.ask_now_and_then()
        return self._queue.state(cell.submission, cell.place)

    def _submit(self) -> None:
        """Submit what waits: an array with a job for each environment, model and seed."""
        blocks: dict[tuple[str, ...], list[SlurmCell]] = {}
        for cell in self._waiting:
            spec = cell.order.cell
            key = (spec.environment, spec.model, str(spec.seed), cell.order.folder.parent.name)
            blocks.setdefault(key, []).append(cell)
        orders = [[cell.order for cell in block] for block in blocks.values()]
        made = submissions.new(self.out, orders)
        text = script(made.folder, made.name, orders, self._given)
        (made.folder / submissions.SCRIPT).write_text(text, encoding="utf-8")
        made.write()
        if self.write_only:
            path = made.folder / submissions.SCRIPT
            raise Written(f"written, not submitted: sbatch {shlex.quote(str(path))}")
        try:
            job = submit((made.folder / submissions.SCRIPT).resolve())
        except UsageError:
            shutil.rmtree(made.folder)  # nobody will look for its jobs
            raise
        made = replace(made, job=job)
        made.write()
        self.submitted.append(made)
        self._queue.add(made)
        for place, block in enumerate(blocks.values()):
            for cell in block:
                cell.submission, cell.place = made, place
        self._waiting.clear()


@contextmanager
def opened(experiment: Experiment) -> Iterator[Slurm]:
    """Yield what hands a comparison to Slurm, and say at an early end what goes on without it.

    Raises:
        UsageError: the cells cannot be submitted.
    """
    slurm = Slurm(experiment.out, experiment.slurm, write_only=experiment.write_only)
    try:
        yield slurm
    except Written as written:
        print(f"{written}\nWhen its jobs have ended: bakeoff report {experiment.out}")
    except KeyboardInterrupt:
        left = {submission.name for submission in submissions.unended(experiment.out)}
        names = ",".join(sorted(left.intersection(s.name for s in slurm.submitted)))
        if names:
            print(
                "bakeoff: the jobs go on without this command, and the same command takes them "
                f"up; to end them: scancel --name={names}",
                file=sys.stderr,
            )
        raise


def refuse_jobs(out: Path) -> None:
    """Accept a folder in which no job of Slurm is at work or waits, as far as can be asked here.

    Raises:
        UsageError: there are jobs; they would be at the same cells.
    """
    known = submissions.unended(out)
    if not known or shutil.which("squeue") is None:
        return
    try:
        found = states([one.name for one in known], min(one.since for one in known))
    except SlurmSilentError:
        return
    live = {name: state.job for (name, _), state in found.items() if state.live}
    if live:
        raise UsageError(
            f"jobs of Slurm ({', '.join(sorted(live.values()))}) are at work in {out}, or wait; "
            f"add --launcher slurm, or end them: scancel --name={','.join(live)}"
        )


def filesystem(folder: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """Return the type of the filesystem that a folder is on, or will be; empty if it is not told.

    Example:
        >>> filesystem(Path("/proc/self"))
        'proc'
    """
    try:
        lines = [line.split() for line in mounts.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return ""
    place = folder.resolve()
    found = [(line[1], line[2]) for line in lines if place.is_relative_to(line[1])]
    return max(found, key=lambda pair: len(pair[0]), default=("", ""))[1]
