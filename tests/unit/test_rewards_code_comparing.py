"""What equals what, and how plain data passes between processes."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bakeoff.rewards.code import Close
from bakeoff.rewards.code.comparing import (
    FUNCTIONS,
    Equal,
    Is,
    Near,
    Truth,
    Undecided,
    same,
    same_output,
)
from bakeoff.rewards.code.jail.plain import DEPTH, Malformed, Opaque, decode, encode
from bakeoff.rewards.code.showing import is_small, shown

NAN, INF = float("nan"), float("inf")

# Small pools, so that equal values of different types meet. No range is an element of a set here:
# what could be long where nothing is compared with it is not looked at.
SCALARS = st.sampled_from([
    None, False, True, 0, 1, -1, 2**64, 0.0, -0.0, 0.5, 1.0, 1e300, INF, -INF, 1j, 1 + 0j,
    "", "a", "\ud800", "1", b"", b"\x00", Decimal("0.5"), Decimal(1), Fraction(1, 2), Fraction(1),
])  # fmt: skip
RANGES = st.sampled_from([range(0), range(1), range(0, 2), range(5, 0, -2), range(-(2**70), 2**70)])
HASHABLE = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)
VALUES = st.recursive(
    st.one_of(SCALARS, RANGES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(HASHABLE, inner, max_size=3),
        st.sets(HASHABLE, max_size=3),
        st.frozensets(HASHABLE, max_size=3),
    ),
    max_leaves=8,
)
TAGS = st.sampled_from([*"tdszibfcrDFokhn", "", "sz", "kept", "value"])
PIECES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    SCALARS.map(encode),
    st.sampled_from(["0xff", "-0x1", "nan", "1e9999", "sNaN", "ff", "9" * 5000, 2**61 - 1]),
)  # fmt: skip
FORGED = st.recursive(
    PIECES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(TAGS, inner, max_size=2),
        st.dictionaries(TAGS, st.lists(inner, max_size=3), min_size=1, max_size=1),
        st.dictionaries(TAGS, st.lists(st.tuples(inner, inner).map(list), max_size=3), max_size=1),
    ),
    max_leaves=12,
)
HOLDING: list[Any] = [
    Equal(3), Equal([1, 2], Close()), Equal({1, 2}), Equal({1: 2}), Equal((1,)),
    Equal(1.5, Close()), *[Equal([1], None, ((name, ()),)) for name in FUNCTIONS],
    Is(None), Is(True), Truth(True), Truth(False),
    Near(1.5, 1e-6, False), Near(Decimal(1), 1, True), Near({1}, 1, True),
]  # fmt: skip


def received(value: object) -> Any:
    """Return encoded data as it comes out at the other end."""
    return json.loads(json.dumps(encode(value)))


def alike(one: Any, other: Any) -> bool:
    """Tell whether two values cannot be told apart: types, signs and orders too."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict):
        return alike(list(one.items()), list(other.items()))
    if isinstance(one, (set, frozenset)):
        return bool(one == other)
    return bool(one == other) and repr(one) == repr(other)


@given(VALUES)
def test_plain_data_comes_out_as_it_went_in(value: Any) -> None:
    assert alike(decode(received(value)), value)


@given(st.floats())
def test_floats_survive_exactly(value: float) -> None:
    assert repr(decode(received(value))) == repr(value)


@given(st.integers())
def test_integers_survive_exactly(value: int) -> None:
    assert alike(decode(received(value)), value)


@given(VALUES)
def test_a_value_is_the_same_as_itself(value: Any) -> None:
    assert same(received(value), value)


@settings(max_examples=300)
@given(VALUES, VALUES)
def test_what_python_finds_equal_is_the_same_and_nothing_else(got: Any, expected: Any) -> None:
    assert same(received(got), expected) == (got == expected)


@settings(max_examples=300)
@given(FORGED)
def test_forged_data_is_a_value_or_malformed(data: Any) -> None:
    try:
        value = decode(data)
    except Malformed:
        return
    if "Opaque" not in str(type(value)):
        repr(value)


@settings(max_examples=300)
@given(FORGED)
def test_no_expectation_raises_at_forged_data(data: Any) -> None:
    for expectation in HOLDING:
        try:
            assert expectation.holds(data) in (True, False)
        except Undecided:
            assert isinstance(expectation, Truth) or expectation.functions
    shown(data).encode()
    assert is_small(data) in (True, False)


@example({"": []}, ())  # the tag is one of the kind's, and no part of their names
@example({"sz": []}, set())
@given(FORGED, VALUES)
def test_forged_data_is_the_expected_value_only_if_it_says_so(data: Any, expected: Any) -> None:
    if same(data, expected):
        assert decode(data) == expected


def test_what_is_not_plain_equals_nothing() -> None:
    class Everything:
        def __eq__(self, other: object) -> bool:
            return True

    data = received([Everything()])

    assert isinstance(decode(data)[0], Opaque)
    assert not same(data, [1])


