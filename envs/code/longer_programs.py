"""Programs that take more than adding up a list, each with lines to get wrong."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from bakeoff.envs.code.programs import (
    WIDE,
    Program,
    one_large,
    one_list,
    one_number,
    one_string,
    two_numbers,
)


def _error(n: int, *args: object) -> object:
    raise ValueError("the program ends with an error")


def _fibonacci(first: int, second: int) -> Iterator[int]:
    while True:
        yield first
        first, second = second, first + second


def _nth(values: Iterator[int], n: int) -> int:
    return next(itertools.islice(values, n, None))


def _first_above(n: int, a: list[int]) -> int:
    return next((i for i, v in enumerate(a) if v > n), -1)


def _without_repeats(s: str) -> str:
    return "".join(letter for letter, _ in itertools.groupby(s))


LONGER = (
    Program(
        "the largest difference between two neighbours in a, plus {n}",
        "f(a)",
        """\
    best = 0
    for i in range(len(a) - 1):
        _
    return best + {n}""",
        "best = max(best, abs(a[i] - a[i + 1]))",
        lambda n, a: max(abs(p - q) for p, q in itertools.pairwise(a)) + n,
        (
            ("best = min(best, abs(a[i] - a[i + 1]))", lambda n, a: n),
            ("best = abs(a[i] - a[i + 1])", lambda n, a: abs(a[-2] - a[-1]) + n),
            ("best = max(best, abs(a[i] - a[i]))", lambda n, a: n),
        ),
        one_list,
        WIDE,
    ),
    Program(
        "the sum of the digits of x, times {n}",
        "f(x)",
        """\
    total = 0
    while x > 0:
        _
        x //= 10
    return total * {n}""",
        "total += x % 10",
        lambda n, x: sum(map(int, str(x))) * n,
        (
            ("total += x // 10", lambda n, x: sum(x // 10**k for k in range(1, len(str(x)))) * n),
            ("total = x % 10", lambda n, x: int(str(x)[0]) * n),
            ("total += 1", lambda n, x: len(str(x)) * n),
        ),
        one_large,
        WIDE,
    ),
    Program(
        "the position in a, from 0, of the first number above {n}, or -1 if there is none",
        "f(a)",
        """\
    for i, v in enumerate(a):
        if v > {n}:
            _
    return -1""",
        "return i",
        _first_above,
        (
            ("return v", lambda n, a: next((v for v in a if v > n), -1)),
            ("break", lambda n, a: -1),
            ("return i + 1", lambda n, a: _first_above(n, a) + (max(a) > n)),
        ),
        one_list,
    ),
    Program(
        "number x, from 0, of the sequence 0, {n}, ... where each is the sum of the two before",
        "f(x)",
        """\
    p, q = 0, {n}
    for i in range(x):
        _
    return p""",
        "p, q = q, p + q",
        lambda n, x: _nth(_fibonacci(0, n), x),
        (
            ("p, q = q, q + q", lambda n, x: n * 2 ** (x - 1)),
            ("p, q = q, p", lambda n, x: (0, n)[x % 2]),
            ("p = p + q", lambda n, x: n * x),
        ),
        one_number,
        WIDE,
    ),
    Program(
        "the greatest common divisor of x and y, times {n}",
        "f(x, y)",
        """\
    while y:
        x, y = y, x % y
    _""",
        "return x * {n}",
        lambda n, x, y: math.gcd(x, y) * n,
        (
            ("return y * {n}", lambda n, x, y: 0),
            ("return x + {n}", lambda n, x, y: math.gcd(x, y) + n),
            ("return x", lambda n, x, y: math.gcd(x, y)),
        ),
        two_numbers,
        WIDE,
    ),
    Program(
        "s with each run of the same letter cut to one letter, written {n} times",
        "f(s)",
        """\
    kept = ""
    for c in s:
        _
            kept += c
    return kept * {n}""",
        "if kept[-1:] != c:",
        lambda n, s: _without_repeats(s) * n,
        (
            ("if c not in kept:", lambda n, s: "".join(dict.fromkeys(s)) * n),
            ("if kept[-1:] == c:", lambda n, s: ""),
            ("if kept[-1] != c:", _error),
        ),
        one_string,
    ),
    Program(
        "the largest number of a so far at each place, plus {n}",
        "f(a)",
        """\
    best, found = a[0], []
    for v in a:
        best = max(best, v)
        _
    return found""",
        "found.append(best + {n})",
        lambda n, a: [max(a[: i + 1]) + n for i in range(len(a))],
        (
            ("found.append(v + {n})", lambda n, a: [v + n for v in a]),
            ("found = [best + {n}]", lambda n, a: [max(a) + n]),
            ("found.append(best)", lambda n, a: [max(a[: i + 1]) for i in range(len(a))]),
        ),
        one_list,
        WIDE,
    ),
)
