"""One process, watched: it ends by itself, or it is ended for its time, its memory or a Ctrl-C.

The process gets a session of its own, so that whatever it starts can be ended with it and a Ctrl-C
in the terminal reaches the driver alone. Its peak memory is ``VmHWM`` of ``/proc/<pid>/status``:
``ru_maxrss`` is inherited across exec, so a small child of a once large parent reports the
parent's peak.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

POLL_S = 0.2
GRACE_S = 5.0

Reason = Literal["exited", "timeout", "oom", "interrupted", "lost"]


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        reason: ``exited`` if it ended without the driver's doing; ``lost`` if the machine that it
            was on went away.
        exit_code: its exit code; minus the signal's number if a signal ended it.
        wall_s: seconds from its start to its end.
        peak_rss_bytes: the highest resident memory seen, or ``None`` where there is no ``/proc``.
        detail: what a launcher knows of why; empty if it knows no more.
        facts: of the machine that it was on, as ``host()`` gives them; ``None``: of this one.
    """

    reason: Reason
    exit_code: int
    wall_s: float
    peak_rss_bytes: int | None
    detail: str = ""
    facts: Mapping[str, Any] | None = None


def watch(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    timeout_s: float | None = None,
    memory_limit_bytes: int | None = None,
    on_poll: Callable[[float], None] = lambda elapsed_s: None,
    stop: Callable[[], bool] = lambda: False,
    inherit: Sequence[int] = (),
) -> Ending:
    """Run a command to its end, or end it and its children, and say which it was.

    Args:
        command: the program and its arguments.
        log: where its output goes; what is there already stays.
        environment: its environment variables.
        timeout_s: seconds it may take.
        memory_limit_bytes: resident memory it may reach.
        on_poll: called with the seconds since the start, about five times a second.
        stop: asked as often; the processes are ended as ``interrupted`` once it says yes.
        inherit: file descriptors that it keeps open.
    """
    watched = Watched(command, log=log, environment=environment, inherit=inherit)
    watched.timeout_s, watched.memory_limit_bytes = timeout_s, memory_limit_bytes
    try:
        while (ending := watched.poll(stop=stop())) is None:
            on_poll(watched.elapsed_s)
            watched.wait(POLL_S)
    finally:
        watched.end()
    return ending


class Watched:
    """A process that was started, and is asked now and then whether it has ended.

    Attributes:
        timeout_s: seconds it may take, if there is a limit.
        memory_limit_bytes: resident memory it may reach, if there is a limit.
        has_ranks: whether its children do its work, so that memory is that of the largest of them.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        inherit: Sequence[int] = (),
    ) -> None:
        """Start it; the arguments are those of ``watch``."""
        self.timeout_s: float | None = None
        self.memory_limit_bytes: int | None = None
        self.has_ranks = False
        self._start = time.monotonic()
        self._peak: int | None = None
        self._ended = False
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
                pass_fds=inherit,
            )

    @property
    def elapsed_s(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self._start

    @property
    def at_work(self) -> bool:
        """Whether it has begun: at once."""
        return True

    def poll(self, *, stop: bool = False) -> Ending | None:
        """Return how it ended, ``None`` while it lives.

        Over a limit, or if it is to stop, it is ended. Its children end with it.
        """
        reason: Reason | None = None
        if self._process.poll() is not None:
            reason = "exited"
        else:
            pid = self._process.pid
            found = [peak_rss_bytes(pid) for pid in (children(pid) if self.has_ranks else [pid])]
            self._peak = max(filter(None, [self._peak, *found]), default=None)
            memory = self.memory_limit_bytes
            if self.timeout_s is not None and self.elapsed_s > self.timeout_s:
                reason = "timeout"
            elif memory is not None and (self._peak or 0) > memory:
                reason = "oom"
            elif stop:
                reason = "interrupted"
        if reason is None:
            return None
        self.end()
        return Ending(reason, self._process.returncode, self.elapsed_s, self._peak)

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, but no longer than that."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def end(self) -> None:
        """End it and its children, whatever state they are in; twice is as good as once."""
        if not self._ended:
            end_group(self._process)
            self._ended = True


@contextmanager
def interruptions() -> Iterator[Callable[[], bool]]:
    """Note the first Ctrl-C (or SIGTERM, SIGHUP) instead of raising; yields whether there was one.

    So nothing is cut off half-way: the driver ends the cell, writes its status and the tables, and
    stops. A second one raises ``KeyboardInterrupt`` at once. Outside the main thread Python allows
    no handlers, and nothing changes.
    """
    noted = False

    def note(number: int, frame: object) -> None:
        nonlocal noted
        if noted:
            raise KeyboardInterrupt
        noted = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [n for n in numbers if signal.getsignal(n) != signal.SIG_IGN]  # nohup ignores SIGHUP
    before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield lambda: noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def peak_rss_bytes(pid: int) -> int | None:
    """Return the highest resident memory a live process has had, or ``None`` if it is not told.

    Example:
        >>> peak = peak_rss_bytes(os.getpid())
        >>> peak is None or peak > 1_000_000
        True
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else None


def children(pid: int) -> list[int]:
    """Return the processes that the main thread of a live process has started; none if not told."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    except OSError:
        return []
    return [int(word) for word in text.split()]


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and everything in its group: politely first, then for certain.

    Children that outlive a process which ended by itself are ended as well: the next cell must
    have the machine to itself. A second Ctrl-C skips the polite wait.
    """
    try:
        if process.poll() is None:
            _signal_group(process.pid, signal.SIGTERM)
            process.wait(GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        pass
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
