"""Loops over a list that add up, count or collect, each with lines to get wrong."""

from __future__ import annotations

from bakeoff.envs.code.programs import WIDE, Program, one_list

SUM_ABOVE = """\
    total = 0
    for v in a:
        if v > {n}:
            _
    return total"""
SUM_WHERE = """\
    total = 0
    for v in a:
        _
            total += v
    return total"""
SUM_PLUS = """\
    _
    for v in a:
        total += v
    return total"""
DOUBLED = """\
    found = []
    for v in a:
        _
    return found"""

LOOPS = (
    Program(
        "the sum of the numbers in a above {n}",
        "f(a)",
        SUM_ABOVE,
        "total += v",
        lambda n, a: sum(v for v in a if v > n),
        (
            ("total = v", lambda n, a: [0, *(v for v in a if v > n)][-1]),
            ("total -= v", lambda n, a: -sum(v for v in a if v > n)),
            ("total += 1", lambda n, a: sum(v > n for v in a)),
        ),
        one_list,
    ),
    Program(
        "how many numbers in a are above {n}",
        "f(a)",
        SUM_ABOVE,
        "total += 1",
        lambda n, a: sum(v > n for v in a),
        (
            ("total += v", lambda n, a: sum(v for v in a if v > n)),
            ("total = 1", lambda n, a: int(max(a) > n)),
        ),
        one_list,
    ),
    Program(
        "the sum of the numbers in a below {n}",
        "f(a)",
        SUM_WHERE,
        "if v < {n}:",
        lambda n, a: sum(v for v in a if v < n),
        (
            ("if v > {n}:", lambda n, a: sum(v for v in a if v > n)),
            ("if v == {n}:", lambda n, a: sum(v for v in a if v == n)),
        ),
        one_list,
    ),
    Program(
        "the sum of a, plus {n}",
        "f(a)",
        SUM_PLUS,
        "total = {n}",
        lambda n, a: sum(a) + n,
        (
            ("total = 0", lambda n, a: sum(a)),
            ("total = -{n}", lambda n, a: sum(a) - n),
            ("total = a[{n}]", lambda n, a: sum(a) + a[n]),
        ),
        one_list,
        WIDE,
    ),
    Program(
        "the list of the numbers in a, each times {n}",
        "f(a)",
        DOUBLED,
        "found.append(v * {n})",
        lambda n, a: [v * n for v in a],
        (
            ("found.append(v + {n})", lambda n, a: [v + n for v in a]),
            ("found = v * {n}", lambda n, a: a[-1] * n),
            ("found.append(a * {n})", lambda n, a: [a * n for _ in a]),
        ),
        one_list,
        WIDE,
    ),
)
