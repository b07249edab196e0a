"""A cell in the hands of Slurm: whether it waits, runs, or how it ended if it cannot say so."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from bakeoff.comparisons.running.endings import tail
from bakeoff.comparisons.running.folder import read_json, write_json
from bakeoff.comparisons.running.launchers.protocol import Order
from bakeoff.comparisons.running.launchers.slurm_queue import UNKNOWN, JobState
from bakeoff.comparisons.running.launchers.slurm_submission import Submission, begun, ended
from bakeoff.comparisons.running.process import Ending, Reason

LOOK_S = 2.0
"""Seconds between looks at the cells' folders, which many machines share."""

SETTLE_S = 10.0
"""Seconds after the end of a job for what it wrote to be seen on this machine."""


class SlurmCell:
    """A cell in the hands of Slurm."""

    def __init__(
        self,
        order: Order,
        look: Callable[[SlurmCell], JobState],
        submission: Submission | None = None,
        place: int = 0,
    ) -> None:
        """Take note of the cell, of what tells the state of its job, and of that if it has one."""
        self.order, self.submission, self.place = order, submission, place
        self._look = look
        self._over_since: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds since its process was started on its node; 0 before that."""
        job = begun(self.order.folder)
        return 0.0 if job is None else max(0.0, time.time() - job["started"])

    @property
    def at_work(self) -> bool:
        """Whether its process was started on its node."""
        return begun(self.order.folder) is not None

    def poll(self, *, stop: bool = False) -> Ending | None:
        """Return how it ended, ``None`` while its job waits or runs.

        Raises:
            KeyboardInterrupt: it is to stop; its job goes on.
        """
        if stop:
            raise KeyboardInterrupt
        state = self._look(self)
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


def _amend(folder: Path, ending: Ending) -> None:
    """Have the status of a cell that its job cut off say why, where Slurm knows better."""
    path = folder / "status.json"
    status = read_json(path)
    if status is None or ending.reason not in ("timeout", "oom"):
        return
    kind = {"timeout": "Timeout", "oom": "OutOfMemory"}[ending.reason]
    why = {"status": ending.reason, "error_type": kind, "error_message": ending.detail}
    write_json(path, {**status, **why})
