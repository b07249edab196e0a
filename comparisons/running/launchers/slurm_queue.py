"""What Slurm says of jobs: ``squeue`` while it remembers them, then ``sacct`` where it keeps books.

Jobs are asked for by name. So those are found, too, whose number nobody wrote down: a driver was
killed just after ``sbatch``, or a person submitted the script.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bakeoff.comparisons.running.launchers.slurm_submission import Submission
from bakeoff.errors import UsageError

FIRST_ASK_S, LAST_ASK_S = 2.0, 30.0
"""Seconds between questions to Slurm: more and more, as long as nothing changes."""

SECONDS = 60
"""How long a command of Slurm may take to answer."""

OVER = (
    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY", "NODE_FAIL"),
    *("BOOT_FAIL", "PREEMPTED", "REVOKED", "LAUNCH_FAILED"),
)
"""States of jobs that will not run any more; every other one is of a job that may."""

UNKNOWN = "UNKNOWN"
"""In the place of a state: Slurm no longer knows of the job."""


class SlurmSilentError(Exception):
    """Slurm did not answer, so that nothing is known of its jobs; they may well be at work."""


class JobState(NamedTuple):
    """What Slurm says of one job.

    Attributes:
        job: its number, that of its array and its place in it: ``12_0``.
        state: as Slurm names it.
        node: the machine it runs on, or ran on; empty before that.
    """

    job: str
    state: str
    node: str = ""

    @property
    def live(self) -> bool:
        """Whether the job waits or runs."""
        return self.state != UNKNOWN and self.state not in OVER


class Queue:
    """What Slurm last said of some submissions."""

    def __init__(self) -> None:
        self.known: list[Submission] = []
        self._states: dict[tuple[str, int], JobState] = {}
        self._asked_s, self._every_s = 0.0, FIRST_ASK_S

    def add(self, submission: Submission) -> None:
        """Ask for a further one, which was just submitted, from now on."""
        self.known.insert(0, submission)
        for place in range(len(submission.blocks)):
            pending = JobState(f"{submission.job}_{place}", "PENDING")
            self._states[submission.name, place] = pending
        self._asked_s, self._every_s = time.monotonic(), FIRST_ASK_S

    def ask(self, known: Sequence[Submission]) -> None:
        """Ask for these.

        Raises:
            SlurmSilentError: there is no answer.
        """
        self.known = list(known)
        self._asked_s = time.monotonic()
        since = min((submission.since for submission in known), default="")
        found = states([submission.name for submission in known], since)
        self._every_s = FIRST_ASK_S if found != self._states else self._every_s * 1.5
        self._every_s = min(self._every_s, LAST_ASK_S)
        self._states = found

    def ask_now_and_then(self) -> None:
        """Ask again if the last answer is old; without an answer the last one holds."""
        if time.monotonic() - self._asked_s > self._every_s:
            try:
                self.ask(self.known)
            except SlurmSilentError:
                self._every_s = LAST_ASK_S

    def state(self, submission: Submission, place: int) -> JobState:
        """Return what was said of a job."""
        return self._states.get((submission.name, place), JobState("", UNKNOWN))


def submit(script: Path) -> str:
    """Submit a script and return the job's number.

    Raises:
        UsageError: it was refused; the text is that of ``sbatch``.
    """
    try:
        done = _run(["sbatch", "--parsable", str(script)])
    except SlurmSilentError as error:
        raise UsageError(f"sbatch: {error}") from None
    if done.returncode != 0:
        raise UsageError(f"sbatch refused {script}: {_complaint(done)}")
    return done.stdout.split(";")[0].strip()


def states(names: Sequence[str], since: str) -> dict[tuple[str, int], JobState]:
    """Return what Slurm says of all jobs of these names, by name and place in the array.

    Args:
        names: those that the scripts give.
        since: when the first of them was submitted, ``YYYY-MM-DDTHH:MM:SS`` of local time.

    Raises:
        SlurmSilentError: it cannot be reached.
    """
    if not names:
        return {}
    wanted = ",".join(names)
    queue = ["squeue", "-r", "--noheader", "--states=all", f"--name={wanted}"]
    done = _run([*queue, "--format=%i|%j|%T|%N"])
    if done.returncode != 0:
        raise SlurmSilentError(f"squeue: {_complaint(done)}")
    found = _read(done.stdout)
    books = ["sacct", "-X", "--noheader", "--parsable2", f"--name={wanted}", f"--starttime={since}"]
    try:
        told = _run([*books, "--format=JobID,JobName,State,NodeList"])
    except SlurmSilentError:
        return found
    if told.returncode != 0:  # this cluster keeps no books
        return found
    return {**_read(told.stdout), **found}


def _read(text: str) -> dict[tuple[str, int], JobState]:
    """Return the lines ``12_0|name|STATE by 1000|node``; jobs that are no part of an array have no
    place here. A later line is of a later submission of the same script.

    Example:
        >>> _read("12_0|a|RUNNING|n1\\n12_1|a|CANCELLED by 0|\\n12_[2-9]|a|PENDING|\\n")[("a", 1)]
        JobState(job='12_1', state='CANCELLED', node='')
    """
    found: dict[tuple[str, int], JobState] = {}
    for line in text.splitlines():
        job, name, state, node = (line.split("|") + [""] * 4)[:4]
        number, _, place = job.partition("_")
        if not (number.isdigit() and place.isdigit() and state):
            continue
        new, key = JobState(job, state.split()[0], _node(node)), (name, int(place))
        before = found.get(key)
        if before is None or new.live or not before.live:
            found[key] = new
    return found


def _node(text: str) -> str:
    return "" if text in ("None assigned", "(null)") else text


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except FileNotFoundError:
        raise SlurmSilentError(f"there is no {command[0]} on this machine") from None
    except subprocess.TimeoutExpired:
        raise SlurmSilentError(f"{command[0]} did not answer within {SECONDS} s") from None


def _complaint(done: subprocess.CompletedProcess[str]) -> str:
    said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    lines = [line for line in said if not line.startswith("Try ")] or said  # the help, after that
    return lines[-1] if lines else f"it ended with {done.returncode}"
