"""What the timing of rewards for code rests on: distinct right programs, all CPU time."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in ("code_exec", "code_scorers", "code_jobs"):
        sys.modules.pop(name, None)


def test_no_two_programs_are_alike_within_a_round_and_from_round_to_round(module: Any) -> None:
    jobs = module("code_jobs").jobs

    programs = [job.program for seed in range(3) for job in jobs("3 calls", 100, seed)]

    assert len(set(programs)) == 300


def test_both_scorers_get_the_same_jobs(module: Any) -> None:
    jobs = module("code_jobs").jobs

    # a job is made in the process that times it, of its kind and number alone
    assert jobs("20 calls", 8, 1) == jobs("20 calls", 8, 1)


def test_every_program_answers_what_its_tests_expect_and_the_wrong_one_does_not(
    module: Any,
) -> None:
    code_jobs, scorers = module("code_jobs"), module("code_scorers")
    judge = scorers.plain_judge()
    jobs = code_jobs.jobs(code_jobs.STDIN, len(code_jobs.SOLUTIONS), 0)

    assert [judge(job) for job in jobs] == [True] * len(code_jobs.SOLUTIONS)
    assert not judge(code_jobs.wrong(jobs[0]))


def test_a_script_holds_every_test_of_its_job(module: Any) -> None:
    code_jobs = module("code_jobs")
    (job,) = code_jobs.jobs("20 calls", 1, 0)

    assert code_jobs.script("20 calls", job).count("assert candidate(") == 20


def test_cpu_time_of_children_counts_while_they_live_and_after(module: Any) -> None:
    family_cpu_s = module("code_exec").family_cpu_s
    before = family_cpu_s()
    code = "while __import__('time').process_time() < 0.3: pass\nprint(flush=True)\ninput()"

    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    alive = family_cpu_s()
    child.communicate(b"\n")

    # the child has used 0.3 s; a clock tick is 0.01 s
    assert alive - before > 0.25
    assert family_cpu_s() - before > 0.25


def test_a_judge_that_calls_a_right_program_wrong_ends_the_benchmark(module: Any) -> None:
    code_exec, jobs = module("code_exec"), module("code_jobs").jobs

    with pytest.raises(ValueError, match="2 of 4 right programs failed"):
        answers = iter([True, False, True, False])
        code_exec.judged_by_threads(lambda job: next(answers), jobs("3 calls", 4, 0), 1)


def test_latencies_are_of_every_job_and_of_the_job_alone(module: Any) -> None:
    code_exec, jobs = module("code_exec"), module("code_jobs").jobs

    def slow(job: object) -> bool:
        time.sleep(0.02)
        return True

    latencies = code_exec.judged_by_threads(slow, jobs("3 calls", 6, 0), 2)

    # 20 ms each, although two at a time wait; the sum of a thread's three would be 60 ms
    assert len(latencies) == 6
    assert min(latencies) >= 0.02
