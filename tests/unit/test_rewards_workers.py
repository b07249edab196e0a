"""Real worker processes: they answer, miss deadlines, die, are killed, and leave nobody behind.

Most pools here serve ``builtins:eval``: a request is then an expression that a worker evaluates.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from bakeoff.errors import UsageError
from bakeoff.rewards.workers import WorkerFailed, WorkerPool, WorkerTimeout

LONG = 30.0  # a deadline that only a hang would meet
PID = "__import__('os').getpid()"
SERVER_PID = "__import__('os').getppid()"
SLEEP = "__import__('time').sleep(60)"
IMPORTABLE = "import os, signal, sys, time; from bakeoff.rewards.workers import WorkerPool\n"


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool("builtins:eval", workers=1, memory_mib=256) as made:
        yield made


@pytest.fixture
def pair() -> Iterator[WorkerPool]:
    with WorkerPool("builtins:eval", workers=2) as made:
        yield made


def ask(pool: WorkerPool, expression: str) -> Any:
    return pool.call(expression, deadline_s=LONG)


def eventually(true: Callable[[], bool]) -> bool:
    """Return whether something becomes true within 10 s."""
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie that nobody has reaped yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def noting(file: Path, then: str) -> str:
    """Return an expression that adds the worker's process id to a file, then does something."""
    return f"[open({str(file)!r}, 'a').write(str({PID}) + '\\n'), {then}][-1]"


def noted(file: Path) -> list[int]:
    text = file.read_text() if file.exists() else ""
    return [int(line) for line in text.split("\n")[:-1]]


def host(code: str, *argv: str) -> subprocess.Popen[str]:
    """Start a script that uses a pool."""
    command = [sys.executable, "-c", IMPORTABLE + code, *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_the_function_gets_the_request_and_its_answer_comes_back() -> None:
    request = {"deep": [1, 2.5, None, "é\n\ud800"], "": {}}

    with WorkerPool("copy:deepcopy", workers=1) as pool:
        answer = pool.call(request, deadline_s=LONG)

    assert answer == request


def test_a_worker_serves_many_requests_and_only_as_many_start_as_are_needed(
    pair: WorkerPool,
) -> None:
    assert len({ask(pair, PID) for _ in range(5)}) == 1
    assert (pair.started, pair.replaced, pair.timeouts) == (1, 0, 0)


def test_eight_threads_each_get_their_own_answers(pair: WorkerPool) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: ask(pair, f"{n} * {n}"), range(300)))

    assert answers == [n * n for n in range(300)]
    assert pair.started <= 2


def test_a_request_past_its_deadline_is_killed_with_its_children(
    pool: WorkerPool, tmp_path: Path
) -> None:
    child = "__import__('subprocess').Popen(['sleep', '60']).pid"
    request = f"[open({str(tmp_path / 'child')!r}, 'w').write(str({child}) + '\\n'), {SLEEP}]"
    worker = ask(pool, PID)
    start = time.monotonic()

    with pytest.raises(WorkerTimeout):
        pool.call(request, deadline_s=0.5)

    assert 0.5 <= time.monotonic() - start < 10
    [grandchild] = noted(tmp_path / "child")
    assert eventually(lambda: not alive(worker) and not alive(grandchild))
    assert ask(pool, PID) != worker
    assert (pool.started, pool.replaced, pool.timeouts) == (2, 1, 1)


def test_arithmetic_that_never_looks_at_a_signal_is_killed_too(pool: WorkerPool) -> None:
    start = time.monotonic()

    with pytest.raises(WorkerTimeout):  # one C call that takes minutes
        pool.call("10 ** 10 ** 9", deadline_s=0.3)

    assert time.monotonic() - start < 10


def test_waiting_for_a_free_worker_is_not_held_against_a_request(pool: WorkerPool) -> None:
    # one worker, four requests of 0.4 s: the last waits 1.2 s, more than its deadline of 1.1 s
    nap = "__import__('time').sleep(0.4)"

    with ThreadPoolExecutor(4) as threads:
        naps = [threads.submit(pool.call, nap, deadline_s=1.1) for _ in range(4)]
        answers = [nap.result() for nap in naps]

    assert answers == [None] * 4


def test_an_exception_of_the_function_comes_back_by_name_and_the_worker_stays() -> None:
    with WorkerPool("math:sqrt", workers=1) as pool:
        with pytest.raises(WorkerFailed, match="ValueError: math domain error") as caught:
            pool.call(-1, deadline_s=LONG)

        assert caught.value.type_name == "ValueError"
        assert pool.call(4, deadline_s=LONG) == 2.0
        assert pool.started == 1


def test_even_an_exit_is_only_an_exception(pool: WorkerPool) -> None:
    with pytest.raises(WorkerFailed, match="SystemExit"):
        ask(pool, "exit(3)")

    assert ask(pool, "1") == 1
    assert pool.started == 1


def test_an_answer_that_is_not_json_is_a_failure(pool: WorkerPool) -> None:
    with pytest.raises(WorkerFailed, match="set is not JSON serializable"):
        ask(pool, "{1}")


