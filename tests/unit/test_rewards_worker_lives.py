"""How worker processes start and end: killed, interrupted, forked, and alone in the world."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from worker_requests import LONG, PID, SERVER_PID, SLEEP, alive, ask, eventually, noted, noting

from bakeoff.rewards.workers import WorkerFailed, WorkerPool

IMPORTABLE = "import os, signal, sys, time; from bakeoff.rewards.workers import WorkerPool\n"


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool("builtins:eval", workers=1, memory_mib=256) as made:
        yield made


@pytest.fixture
def pair() -> Iterator[WorkerPool]:
    with WorkerPool("builtins:eval", workers=2) as made:
        yield made


def host(code: str, *argv: str) -> subprocess.Popen[str]:
    """Start a script that uses a pool."""
    command = [sys.executable, "-c", IMPORTABLE + code, *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_an_idle_worker_that_is_killed_is_replaced(pool: WorkerPool) -> None:
    worker = ask(pool, PID)
    os.kill(worker, signal.SIGKILL)

    assert ask(pool, PID) != worker
    assert (pool.started, pool.replaced, pool.timeouts) == (2, 1, 0)


def test_an_idle_workers_death_is_not_held_against_the_next_request(
    pool: WorkerPool, tmp_path: Path
) -> None:
    file = tmp_path / "workers"
    worker = ask(pool, PID)
    os.kill(worker, signal.SIGKILL)
    assert eventually(lambda: not alive(worker))
    first_dies = (
        f"__import__('os').kill({PID}, 9)"
        f" if open({str(file)!r}).read().count('\\n') == 1 else 'verdict'"
    )

    assert ask(pool, noting(file, first_dies)) == "verdict"
    assert (pool.started, pool.replaced) == (3, 2)


def test_a_request_whose_worker_is_killed_is_answered_by_the_next(
    pool: WorkerPool, tmp_path: Path
) -> None:
    file = tmp_path / "workers"
    first_sleeps = f"{SLEEP} if open({str(file)!r}).read().count('\\n') == 1 else 'verdict'"
    with ThreadPoolExecutor(1) as thread:
        verdict = thread.submit(ask, pool, noting(file, first_sleeps))
        assert eventually(lambda: len(noted(file)) == 1)
        os.kill(noted(file)[0], signal.SIGKILL)

        assert verdict.result() == "verdict"
    assert len(set(noted(file))) == 2
    assert (pool.started, pool.replaced, pool.timeouts) == (2, 1, 0)


def test_a_request_that_two_workers_die_of_is_not_tried_again(
    pool: WorkerPool, tmp_path: Path
) -> None:
    file = tmp_path / "workers"

    with pytest.raises(WorkerFailed, match="two workers died of the request: signal 9"):
        ask(pool, noting(file, f"__import__('os').kill({PID}, 9)"))

    assert len(noted(file)) == 2
    assert ask(pool, "1") == 1


def test_a_killed_server_is_started_anew_and_loses_no_verdict(
    pool: WorkerPool, tmp_path: Path
) -> None:
    file = tmp_path / "workers"
    server = ask(pool, SERVER_PID)
    with ThreadPoolExecutor(1) as thread:
        verdict = thread.submit(
            ask, pool, noting(file, f"__import__('time').sleep(1) or {SERVER_PID}")
        )
        assert eventually(lambda: len(noted(file)) == 1)
        os.kill(server, signal.SIGKILL)
        answer = verdict.result()

    # the kernel took the worker down with its server, so a worker of the next server answered
    assert len(set(noted(file))) == 2
    assert answer not in (server, 1)


def test_an_interrupted_call_leaves_no_stale_answer_behind(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])
    ask(pool, "0")
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            ask(pool, "__import__('time').sleep(20) or 'stale'")
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)

    assert ask(pool, "'fresh'") == "fresh"


def test_a_ctrl_c_is_not_the_workers_business(pool: WorkerPool) -> None:
    worker, server = ask(pool, PID), ask(pool, SERVER_PID)
    for process in (worker, server):
        assert os.getpgid(process) != os.getpgid(0)  # the terminal does not even send it there
        os.killpg(process, signal.SIGINT)
    time.sleep(0.1)

    assert (ask(pool, PID), ask(pool, SERVER_PID)) == (worker, server)


def test_importing_and_making_a_pool_start_nothing() -> None:
    code = (
        "import subprocess\n"
        "def refuse(*args, **kwargs): raise AssertionError('a process was started')\n"
        "subprocess.Popen = os.fork = refuse\n"
        "pool = WorkerPool('math:sqrt')\n"
        "print(pool.started, len(sys.modules.keys() & {'multiprocessing', 'sympy', 'torch'}))\n"
    )

    out, _ = host(code).communicate(timeout=60)

    assert out.split() == ["0", "0"]


def test_a_pool_is_pickled_as_a_fresh_one_and_works_in_a_daemonic_spawned_process(
    pool: WorkerPool,
) -> None:
    server = ask(pool, SERVER_PID)

    copy = pickle.loads(pickle.dumps(pool))  # noqa: S301 - made here
    with get_context("spawn").Pool(1) as daemons:  # its processes may have no multiprocessing child
        in_daemon = daemons.apply(pool.call, (SERVER_PID,), {"deadline_s": LONG})

    assert (pool.started, copy.started) == (1, 0)
    assert in_daemon != server


def test_a_forked_child_makes_its_own_workers_and_leaves_its_parents_alone() -> None:
    code = (
        "pool = WorkerPool('builtins:eval', workers=1)\n"
        f"parents = pool.call({PID!r}, deadline_s=30)\n"
        "child = os.fork()\n"
        "if not child:\n"
        f"    childs = pool.call({PID!r}, deadline_s=30)\n"
        "    own = (childs != parents, pool.started)\n"
        "    pool.close()\n"
        "    os._exit(0 if own == (True, 1) else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        f"print(pool.call({PID!r}, deadline_s=30) - parents, pool.started)\n"
    )

    out, _ = host(code).communicate(timeout=60)

    # the child's verdict on itself; then the parent's worker is the same as before, and the only
    assert out.split() == ["0", "0", "1"]


def test_nobody_survives_a_host_that_is_killed(tmp_path: Path) -> None:
    # The worker is busy, so it cannot notice; it has a child; and a forked child of the host, made
    # while a thread was in a call, lives on with what it inherited.
    file = tmp_path / "processes"
    code = (
        "import threading\n"
        "pool = WorkerPool('builtins:eval', workers=1)\n"
        "call = lambda: pool.call(sys.argv[1], deadline_s=60)\n"
        "threading.Thread(target=call).start()\n"
        "for _ in range(3000): os.path.exists(sys.argv[2]) or time.sleep(0.01)\n"
        "print(os.fork() or time.sleep(60) or os._exit(0), flush=True)\n"
    )
    child_of_worker = "__import__('subprocess').Popen(['sleep', '60']).pid"
    pids = f"''.join(f'{{pid}}\\n' for pid in [{PID}, {SERVER_PID}, {child_of_worker}])"
    process = host(code, f"[open({str(file)!r}, 'w').write({pids}), {SLEEP}]", str(file))
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        assert eventually(lambda: len(noted(file)) == 3)
        assert all(alive(pid) for pid in noted(file))
        process.kill()

        assert eventually(lambda: not any(alive(pid) for pid in noted(file)))
        assert alive(child)
    finally:
        os.kill(child, signal.SIGKILL)
        process.kill()
        process.wait()
        process.stdout.close()


def test_closing_ends_the_processes_and_the_calls(pair: WorkerPool) -> None:
    worker, server = ask(pair, PID), ask(pair, SERVER_PID)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(ask, pair, SLEEP)
        time.sleep(0.2)
        pair.close()

        with pytest.raises(WorkerFailed, match="closed"):
            waiting.result()
    with pytest.raises(WorkerFailed, match="closed"):
        ask(pair, "1")
    assert eventually(lambda: not alive(worker) and not alive(server))


def test_a_forgotten_pool_ends_its_processes() -> None:
    pool = WorkerPool("builtins:eval", workers=1)
    server = ask(pool, SERVER_PID)
    del pool
    gc.collect()

    assert eventually(lambda: not alive(server))
