"""Scoring: a program and tests in, a verdict out."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial

from bakeoff.errors import UsageError
from bakeoff.rewards.code import calls, scripts, splitting, stdio
from bakeoff.rewards.code.cage import Cage, CageBroken
from bakeoff.rewards.code.comparing import Equal, Undecided
from bakeoff.rewards.code.kinds import AssertTests, CallTests, CheckTests, StdioTests, Tests
from bakeoff.rewards.code.sandbox import Sandbox, default
from bakeoff.rewards.code.showing import shortened
from bakeoff.rewards.code.splitting import Question
from bakeoff.rewards.code.verdicts import ERROR, NOT_RUN, PASSED, Failure, Outcome, Run, Score

PROGRAM_CHARS = 2**20  # more is no program that anyone would write
_TRIES = 2
_REMEMBERED = 1024


def score(
    program: str,
    tests: Tests,
    *,
    stop_early: bool = False,
    runs: int = 1,
    sandbox: Sandbox | None = None,
) -> Score:
    """Run a program's tests in the sandbox. Blocks; safe to call from any thread.

    The program never meets the expected values: it gets arguments and gives results as plain data,
    which are compared outside of its process; assertions that are more than that run in a second
    contained process, which calls the program's functions. The verdict on the same program and
    tests is remembered.

    Args:
        program: Python text, from anyone.
        tests: what to run.
        stop_early: leave out the tests after the first that is not passed.
        runs: how often to run the tests; a test that ends differently is reported as flaky.
        sandbox: where to run them; by default one that this process shares.

    Returns:
        The verdict. If the sandbox failed, twice, it has a reason and no parts.

    Raises:
        SandboxUnavailable: programs cannot be contained on this machine.
        UsageError: an argument is out of range.

    Example:
        >>> from bakeoff.rewards.code import Call, CallTests
        >>> tests = CallTests("add", [Call((1, 2), 3), Call((2, 2), 4)])
        >>> score("def add(a, b): return 3", tests).parts
        {'passed': 0.5, 'all': 0.0, 'compiled': 1.0}
    """
    if runs < 1:
        raise UsageError(f"runs must be 1 or more, not {runs}")
    sandbox = default() if sandbox is None else sandbox
    key = _key(program, tests, stop_early)
    known = sandbox.remembered(key) if runs == 1 else None
    if known is not None:
        return known
    started = time.monotonic()
    found = [_scored(program, tests, stop_early, sandbox) for _ in range(runs)]
    verdict = next((one for one in found if one.reason), found[0])
    if not verdict.reason:
        statuses = [one.statuses for one in found]
        flaky = tuple(n for n, ends in enumerate(zip(*statuses, strict=True)) if len({*ends}) > 1)
        verdict = replace(verdict, flaky=flaky)
    verdict = replace(verdict, seconds=time.monotonic() - started)
    if not verdict.reason and runs == 1:
        sandbox.remember(key, verdict)
    return verdict


def score_many(
    jobs: Sequence[tuple[str, Tests]], *, stop_early: bool = False, sandbox: Sandbox | None = None
) -> list[Score]:
    """Score programs on all workers of the sandbox; the verdicts are in the order of the jobs.

    Raises:
        SandboxUnavailable: programs cannot be contained on this machine.
    """
    sandbox = default() if sandbox is None else sandbox
    one = partial(score, stop_early=stop_early, sandbox=sandbox)
    with ThreadPoolExecutor(sandbox.workers, "bakeoff-code") as threads:
        return list(threads.map(lambda job: one(*job), jobs))


async def ascore(
    program: str, tests: Tests, *, stop_early: bool = False, sandbox: Sandbox | None = None
) -> Score:
    """Do as ``score`` without blocking the event loop."""
    return await asyncio.to_thread(score, program, tests, stop_early=stop_early, sandbox=sandbox)


def _key(program: str, tests: Tests, stop_early: bool) -> str:
    text = f"{stop_early} {tests.fingerprint} {program}"
    return hashlib.blake2b(text.encode(errors="surrogatepass")).hexdigest()


def _scored(program: str, tests: Tests, stop_early: bool, sandbox: Sandbox) -> Score:
    if len(program) > PROGRAM_CHARS:
        outcome = Outcome(ERROR, f"the program has more than {PROGRAM_CHARS} characters")
        return _verdict(Run([outcome] * tests.count, False, {}), tests)
    reason = ""
    for _ in range(_TRIES):
        try:
            with sandbox.cage() as cage:
                try:
                    run = _run(cage, program, tests, stop_early)
                except scripts.Unjudged as error:  # the cage is sound
                    return Score((), reason=f"the tests cannot be run: {error}")
            return _verdict(run, tests)
        except CageBroken as error:
            reason = str(error)
    return Score((), reason=reason)


def _run(cage: Cage, program: str, tests: Tests, stop_early: bool) -> Run:
    if isinstance(tests, StdioTests):
        return stdio.run(cage, program, tests, stop_early=stop_early)
    asked = questions(tests)
    together = isinstance(tests, CheckTests)
    if asked is not None:
        try:
            run = calls.run(cage, program, asked, tests.limits,
                            stop_early=stop_early or together, together=together)  # fmt: skip
            return _as_one(run) if together else run
        except Undecided:
            pass
    assert isinstance(tests, AssertTests | CheckTests)
    return scripts.run(cage, program, tests, stop_early=stop_early)


def questions(tests: Tests) -> list[Question] | None:
    """Return tests as calls whose results can be compared outside, or ``None`` if they are not."""
    if isinstance(tests, CallTests):
        return [
            Question(tests.entry, call.args, dict(call.kwargs), Equal(call.expected, tests.close))
            for call in tests.calls
        ]
    return None if isinstance(tests, StdioTests) else _split(tests)


@lru_cache(maxsize=_REMEMBERED)
def _split(tests: AssertTests | CheckTests) -> list[Question] | None:
    if isinstance(tests, CheckTests):
        return splitting.of_check(tests.script, tests.entry)
    entries = splitting.tested_names(tests.asserts)
    return splitting.of_asserts(tests.asserts, tests.setup, entries)


def _as_one(run: Run) -> Run:
    failed = next((one for one in run.outcomes if one.status != PASSED), Outcome(PASSED))
    return run._replace(outcomes=[failed])


def _verdict(run: Run, tests: Tests) -> Score:
    statuses = tuple(outcome.status for outcome in run.outcomes)
    first = next((n for n, status in enumerate(statuses) if status not in (PASSED, NOT_RUN)), None)
    failure = None
    if first is not None:
        outcome = run.outcomes[first]
        asked, expected = _asked(tests, first)
        failure = Failure(first, outcome.status, outcome.message, asked, expected, outcome.got)
    return Score(statuses, run.compiled, failure=failure, refused=tuple(sorted(run.refused)))


def _asked(tests: Tests, test: int) -> tuple[str, str]:
    """Return what a test asked and what it expected, in words."""
    match tests:
        case CallTests():
            question = (questions(tests) or [])[test]
            return shortened(str(question)), str(question.expectation)
        case StdioTests():
            stdin, stdout = tests.cases[test]
            return shortened(stdin), shortened(stdout)
        case AssertTests():
            return shortened(tests.asserts[test]), ""
        case CheckTests():
            return f"check({tests.entry})", ""
