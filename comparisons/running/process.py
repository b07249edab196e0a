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
from typing import Literal

POLL_S = 0.2
GRACE_S = 5.0

Reason = Literal["exited", "timeout", "oom", "interrupted"]


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        reason: ``exited`` if it ended without the driver's doing.
        exit_code: its exit code; minus the signal's number if a signal ended it.
        wall_s: seconds from its start to its end.
        peak_rss_bytes: the highest resident memory seen, or ``None`` where there is no ``/proc``.
    """

    reason: Reason
    exit_code: int
    wall_s: float
    peak_rss_bytes: int | None


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
    start = time.monotonic()
    peak: int | None = None
    reason: Reason = "exited"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
            pass_fds=inherit,
        )
    try:
        while process.poll() is None:
            elapsed_s = time.monotonic() - start
            peak = max(filter(None, (peak, peak_rss_bytes(process.pid))), default=None)
            if timeout_s is not None and elapsed_s > timeout_s:
                reason = "timeout"
                break
            if memory_limit_bytes is not None and (peak or 0) > memory_limit_bytes:
                reason = "oom"
                break
            if stop():
                reason = "interrupted"
                break
            on_poll(elapsed_s)
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
    finally:
        end_group(process)
    return Ending(reason, process.returncode, time.monotonic() - start, peak)


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
