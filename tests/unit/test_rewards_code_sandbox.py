"""The sandbox in use: many at a time, memory of verdicts, failures, its end, and its levels."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from code_hosts import LONG, NINE, SLEEPER, SLOW, SQUARE, changed, children, host, squares
from worker_requests import alive, eventually

from bakeoff.errors import UsageError
from bakeoff.rewards.code import (
    AssertTests,
    Call,
    CallTests,
    Limits,
    Sandbox,
    SandboxUnavailable,
    Score,
    ascore,
    levels,
    score,
    score_many,
)
from bakeoff.rewards.code.cage import Cage


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    try:
        with Sandbox(workers=2) as sandbox:
            assert sandbox.level in levels.CONTAINED
            yield sandbox
    except SandboxUnavailable as error:
        pytest.skip(f"no sandbox on this machine: {error}")


@pytest.fixture
def single(shared: Sandbox) -> Iterator[Sandbox]:
    with Sandbox(workers=1) as sandbox:
        yield sandbox


def test_any_number_of_threads_can_score_at_once(shared: Sandbox) -> None:
    def share(n: int) -> float:
        tests = CallTests("f", [Call((n,), n * n), Call((n,), n * n + n % 2)])
        return score(squares(), tests, sandbox=shared).parts["passed"]

    with ThreadPoolExecutor(8) as threads:
        shares = list(threads.map(share, range(24)))

    # the second call expects n^2 for even n, and n^2 + 1 for odd
    assert shares == [1.0, 0.5] * 12
    assert shared.started <= 2


def test_many_verdicts_are_in_the_order_of_the_jobs(shared: Sandbox) -> None:
    jobs = [(squares(), CallTests("f", [Call((n,), n * n if n % 3 else -1)])) for n in range(12)]

    verdicts = score_many(jobs, sandbox=shared)

    assert [verdict.parts["all"] for verdict in verdicts] == [0.0, 1.0, 1.0] * 4


def test_scoring_does_not_block_an_event_loop(shared: Sandbox) -> None:
    async def ticks_meanwhile() -> tuple[int, list[Score]]:
        jobs = asyncio.gather(*(ascore(f"{SLOW}  # {n}", NINE, sandbox=shared) for n in range(2)))
        ticks = 0
        while not jobs.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks, await jobs

    ticks, verdicts = asyncio.run(ticks_meanwhile())

    # the programs take a second; a blocked loop ticks once or twice
    assert ticks > 10
    assert [verdict.statuses for verdict in verdicts] == [("passed",)] * 2


def test_a_verdict_is_remembered(shared: Sandbox) -> None:
    program = squares()

    assert score(program, NINE, sandbox=shared) is score(program, NINE, sandbox=shared)


def test_a_verdict_is_remembered_for_its_program_and_its_tests_alone(shared: Sandbox) -> None:
    program, other_limits = squares(), replace(NINE, limits=Limits(seconds=39))
    verdict = score(program, NINE, sandbox=shared)

    assert score(program + " ", NINE, sandbox=shared) is not verdict
    assert score(program, other_limits, sandbox=shared) is not verdict
    assert score(program, NINE, stop_early=True, sandbox=shared) is not verdict
    assert score(program, NINE, runs=2, sandbox=shared) is not verdict


def test_tests_that_are_equal_but_not_the_same_have_verdicts_of_their_own(shared: Sandbox) -> None:
    # 1 == True and 0.0 == -0.0, but programs can tell
    program = "def f(x): return str(x)"
    asked = [(1, "1"), (True, "True"), (0.0, "0.0"), (-0.0, "-0.0"), (1.0, "1.0")]

    for argument, answer in asked:
        tests = CallTests("f", [Call((argument,), answer)], limits=LONG)

        assert score(program, tests, sandbox=shared).statuses == ("passed",)


def test_a_test_that_ends_differently_is_flaky_and_not_passed(shared: Sandbox) -> None:
    # 40 fair coins, three times: that none of them changes has the chance (1/4)^40
    tests = CallTests("f", [Call((0,), 0), *[Call((2,), 0)] * 40], limits=LONG)
    coin = "import os\ndef f(n): return os.urandom(1)[0] % n if n else 0"

    verdict = score(coin, tests, runs=3, sandbox=shared)

    assert verdict.flaky
    assert 0 not in verdict.flaky
    passed = {n for n, status in enumerate(verdict.statuses) if status == "passed"}
    assert verdict.parts["passed"] == len(passed - {*verdict.flaky}) / 41


def test_what_a_program_can_know_is_the_same_in_every_run_and_server(shared: Sandbox) -> None:
    program = """
import locale, os, random, sys, time
def f():
    return [str({"a", "b", "c", "d"}), random.random(), hash("x"), time.tzname, time.timezone,
            locale.getlocale(), sys.getrecursionlimit(), sorted(os.environ), os.getcwd(), sys.argv]