@pytest.mark.parametrize("bomb", ["bytes(2**30)", "[bytes(2**20) for _ in iter(int, 1)]"])
def test_a_memory_bomb_meets_the_limit_and_its_worker_is_replaced(
    pool: WorkerPool, bomb: str
) -> None:
    worker = ask(pool, PID)

    with pytest.raises(WorkerFailed, match="256 MiB") as caught:
        ask(pool, bomb)

    assert caught.value.type_name == "MemoryError"
    assert ask(pool, PID) != worker


def test_the_cpu_limit_is_for_each_request_and_not_for_the_workers_life() -> None:
    # A busy 0.6 s, three times over, is more than the limit of 1 s; each alone is less. The limit
    # is rounded up to a full second of the worker's clock, so the endless loop ends at 3 or 4 s.
    with WorkerPool("builtins:eval", workers=1, cpu_s=1) as pool:
        clock = "__import__('time').process_time"
        busy = f"[*iter(lambda end={clock}() + 0.6: {clock}() > end, True)] and 0"
        assert [ask(pool, busy) for _ in range(3)] == [0, 0, 0]
        assert pool.started == 1

        with pytest.raises(WorkerFailed, match="1 s of CPU"):
            ask(pool, "all(1 for _ in iter(int, 1))")

        assert pool.started == 1


@pytest.mark.parametrize("bytes_sent", ["b'\\xff' * 8", "b'\\0\\0\\0\\2{]'", "b'\\0\\0\\0\\2{}'"])
def test_what_is_no_frame_is_a_failure_and_its_worker_is_replaced(
    pool: WorkerPool, bytes_sent: str
) -> None:
    # the worker's socket is the one socket among its descriptors
    is_socket = "__import__('stat').S_ISSOCK(__import__('os').stat(f'/dev/fd/{n}').st_mode)"
    sockets = (
        f"n for n in range(20) if __import__('os').path.exists(f'/dev/fd/{{n}}') and {is_socket}"
    )
    write = f"[__import__('os').write(n, {bytes_sent}) for n in [{sockets}]]"
    worker = ask(pool, PID)

    with pytest.raises(WorkerFailed, match="protocol"):
        ask(pool, write)

    assert ask(pool, PID) != worker


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


def test_asyncio_goes_on_while_workers_work(pair: WorkerPool) -> None:
    ask(pair, "0")

    async def main() -> tuple[list[object], float]:
        gaps = []

        async def tick() -> None:
            while True:
                start = time.monotonic()
                await asyncio.sleep(0.01)
                gaps.append(time.monotonic() - start)

        ticking = asyncio.create_task(tick())
        request = "__import__('time').sleep(1) or {}"
        answers = [pair.acall(request.format(n), deadline_s=LONG) for n in range(4)]
        found = await asyncio.gather(*answers)
        ticking.cancel()
        return found, max(gaps)

    answers, longest_gap = asyncio.run(main())

    # each call takes 1 s: a loop that is blocked by one cannot tick for as long
    assert answers == [0, 1, 2, 3]
    assert longest_gap < 0.9


def test_a_deadline_reaches_asyncio_as_an_exception(pool: WorkerPool) -> None:
    with pytest.raises(WorkerTimeout):
        asyncio.run(pool.acall(SLEEP, deadline_s=0.2))


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


def test_a_worker_hears_nothing_and_prints_nowhere(pool: WorkerPool) -> None:
    null = "__import__('os').path.samefile(f'/dev/fd/{}', '/dev/null')"

    assert [ask(pool, null.format(n)) for n in range(3)] == [True, True, True]


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


def test_preloads_are_imported_before_the_first_request() -> None:
    with WorkerPool("builtins:eval", workers=1, preload=["colorsys"]) as pool:
        assert ask(pool, "'colorsys' in __import__('sys').modules")
    with WorkerPool("builtins:eval", workers=1) as pool:
        assert not ask(pool, "'colorsys' in __import__('sys').modules")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module:f", "workers cannot run no_such_module:f: ModuleNotFoundError"),
        ("math:no_such_function", "AttributeError"),
        ("math:pi", "math:pi cannot be called"),
    ],
)
def test_a_function_that_cannot_be_imported_is_named(target: str, message: str) -> None:
    with WorkerPool(target) as pool, pytest.raises(UsageError, match=message):
        pool.call(1, deadline_s=LONG)


def test_a_platform_without_fork_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")

    with WorkerPool("math:sqrt") as pool, pytest.raises(UsageError, match=sys.platform):
        pool.call(1, deadline_s=LONG)


@pytest.mark.parametrize(
    "arguments",
    [
        {"target": "math"},
        {"target": "math:sqrt", "workers": 0},
        {"target": "math:sqrt", "memory_mib": 0},
        {"target": "math:sqrt", "cpu_s": 0},
        {"target": "math:sqrt", "preload": "sympy"},
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        WorkerPool(**arguments)


@pytest.mark.parametrize("deadline_s", [0, -1, float("inf"), float("nan")])
def test_a_deadline_that_is_none_is_refused(pool: WorkerPool, deadline_s: float) -> None:
    with pytest.raises(ValueError, match="deadline_s"):
        pool.call("1", deadline_s=deadline_s)
