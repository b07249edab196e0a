"""Two answers are the same, or differ, whichever of them is the gold."""

from __future__ import annotations

from hypothesis import settings

from bakeoff.rewards.math import check

quick = settings(derandomize=True, deadline=None, max_examples=40, database=None)


def same(left: str, right: str) -> None:
    for gold, reply in ((left, right), (right, left)):
        verdict = check(gold, reply)
        assert verdict.correct is True, f"{gold!r} is {reply!r}, not: {verdict}"


def differ(left: str, right: str) -> None:
    for gold, reply in ((left, right), (right, left)):
        verdict = check(gold, reply)
        assert verdict.correct is False, f"{gold!r} is not {reply!r}, not: {verdict}"
