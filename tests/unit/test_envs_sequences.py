"""Sequences: whatever rule fits the terms that are shown, the answer is the same."""

from __future__ import annotations

import itertools
import re
from fractions import Fraction

import pytest

from bakeoff.envs.math.sequences import Sequences


def continuations(terms: list[int], index: int) -> set[int]:
    """What each rule that fits the terms says about the term with an index."""
    found = set()
    differences = [b - a for a, b in itertools.pairwise(terms)]
    second = {b - a for a, b in itertools.pairwise(differences)}
    if len(second) == 1:  # arithmetic or quadratic
        found.add(terms[0] + index * differences[0] + second.pop() * index * (index - 1) // 2)
    if terms[0] and len({Fraction(b, a) for a, b in itertools.pairwise(terms) if a}) == 1:
        found.add(int(terms[0] * Fraction(terms[1], terms[0]) ** index))
    if all(a + b == c for a, b, c in zip(terms, terms[1:], terms[2:], strict=False)):
        longer = list(terms)
        while len(longer) <= index:
            longer.append(longer[-2] + longer[-1])
        found.add(longer[index])
    return found


@pytest.mark.parametrize("level", Sequences.levels)
def test_every_rule_that_fits_a_sequence_gives_the_answer(level: int) -> None:
    env = Sequences(level=level)
    for item in map(env.item, range(300)):
        before, _, shown = item.prompt.partition("\n")[0].partition("sequence ")
        number = re.search(r"\d+", before)
        terms = [int(term) for term in shown.strip("?").split(", ")]
        index = int(number[0]) - 1 if number else len(terms)

        assert continuations(terms, index) == {int(item.answer)}, item.prompt
