"""The checker works from threads, asyncio, other processes and vectors of environments, unchanged.

Most checks never leave the process. The ones here that do are sums of square roots that agree in so
many digits that sympy is asked; its worker may be killed at any time.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gymnasium
import pytest

import bakeoff.envs
from bakeoff.rewards.math import check, check_many
from bakeoff.rewards.math.equality import symbolic
from bakeoff.rewards.math.expressions import parse

PAIRS = [  # gold, reply, whether they are equal: every tier takes part
    *[("85", "85", True), ("85", "86", False), (r"\frac{1}{2}", "0.5", True)],
    *[("x^2-1", "(x-1)(x+1)", True), ("x^2-1", "(x-1)^2", False), (r"\{1,2\}", "2, 1", True)],
    *[(r"\sqrt{5+2\sqrt{6}}", r"\sqrt2+\sqrt3", True), (r"\sin 2x", r"2\sin x\cos x", True)],
    *[("[0,1)", r"0 \le x < 1", True), (r"e^{i\pi}", "-1", True), ("3", "3 or 4", False)],
]


def verdicts(_: object = None) -> list[bool | None]:
    return [check(gold, rf"\boxed{{{reply}}}").correct for gold, reply, _ in PAIRS]


EXPECTED = [equal for _, _, equal in PAIRS]


def decided(_: object = None) -> bool | None:
    """Have sympy decide something, in its worker."""
    return symbolic.decided_by_sympy(parse(r"\sum_{k=1}^{n} k"), parse("n(n+1)/2"))


def test_many_pairs_have_the_verdicts_of_each() -> None:
    pairs = [(gold, reply) for gold, reply, _ in PAIRS] * 3

    assert [verdict.correct for verdict in check_many(pairs)] == EXPECTED * 3
    # equal pairs are compared once, so they share one verdict
    assert len({id(verdict) for verdict in check_many(pairs)}) == len(PAIRS)


def test_from_a_thread_pool() -> None:
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(verdicts, range(24))) == [EXPECTED] * 24
        assert set(threads.map(decided, range(4))) == {True}


def test_from_asyncio() -> None:
    async def both() -> list[object]:
        return await asyncio.gather(
            *(asyncio.to_thread(verdicts) for _ in range(4)), asyncio.to_thread(decided)
        )

    assert asyncio.run(both()) == [EXPECTED] * 4 + [True]


@pytest.mark.alone
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_from_another_process(method: str) -> None:
    decided()  # so that a forked child inherits a pool that it must not use
    with multiprocessing.get_context(method).Pool(1) as processes:
        assert processes.map(verdicts, range(2)) == [EXPECTED] * 2
        assert processes.apply(decided) is True


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_from_a_process_forked_while_threads_are_checking() -> None:
    stop = threading.Event()

    def keep_checking(number: int) -> None:
        for k in itertools.count(number, 3):  # never the same, for the same would be remembered
            check(r"\sin^2 1 + \cos^2 1", rf"\boxed{{\sin^2 {k} + \cos^2 {k}}}")
            if stop.is_set():
                return

    threads = [threading.Thread(target=keep_checking, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            with multiprocessing.get_context("fork").Pool(1) as processes:
                # a lock that another thread held at the fork would never open in the child
                assert processes.apply_async(verdicts).get(timeout=30) == EXPECTED
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_no_signal_is_touched() -> None:
    def unused(number: int, frame: object) -> None:
        pytest.fail("the alarm rang")

    before = signal.signal(signal.SIGALRM, unused)
    signal.setitimer(signal.ITIMER_REAL, 60)
    try:
        assert verdicts() == EXPECTED and decided() is True

        assert signal.getsignal(signal.SIGALRM) is unused
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def workers_of(process: int) -> list[int]:
    """Return the server and the workers that descend from a process."""
    children = Path(f"/proc/{process}/task").glob("*/children")
    found = [int(child) for file in children for child in file.read_text().split()]
    ours = [c for c in found if b"worker_server" in Path(f"/proc/{c}/cmdline").read_bytes()]
    return ours + [below for child in ours for below in workers_of(child)]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads /proc")
def test_a_worker_killed_from_outside_is_replaced_and_no_verdict_is_lost() -> None:
    assert decided() is True
    with ThreadPoolExecutor(1) as threads:
        for _ in range(3):
            answers = threads.map(decided, range(20))
            for victim in workers_of(os.getpid()):
                try:
                    os.kill(victim, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            assert set(answers) == {True}


def test_without_workers_sympy_cannot_tell_and_nothing_else_changes() -> None:
    symbolic.pool().close()
    try:
        assert decided() is None
        assert verdicts() == EXPECTED
    finally:
        symbolic._pool.cache_clear()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_under_a_vector_of_environments(mode: str) -> None:
    options = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}
    options |= {"shared_memory": False, "context": "spawn"} if mode == "async" else {}
    vector = gymnasium.make_vec(
        "bakeoff.envs:bakeoff/Fractions-v0", 2, vectorization_mode=mode, vector_kwargs=options
    )
    try:
        _, info = vector.reset(seed=[1, 2])
        env = bakeoff.envs.make("bakeoff/Fractions-v0")
        asked = [env.item(int(index), "train") for index in info["index"]]
        _, rewards, *_ = vector.step((asked[0].gold, r"\boxed{no idea}"))

        assert rewards.tolist() == [1.0, 0.0]
    finally:
        vector.close()


def test_time_is_told_in_seconds() -> None:
    start = time.perf_counter()
    verdict = check("x^2-2", r"\boxed{(x-\sqrt2)(x+\sqrt2)}")

    assert 0 < verdict.seconds <= time.perf_counter() - start