@pytest.mark.parametrize("kind", [list, tuple, lambda one: {1: one}], ids=["list", "tuple", "dict"])
def test_what_is_nested_too_deeply_is_not_sent(kind: Any) -> None:
    value: Any = 1
    for _ in range(DEPTH + 2):
        value = kind([value]) if kind is not tuple else (value,)

    with pytest.raises(Malformed, match="deeply"):
        encode(value)


class _Int(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


EQUAL: list[tuple[Any, Any]] = [
    (1, 1.0), (1, True), (0.0, -0.0), (0, False), (2**70, 2**70), (1, Fraction(1)), (1, 1 + 0j),
    (0.5, Decimal("0.5")), (Fraction(1, 3), Fraction(2, 6)), (INF, INF), ("é", "é"), (None, None),
    (b"\xff", b"\xff"), (bytearray(b"x"), b"x"), (_Int(5), 5), ([1, (2, {3})], [1, (2, {3})]),
    ({1, 2}, frozenset({2, 1})), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ({1: "x"}, {1.0: "x"}),
    ({(1, 2): [3]}, {(1, 2): [3]}), (range(0, 3, 2), range(0, 4, 2)), (range(0), range(5, 5)),
]  # fmt: skip
DIFFERENT: list[tuple[Any, Any]] = [
    ((1, 2), [1, 2]), ([1], [1, 1]), ([], ()), ([[]], [()]), ([], None), ([0, 1], range(2)),
    (1, "1"), ("a", b"a"), ("nan", NAN), (NAN, NAN), (INF, -INF), (None, 0), (None, False),
    (0.1 + 0.2, 0.3), (2**53, 2.0**53 + 2), (1 + 1j, 1), (Decimal("0.1"), 0.1),
    (Decimal("NaN"), 1), (Decimal("sNaN"), 1), (_Int(5), 6), (object(), None), (lambda: 1, 1),
    ({}, set()), (set(), 0), ({1: 2}, {1: 3}), ({1: 2}, {2: 2}), ({1}, {1, 2}), ({2}, {1}),
    ({"t": [1]}, (1,)), ({"i": "0x1"}, 1), (range(2), [0, 1]),
]  # fmt: skip


@pytest.mark.parametrize(("got", "expected"), EQUAL)
def test_equal_as_in_python(got: Any, expected: Any) -> None:
    assert same(encode(got), expected)


@pytest.mark.parametrize(("got", "expected"), DIFFERENT)
def test_different_as_in_python(got: Any, expected: Any) -> None:
    assert not same(encode(got), expected)


@pytest.mark.parametrize(
    ("got", "expected", "holds"),
    [
        (101.0, 100, True),  # 1 <= 0.01 * 100
        (100.0, 101.02, True),  # 1.02 <= 1.0102 does not hold without the 0.01 of atol
        (101.02, 100, False),
        (0.009, 0.0, True),
        (0.011, 0, False),
        (101, 100, False),  # integers stay exact
        (True, False, False),
        (101, 100.0, True),  # one of them is no integer
        (NAN, NAN, True),
        (NAN, 1.0, False),
        (1.0, NAN, False),
        (INF, INF, True),
        (INF, 1e308, False),
        (1e308, INF, False),
        (10**400, 1.0, False),  # no float can hold it
        (1.001 + 1j, 1 + 1j, True),
        ([1.0, ("x", {2: 3.001})], [1, ("x", {2: 3})], True),
        ("1.0", 1.0, False),
        ({1.001}, {1.0}, False),  # elements of sets have no counterpart, and stay exact
    ],
)
def test_approximately_equal(got: Any, expected: Any, holds: bool) -> None:
    assert same(encode(got), expected, Close(rtol=0.01, atol=0.01)) is holds


@pytest.mark.parametrize(
    ("got", "expected", "holds"),
    [
        ("1 2\n", "1 2", True),
        ("1 2  \n\n\n", "1 2\n", True),
        ("1\r\n2\r\n", "1\n2\n", True),
        ("", "\n", True),
        ("\n1", "1", False),
        (" 1", "1", False),
        ("1  2", "1 2", False),
        ("1\n\n2", "1\n2", False),
        ("1.0", "1", False),
        ("YES", "Yes", False),
    ],
)
def test_outputs_have_the_same_lines(got: str, expected: str, holds: bool) -> None:
    assert same_output(got, expected) is holds


@pytest.mark.parametrize(
    ("got", "expected", "holds"),
    [
        ("x = 0.30000000000000004", "x = 0.3", True),
        ("1e0  2", "1 2", True),
        ("0.31", "0.3", False),
        ("nan", "nan", True),
        ("nan", "1", False),
        ("1_0", "10", False),
        ("٣", "3", False),
        ("1\n2", "1 2", False),
        ("1 2", "1", False),
        ("9" * 401, "9" * 400, False),
    ],
)
def test_numbers_in_outputs_are_approximately_equal(got: str, expected: str, holds: bool) -> None:
    assert same_output(got, expected, Close()) is holds