"""
    asking = CallTests("f", [Call((), "?")], limits=LONG)

    with Sandbox(workers=1) as other:
        runs = [score(program, asking, runs=2, sandbox=sandbox) for sandbox in (shared, other)]

    first, second = (run.failure.got for run in runs if run.failure)
    assert first == second
    assert [run.flaky for run in runs] == [(), ()]


def test_no_signal_handler_of_the_host_is_touched(single: Sandbox) -> None:
    before = [signal.getsignal(number) for number in signal.valid_signals()]

    score(SQUARE, NINE, sandbox=single)
    single.close()

    assert [signal.getsignal(number) for number in signal.valid_signals()] == before


def test_importing_and_making_a_sandbox_start_nothing() -> None:
    code = (
        "import subprocess\n"
        "def refuse(*args, **kwargs): raise AssertionError('a process was started')\n"
        "subprocess.Popen = os.fork = refuse\n"
        "print(Sandbox().started)\n"
    )

    out, _ = host(code).communicate(timeout=60)

    assert out.split() == ["0"]


def test_a_pickled_sandbox_has_not_started(shared: Sandbox) -> None:
    copy = pickle.loads(pickle.dumps(shared))  # noqa: S301 - made here

    assert (shared.workers, copy.workers, copy.started) == (2, 2, 0)


def test_a_closed_sandbox_gives_a_reason(single: Sandbox) -> None:
    single.close()

    verdict = score(SQUARE, NINE, sandbox=single)

    assert (verdict.reason, verdict.parts) == ("the sandbox is closed", {})


def test_closing_ends_what_runs_without_a_verdict(single: Sandbox) -> None:
    with ThreadPoolExecutor(1) as thread:
        verdict = thread.submit(score, SLEEPER, NINE, sandbox=single)
        assert eventually(lambda: bool(single.pids()) and bool(children(single.pids()[1])))
        single.close()

        assert verdict.result().reason
    assert single.pids() == []


def test_a_server_that_starts_while_the_sandbox_is_closed_does_not_stay(
    single: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Cage] = []

    def closing(level: str | None) -> Cage:
        made.append(levels.opened(level))
        single.close()
        return made[0]

    monkeypatch.setattr("bakeoff.rewards.code.sandbox.opened", closing)

    verdict = score(SQUARE, NINE, sandbox=single)

    assert verdict.reason == "the sandbox is closed"
    assert not any(map(alive, made[0].pids()))


def test_two_failures_are_a_reason_and_no_verdict(
    single: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the first order of each server is the proof that it holds, so the second one fails
    failing = """
real = nest._Nest._start_all
def once(self, order, passed):
    return (real if order["number"] == 1 else refuse)(self, order, passed)
nest._Nest._start_all = once
"""
    with monkeypatch.context() as patch:
        patch.setattr(levels, "Cage", changed(tmp_path, failing))
        verdict = score(SQUARE, NINE, sandbox=single)

    assert (verdict.statuses, verdict.parts) == ((), {})
    assert "not today" in verdict.reason
    assert (single.started, single.broken) == (2, 2)
    # it is not remembered: a server that works gives a verdict
    assert score(SQUARE, NINE, sandbox=single).statuses == ("passed",)


def test_tests_that_cannot_be_run_are_a_reason_and_break_nothing(single: Sandbox) -> None:
    # a generator of the tests cannot be sent to the program, whatever that is
    tests = AssertTests(["assert f(x for x in [3]) == 9"], limits=LONG)

    verdict = score("def f(xs): return sum(x * x for x in xs)", tests, sandbox=single)

    assert "generator" in verdict.reason
    assert (single.started, single.broken) == (1, 0)


@pytest.mark.parametrize("level", levels.LEVELS)
def test_every_level_gives_the_same_verdicts(level: str) -> None:
    tests = CallTests("f", [Call((3,), 9), Call((2,), 5)], limits=LONG)
    with Sandbox(workers=1, level=level) as sandbox:
        try:
            verdict = score(SQUARE, tests, sandbox=sandbox)
        except SandboxUnavailable as error:
            pytest.skip(f"{level} cannot be had here: {error}")

        assert verdict.statuses == ("passed", "wrong")
        assert sandbox.level == level


@pytest.mark.parametrize(("value", "level"), [("none", "none"), ("auto", None), ("", None)])
def test_the_variable_of_the_environment_chooses_the_level(
    value: str, level: str | None, shared: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(levels.VARIABLE, value)
    with Sandbox(workers=1) as sandbox:
        assert sandbox.level == (level or shared.level)


def test_a_typo_in_the_variable_is_no_sandbox_of_any_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(levels.VARIABLE, "nome")
    with Sandbox(workers=1) as sandbox, pytest.raises(UsageError, match="nome"):
        score(SQUARE, NINE, sandbox=sandbox)


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ("namespaces.unshare = refuse\nlandlock.version = lambda: 0", "no Landlock"),
        ("seccomp.install_common = lambda **_: None", "a program could do"),
    ],
)
def test_what_cannot_be_contained_is_not_run(
    change: str, missing: str, single: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where both levels are refused, and where both start but do not hold."""
    monkeypatch.setattr(levels, "Cage", changed(tmp_path, change))

    with pytest.raises(SandboxUnavailable) as raised:
        score(SQUARE, NINE, sandbox=single)

    for part in ("namespaces: ", "landlock: ", missing, "--sandbox none"):
        assert part in str(raised.value)
    assert single.started == 0
    assert single.pids() == []


def test_the_ranks_of_a_run_share_the_cores_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    workers = []
    for ranks in (1, 2, 4, 8):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
        workers.append(Sandbox().workers)

    # six cores: 6 / 1, 6 / 2, 6 / 4 without the rest, and one at least
    assert workers == [6, 3, 1, 1]
