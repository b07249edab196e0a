"""Honest programs with tests, for timing: short, each different from all others, all of them right.

A program is one of the functions below with a constant of its own. They run here as well, which
gives the expected values.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from typing import NamedTuple

STDIN = "5 stdin cases"
LOOP = "3 asserts in a loop"
KINDS = {"3 calls": 3, "20 calls": 20, "3 asserts": 3, LOOP: 3, STDIN: 5}
"""The kinds of job, and how many tests each has.

"3 asserts" are of the form ``assert f(literal) == literal``, which a scorer may turn into calls;
those in a loop are the same checks as a script that has to be run as it stands.
"""


class Job(NamedTuple):
    """A program that defines ``solve``, and what it must answer."""

    program: str
    cases: list[tuple[list[int], object]]


def rotated(xs: list[int], k: int) -> list[int]:
    """Return the numbers with the first k of them moved to the end."""
    k %= max(1, len(xs))
    return xs[k:] + xs[:k]


def pairs(xs: list[int], k: int) -> int:
    """Return how many pairs have a sum that leaves k when divided by k + 1."""
    seen: dict[int, int] = {}
    count = 0
    for x in xs:
        count += seen.get((k - x) % (k + 1), 0)
        seen[x % (k + 1)] = seen.get(x % (k + 1), 0) + 1
    return count


def runs(xs: list[int], k: int) -> list[list[int]]:
    """Return the quotients by k as [quotient, times in a row]."""
    found: list[list[int]] = []
    for x in xs:
        if found and found[-1][0] == x // k:
            found[-1][1] += 1
        else:
            found.append([x // k, 1])
    return found


def digits(xs: list[int], k: int) -> str:
    """Return the numbers written in base k."""
    words = []
    for x in xs:
        word = []
        while x:
            x, rest = divmod(x, k)
            word.append(str(rest))
        words.append(".".join(reversed(word)) or "0")
    return " ".join(words)


def primes(xs: list[int], k: int) -> list[bool]:
    """Return for each number whether it is a prime when k is added."""
    limit = max(xs) + k + 1
    sieve = [False, False] + [True] * limit
    for n in range(2, int(limit**0.5) + 1):
        if sieve[n]:
            sieve[n * n :: n] = [False] * len(sieve[n * n :: n])
    return [sieve[x + k] for x in xs]


def rising(xs: list[int], k: int) -> int:
    """Return the length of the longest sequence that rises by at most k a step."""
    best = [1] * len(xs)
    for i in range(len(xs)):
        for j in range(i):
            if xs[j] < xs[i] and xs[i] - xs[j] <= k:
                best[i] = max(best[i], best[j] + 1)
    return max(best, default=0)


SOLUTIONS: tuple[Callable[[list[int], int], object], ...] = (
    rotated,
    pairs,
    runs,
    digits,
    primes,
    rising,
)


def jobs(kind: str, count: int, seed: int) -> list[Job]:
    """Return that many jobs of a kind, no two programs alike; the same ones for the same seed."""
    return [_job(kind, count * seed + index) for index in range(count)]


def _job(kind: str, number: int) -> Job:
    rng = random.Random(f"code_jobs/{kind}/{number}")
    function, constant = SOLUTIONS[number % len(SOLUTIONS)], 2 + number
    program = f"{inspect.getsource(function)}\n\ndef solve(xs):\n    return "
    program += f"{function.__name__}(xs, {constant})\n"
    if kind == STDIN:
        program = f"import sys\n\n\n{program}\n\nfor line in sys.stdin:\n"
        program += "    print(solve([int(word) for word in line.split()]))\n"
    inputs = [[rng.randrange(1000) for _ in range(rng.randint(3, 12))] for _ in range(KINDS[kind])]
    return Job(program, [(xs, function(list(xs), constant)) for xs in inputs])


def script(kind: str, job: Job) -> str:
    """Return the job's tests as a script that defines ``check(candidate)``."""
    if kind == LOOP:
        return (
            f"CASES = {job.cases!r}\n\n\ndef check(candidate):\n    for xs, expected in CASES:\n"
            "        assert candidate(xs) == expected\n"
        )
    lines = [f"    assert candidate({xs!r}) == {expected!r}" for xs, expected in job.cases]
    return "\n".join(["def check(candidate):", *lines, ""])


def wrong(job: Job) -> Job:
    """Return the job with a program that answers nothing."""
    return job._replace(program="def solve(xs):\n    return None\n")
