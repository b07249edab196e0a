"""Instructions and Needle: which replies meet a constraint, and where the needle is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, cast

import pytest

from bakeoff.envs.games.constraints import KINDS, Constraint, in_words, met
from bakeoff.envs.games.instructions import LEVELS as INSTRUCTION_LEVELS
from bakeoff.envs.games.instructions import Instructions
from bakeoff.envs.games.needle import LEVELS as NEEDLE_LEVELS
from bakeoff.envs.games.needle import Needle


def check(shape: str, kind: str, *values: Any) -> Callable[[str], bool]:
    return lambda reply: met(reply, shape, [Constraint(kind, values)]) == [True]


NUMBERS = {
    check("number", "digits", 3): (
        ["123", " 123\n"],
        ["12", "1234", "1.5", "-12", "one", "\u0661"],
    ),
    check("number", "starts", "4"): (["4", "47"], ["74", "4 7", "4,7"]),
    check("number", "ends", "7"): (["47", "<think>8</think>47"], ["74", "47.", "x = 47"]),
    check("number", "twice", "5"): (["55", "505"], ["5", "555", "5 5"]),
    check("number", "without", "5"): (["1", "99"], ["5", "15", ""]),
    check("number", "sum", 10): (["55", "19", "10009"], ["10", "1234567890"]),
}
WORDS = {
    check("words", "count", 3): (
        ["a b c", "One, two three."],
        ["a b", "a b c d", "a b 3", "a - b"],
    ),
    check("words", "starts", "red"): (["red box", "Red"], ["a red box", "redbox", ""]),
    check("words", "ends", "red"): (["it is red.", "red"], ["red it is", "red!", "a\nred"]),
    check("words", "without", "e"): (["a box"], ["red", "A BEE", ""]),
    check("words", "lower"): (["a box"], ["A box", ""]),
    check("words", "count", 10): ([], ["a b c d e f g h i j"]),
}
LISTS = {
    check("list", "count", 2): (
        ["- a\n- b c"],
        ["- a", "a\nb", "- a\n\n- b", "Here:\n- a\n- b", "- 1\n- 2"],
    ),
    check("list", "each", 2): (["- a b\n- c d"], ["- a b\n- c", "a b"]),
    check("list", "last", "red"): (["- a\n- b red", "- red."], ["- red\n- a"]),
    check("list", "without", "e"): (["- a\n- b"], ["- a\n- bee"]),
    check("list", "lower"): (["- a"], ["- A"]),
}
OBJECTS = {
    check("json", "keys", "a", "b"): (
        ['{"a": 1, "b": []}', '{"b":0,"a":0}'],
        [
            *('{"a": 1}', '{"a": 1, "b": 2, "c": 3}', '{"a": 1, "b": 2, "a": 3}'),
            *("{'a': 1, 'b': 2}", '[{"a": 1, "b": 2}]', '```json\n{"a": 1, "b": 2}\n```'),
        ],
    ),
    check("json", "above", 3): (
        ['{"a": 4}'],
        ["{}", '{"a": 3}', '{"a": 4.5}', '{"a": "5"}', '{"a": true}'],
    ),
    check("json", "sum", 5): (
        ['{"a": 2, "b": 3}'],
        ['{"a": 2.5, "b": 2.5}', '{"a": 5, "b": false}', '{"a": NaN}', '{"a": 1e999}'],
    ),
    check("json", "value", "a", 1): (
        ['{"a": 1}', '{"a": 1, "b": 2}'],
        ['{"a": true}', '{"a": 1.0}', '{"b": 1}'],
    ),
}


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        (one, *replies)
        for group in (NUMBERS, WORDS, LISTS, OBJECTS)
        for one, replies in group.items()
    ],
)
def test_a_constraint_is_met_by_what_it_says(
    constraint: Any, good: list[str], bad: list[str]
) -> None:
    assert [reply for reply in good if not constraint(reply)] == []
    assert [reply for reply in bad if constraint(reply)] == []


def test_every_kind_of_constraint_is_asked_and_said_in_words() -> None:
    env = Instructions(level=3)
    asked = set()
    for item in map(env.item, range(400)):
        shape = str(item.data["shape"])
        constraints = cast(tuple[Constraint, ...], item.data["constraints"])
        assert len(constraints) == 3
        assert all(in_words(shape, one) in item.prompt for one in constraints)
        asked |= {(shape, one.kind) for one in constraints}

    assert asked == {(shape, kind) for shape, kinds in KINDS.items() for kind in kinds}


@pytest.mark.parametrize("level", INSTRUCTION_LEVELS)
def test_partial_pays_the_share_of_the_constraints(level: int) -> None:
    whole, partial = Instructions(level=level), Instructions(level=level, partial=True)
    for item in map(whole.item, range(100)):
        for reply in ("7", "a word", "- a\n- b", "{}", item.gold):
            score = partial.score(item, reply)
            assert score.value == score.parts["share_met"], reply
            assert whole.score(item, reply).value == float(score.value == 1.0)


def test_constraints_survive_json() -> None:
    item = Instructions(level=4).item(0)
    data = json.loads(json.dumps(item.data))

    assert all(met(item.gold, data["shape"], data["constraints"]))


@pytest.mark.parametrize("level", NEEDLE_LEVELS)
def test_the_needle_stands_in_the_text_once_among_its_decoys(level: int) -> None:
    sentences, decoys = {1: (0, 1), 2: (5, 2), 3: (50, 4), 4: (400, 16)}[level]
    for item in map(Needle(level=level).item, range(20)):
        text, _, question = item.prompt.partition("What is the ")
        asked = re.match(r"(?:code of the )?(\w+ \w+)\?", question)
        assert asked
        found = re.findall(r"(?:The code of the )?(\w+ \w+)(?: is)? (\d+)\.", text)
        codes = {box.lower(): code for box, code in found}

        assert text.count(".") == sentences + decoys + 1
        assert len(codes) == len(set(codes.values())) == decoys + 1
        assert codes[asked[1]] == item.answer


def test_the_needle_may_be_anywhere() -> None:
    places = {
        item.prompt.index(f"is {item.answer}.") * 4 // len(item.prompt)
        for item in map(Needle(level=3).item, range(60))
    }

    assert places == {0, 1, 2, 3}  # each quarter of the prompt


def test_other_codes_and_several_codes_are_not_paid() -> None:
    env = Needle(level=2)
    for item in map(env.item, range(20)):
        codes = re.findall(r"is (\d+)\.", item.prompt)
        for reply in [
            *(code for code in codes if code != item.answer),
            " ".join(codes),
            item.prompt,
        ]:
            assert env.score(item, reply).value == 0.0
        assert env.score(item, f"<think>{codes}</think>\n{item.answer}.").value == 1.0
