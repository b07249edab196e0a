"""Watching one process: real processes that end, hang, eat memory and leave children behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bakeoff.comparisons.running.process import Ending, interruptions, watch

MIB = 2**20


def watched(tmp_path: Path, code: str, **limits: Any) -> Ending:
    command = [sys.executable, "-c", code]
    return watch(command, log=tmp_path / "log.txt", environment=os.environ, **limits)


def eventually(true: Callable[[], bool]) -> bool:
    """Return whether something becomes true within 10 s."""
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie that nobody has reaped yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_process_that_ends_by_itself_reports_its_code_and_its_output(tmp_path: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr, flush=True); sys.exit(3)"

    ending = watched(tmp_path, code)

    assert (ending.reason, ending.exit_code) == ("exited", 3)
    assert sorted((tmp_path / "log.txt").read_text().split()) == ["err", "out"]


def test_a_process_over_its_time_is_ended_with_all_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )

    ending = watched(tmp_path, code, timeout_s=1.0)

    assert ending.reason == "timeout"
    assert 1.0 < ending.wall_s < 10.0
    child = int((tmp_path / "log.txt").read_text())
    assert eventually(lambda: not alive(child))


def test_a_process_that_ignores_the_polite_request_is_killed(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("bakeoff.comparisons.running.process.GRACE_S", 0.3)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"

    ending = watched(tmp_path, code, timeout_s=1.0)

    assert (ending.reason, ending.exit_code) == ("timeout", -signal.SIGKILL)


def test_children_left_behind_do_not_run_beside_the_next_cell(tmp_path: Path) -> None:
    sleep = "import time; time.sleep(60)"
    code = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {sleep!r}]).pid)"

    ending = watched(tmp_path, code)

    assert (ending.reason, ending.exit_code) == ("exited", 0)
    child = int((tmp_path / "log.txt").read_text())
    assert eventually(lambda: not alive(child))


def test_a_process_over_its_memory_is_ended(tmp_path: Path) -> None:
    code = f"import time; held = b'x' * {300 * MIB}; time.sleep(60)"

    ending = watched(tmp_path, code, memory_limit_bytes=100 * MIB)

    # it is seen while it grows or afterwards: above the limit, and at most what it asked for plus
    # the interpreter
    assert ending.reason == "oom"
    assert ending.peak_rss_bytes is not None
    assert 100 * MIB < ending.peak_rss_bytes < 350 * MIB


def test_the_peak_is_the_childs_own_not_its_parents(tmp_path: Path) -> None:
    held = b"x" * (300 * MIB)  # ru_maxrss of a child would report this, too

    ending = watched(tmp_path, "import time; time.sleep(0.5)")

    assert ending.peak_rss_bytes is not None
    assert ending.peak_rss_bytes < 100 * MIB < len(held)


@pytest.fixture
def heeded_interrupt() -> Iterator[None]:
    """A runner that was started in the background hands down an interrupt that is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_interruption_is_noted_and_ends_the_process(
    tmp_path: Path, heeded_interrupt: None
) -> None:
    with interruptions() as stop:
        assert not stop()
        ending = watched(
            tmp_path,
            "import time; time.sleep(60)",
            stop=stop,
            on_poll=lambda elapsed_s: os.kill(os.getpid(), signal.SIGINT) if not stop() else None,
        )

    assert ending.reason == "interrupted"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_signal_stays_ignored() -> None:
    code = (
        "import os, signal\n"
        "from bakeoff.comparisons.running.process import interruptions\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what nohup does\n"
        "with interruptions() as stop:\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    print(stop())\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print(stop())\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "True"]
