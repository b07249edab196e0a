"""Requests to real worker processes: answers, deadlines, limits, errors, threads and asyncio."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from worker_requests import LONG, PID, SLEEP, alive, ask, eventually, noted

from bakeoff.errors import UsageError
from bakeoff.rewards.workers import WorkerFailed, WorkerPool, WorkerTimeout


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool("builtins:eval", workers=1, memory_mib=256) as made:
        yield made


@pytest.fixture
def pair() -> Iterator[WorkerPool]:
    with WorkerPool("builtins:eval", workers=2) as made:
        yield made


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
    # two busy 0.7 s are more than the limit of 1 s; each alone is less
    with WorkerPool("builtins:eval", workers=1, cpu_s=1) as pool:
        with pytest.raises(WorkerFailed, match="1 s of CPU"):
            ask(pool, "all(1 for _ in iter(int, 1))")
        clock = "__import__('time').process_time"
        busy = f"[*iter(lambda end={clock}() + 0.7: {clock}() > end, True)] and 0"

        assert [ask(pool, busy) for _ in range(2)] == [0, 0]
        assert pool.started == 2


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


def test_asyncio_goes_on_while_workers_work(pair: WorkerPool) -> None:
    async def main() -> tuple[list[object], int]:
        ticks = itertools.count()

        async def tick() -> None:
            while next(ticks) < 10**6:
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        request = "__import__('time').sleep(0.5) or {}"
        answers = [pair.acall(request.format(n), deadline_s=LONG) for n in range(4)]
        found = await asyncio.gather(*answers)
        ticking.cancel()
        return found, next(ticks)

    answers, ticks = asyncio.run(main())

    # 4 x 0.5 s by two workers are 1 s, or 100 ticks; a loop that is blocked ticks between the calls
    assert answers == [0, 1, 2, 3]
    assert ticks > 20


def test_a_deadline_reaches_asyncio_as_an_exception(pool: WorkerPool) -> None:
    with pytest.raises(WorkerTimeout):
        asyncio.run(pool.acall(SLEEP, deadline_s=0.2))


def test_a_worker_hears_nothing_and_prints_nowhere(pool: WorkerPool) -> None:
    null = "__import__('os').path.samefile(f'/dev/fd/{}', '/dev/null')"

    assert [ask(pool, null.format(n)) for n in range(3)] == [True, True, True]


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
