"""Cells as jobs of Slurm: one job for all cells of an environment, model and seed.

The job runs them one after the other on one node, so that the algorithms of a seed share their
machine. Jobs are independent of the driver, which only waits for them: one that is interrupted or
killed leaves them at work, and the same command takes them up again.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bakeoff.comparisons.running.endings import tail
from bakeoff.comparisons.running.folder import read_json, write_json
from bakeoff.comparisons.running.grid import CellSpec, Experiment
from bakeoff.comparisons.running.launchers import slurm_submission as submissions
from bakeoff.comparisons.running.launchers.protocol import Order
from bakeoff.comparisons.running.launchers.slurm_queue import (
    UNKNOWN,
    JobState,
    Queue,
    SlurmSilentError,
    states,
    submit,
)
from bakeoff.comparisons.running.launchers.slurm_script import script
from bakeoff.comparisons.running.launchers.slurm_submission import Submission, begun, ended
from bakeoff.comparisons.running.process import Ending, Reason
from bakeoff.errors import UsageError

LOOK_S = 2.0
"""Seconds between looks at the cells' folders, which many machines share."""

SETTLE_S = 10.0
"""Seconds after the end of a job for what it wrote to be seen on this machine."""


class Written(Exception):
    """The scripts are written, and nothing more was asked for."""


class Slurm:
    """Hands cells to Slurm, all at once."""

    parallel = 1
    here = False

    def __init__(self, out: Path, given: Mapping[str, str], *, write_only: bool = False) -> None:
        """Take note of the results folder, and of the options that the user wants."""
        self.out, self.write_only = out, write_only
        self._given = given
        self._waiting: list[SlurmCell] = []
        self._queue = Queue()
        self.submitted: list[Submission] = []

    def accept(self, cells: Sequence[CellSpec]) -> None:
        """Accept them if Slurm is there to be asked; see which are in its hands already.

        Raises:
            UsageError: it is not there.
        """
        if shutil.which("sbatch") is None:
            if self.write_only:
                return
            raise UsageError(
                "--launcher slurm needs sbatch, which is not on this machine: start it on a login "
                "node, or add --write-only and submit the script there"
            )
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
            cell = SlurmCell(self, order, submission, place)
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
        cell = SlurmCell(self, order)
        self._waiting.append(cell)
        return cell

    def look(self, cell: SlurmCell) -> JobState:
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


class SlurmCell:
    """A cell in the hands of Slurm."""

    def __init__(
        self, slurm: Slurm, order: Order, submission: Submission | None = None, place: int = 0
    ) -> None:
        """Take note of the cell, and of its job if it has one."""
        self.order, self.submission, self.place = order, submission, place
        self._slurm = slurm
        self._over_since: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds since its process was started on its node; 0 before that."""
        job = begun(self.order.folder)
        return 0.0 if job is None else max(0.0, time.time() - job["started"])

    def poll(self, *, stop: bool = False) -> Ending | None:
        """Return how it ended, ``None`` while its job waits or runs.

        Raises:
            KeyboardInterrupt: it is to stop; its job goes on.
        """
        if stop:
            raise KeyboardInterrupt
        state = self._slurm.look(self)
        os.listdir(self.order.folder)  # a shared filesystem then asks its server for what is new
        if ended(self.order.folder):
            status = read_json(self.order.folder / "status.json") or {}
            return Ending("exited", 0, status.get("wall_s") or 0.0, None)
        if state.live:
            self._over_since = None
            return None
        if self._over_since is None:
            self._over_since = time.monotonic()
        if time.monotonic() - self._over_since < SETTLE_S:
            return None
        ending = self.judged(state)
        _amend(self.order.folder, ending)
        return ending

    def judged(self, state: JobState) -> Ending:
        """Return how a cell without a last word of its own ended, by the end of its job."""
        job = begun(self.order.folder)
        words = f"job {state.job} of Slurm" if state.job else "its job"
        began = job is not None
        reason: Reason = "lost"
        if state.state in ("TIMEOUT", "DEADLINE"):
            reason, detail = ("timeout" if began else "lost"), f"the time of {words} was up"
        elif state.state == "OUT_OF_MEMORY":
            reason, detail = ("oom" if began else "lost"), f"{words} was out of memory"
        elif state.state in ("CANCELLED", UNKNOWN):
            reason, detail = "interrupted", f"{words} was cancelled"
            if state.state == UNKNOWN:
                detail = f"{words} is gone, and Slurm does not say why"
        elif state.state in ("FAILED", "COMPLETED"):
            reason, detail = "exited", f"{words} ended as {state.state}{self._last_words()}"
        else:
            detail = f"{words} lost its machine: {state.state}"
        if not began:
            detail += " before this cell began"
        facts = job["facts"] if job is not None else {"versions": {}}  # there: not of this machine
        return Ending(reason, 1, self.elapsed_s, None, detail, facts)

    def _last_words(self) -> str:
        """Return the last line of the job's log, which may say why it ended before its cells."""
        assert self.submission is not None
        log = self.submission.folder / f"{self.place}.log"
        if not log.exists():
            return f" without its log {log}: do the nodes see this folder?"
        last = tail(log, 1)
        return f", whose log ends with '{last[0]}'" if last else ""

    def wait(self, seconds: float) -> None:
        """Wait until it is time to look again."""
        time.sleep(max(seconds, LOOK_S))

    def end(self) -> None:
        """Leave it to Slurm."""


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
        names = ",".join(dict.fromkeys(submission.name for submission in slurm.submitted))
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


def _amend(folder: Path, ending: Ending) -> None:
    """Have the status of a cell that its job cut off say why, where Slurm knows better."""
    path = folder / "status.json"
    status = read_json(path)
    if status is None or ending.reason not in ("timeout", "oom"):
        return
    kind = {"timeout": "Timeout", "oom": "OutOfMemory"}[ending.reason]
    why = {"status": ending.reason, "error_type": kind, "error_message": ending.detail}
    write_json(path, {**status, **why})
