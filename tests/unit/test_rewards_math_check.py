"""Equality of answers: exact, three-valued, and never a crash or a hang on any reply."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.rewards.math import CannotTell, check, compile_gold, correct, wellformed
from bakeoff.types import Item

ROOT = r"\sqrt{2}"


@pytest.mark.parametrize(
    ("gold", "reply"),
    [
        ("85", "85"),
        ("85", "085"),
        ("85", "85.0"),
        ("85", "170/2"),
        ("0", "-0"),
        ("1080", "1,080"),
        ("0.5", r"\frac{1}{2}"),
        ("1/2", "50%"),
        (ROOT, "2^{1/2}"),
        (r"\frac{\sqrt{2}}{2}", r"\boxed{\frac{1}{\sqrt{2}}}"),
        ("sqrt(2) + sqrt(3)", r"\sqrt{5 + 2\sqrt{6}}"),  # square both sides
        ("1", "(1+sqrt(2))^100 (sqrt(2)-1)^100"),  # (1 + r)(r - 1) = r^2 - 1 = 1
        ("2pi", r"\pi \cdot 2"),
        ("2", r"\sqrt{2}^2"),
    ],
)
def test_equal_values_are_correct(gold: str, reply: str) -> None:
    assert check(gold, reply).correct is True


@pytest.mark.parametrize(
    ("gold", "reply"),
    [
        ("85", "86"),
        ("85", "85%"),
        ("85", "85 or 86"),
        ("85", "85, 86"),
        ("85", "The sum is 85"),  # a sentence is not a number
        ("10000000000000000000001", "10000000000000000000000"),
        ("pi", "355/113"),
        ("1", "1 + (sqrt(2)-1)^1000"),  # off by 10^-383
        (ROOT, "sqrt(2) + 0/(sqrt(5 + 2sqrt(6)) - sqrt(2) - sqrt(3))"),  # a hidden 0/0
        (ROOT, "sqrt(1 - sqrt(2))"),  # not real
        (ROOT, "1/0"),
    ],
)
def test_other_values_are_wrong(gold: str, reply: str) -> None:
    assert check(gold, reply).correct is False


@pytest.mark.parametrize(
    ("gold", "reply"),
    [
        *[("1/3", "0.333333"), ("pi", "3.14159265358979"), (ROOT, "1.414214"), ("0.333333", "1/3")],
        ("33.3333%", "1/3"),
    ],
)
def test_a_decimal_may_be_rounded_to_six_digits(gold: str, reply: str) -> None:
    assert check(gold, reply).correct is True
    assert check(compile_gold("1/3", form="result"), "0.333333333333").correct is False


@pytest.mark.parametrize(
    ("gold", "reply"),
    [
        *[("1/3", "0.33333"), ("pi", "3.14160"), ("12", "12.000001"), ("0.5", "0.5000001")],
        *[("10^{-7}", "2 \\cdot 10^{-7}"), ("1/2004!", "1/2006!"), ("2^{99}", "2^{99}+1")],
    ],
)
def test_and_no_further(gold: str, reply: str) -> None:
    assert check(gold, reply).correct is False


@pytest.mark.parametrize(
    ("gold", "reply"),
    [("85", "9**9**9**9"), (ROOT, "pi^pi"), (ROOT, "((sqrt(3)^99)^99)^99"), ("1", "10^(10^9)")],
)
def test_a_huge_value_is_told_from_another(gold: str, reply: str) -> None:
    assert check(gold, reply).correct is False


def test_towers_of_powers_are_compared_without_working_them_out() -> None:
    # 2^2^2^2 = 2^16 = 65536, so one more storey is 2^65536; 9^9^9 and 9^9^8 differ modulo any
    # number that does not divide their difference
    assert check("2^{65536}", "2^{2^{2^{2^2}}}").correct is True
    assert check("9^{9^{9^9}}", "9^{9^{9^8}}").correct is False
    assert check("10^{10^{10}}", "10^{10^{10}}+1").correct is False


@pytest.mark.parametrize("gold", ["", "1/0", r"\int_0^1 x\,dx", "x = x", "1 = 1", "0^0"])
def test_a_right_answer_that_cannot_be_read_is_an_error_in_the_data(gold: str) -> None:
    with pytest.raises(ValueError, match="cannot read the right answer"):
        check(gold, "85")


def test_a_right_answer_that_must_be_a_result_may_not_be_a_calculation() -> None:
    for gold in ("84/7", "47 + 38", "eighty-five", "85 < x", "9**9**9**9"):
        with pytest.raises(ValueError, match="form 'result'"):
            compile_gold(gold, form="result")


@pytest.mark.parametrize(
    "reply", ["47 + 38", "84 + 1", "170/2", "85/1", "sqrt(7225)", "9**9**9**9"]
)
def test_a_calculation_is_no_answer_to_a_calculation(reply: str) -> None:
    # else copying the sum from the question would be paid
    assert check(compile_gold("85", form="result"), reply).correct is False


BOMBS = [
    *["sqrt(7^1999 + 2)", "sqrt(" + "7" * 990 + "*" + "3" * 989 + ")"],
    *[
        "9**9**9**9",
        "(" * 10_000,
        "\\sqrt{" * 5_000,
        "9" * 10**6,
        "-" * 10**5 + "1",
        "\x00",
        "\ud800",
    ],
    *["\\frac{" * 40 + "1" + "}{2}" * 40, "\\frac{1}{" * 30 + "2" + "}" * 30, "1+" * 90 + "1"],
    *["\\sqrt{" * 30 + "2" + "}" * 30, "(" * 30 + "sqrt(2)" + "^9)" * 30, "pi^" * 30 + "2"],
    *["+".join(f"sqrt({n})" for n in range(2, 60)), "(1+sqrt(2))^5000", "sqrt(2)^(10^9)"],
    *[
        "\\boxed{" * 5_000 + "}" * 5_000,
        "1/" * 90 + "0",
        "sqrt(" + "7" * 900 + ")",
        "9" * 900 + "^22",
    ],
    *[
        "(1/3+sqrt(5))^300/(sqrt(7)-pi)^200",
        "\u0663\uff15",
        "2^(1/" + "9" * 500 + ")",
        "1," * 10**5,
    ],
]


@pytest.mark.parametrize("gold", ["85", ROOT, "pi"])
@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: ascii(bomb[:20]))
def test_a_hostile_reply_is_answered_soon_and_never_correct(gold: str, bomb: str) -> None:
    check("sqrt(3)", "sqrt(5)")  # sympy's import is not what is timed
    start = time.process_time()
    verdict = check(gold, bomb)

    assert verdict.correct is not True
    assert time.process_time() - start < 2


GRAMMAR = st.text(st.sampled_from("0123456789.,+-*/^%(){}\\= piqrtfacsboxed#\n"), max_size=60)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), GRAMMAR))
def test_any_reply_has_a_verdict(reply: str) -> None:
    assert check("85", reply).correct in (True, False, None)
    assert check(ROOT, reply).correct in (True, False, None)


@settings(max_examples=100, deadline=None)
@given(st.fractions(max_denominator=10**6), st.fractions(max_denominator=10**6))
def test_fractions_are_told_apart_exactly(left: object, right: object) -> None:
    assert check(str(left), str(left)).correct is True
    assert check(str(left), str(right)).correct is (left == right)


ITEM = Item("test/1", "What is 47 + 38?", answer="85")


def test_wellformed_says_whether_it_is_a_number_not_which() -> None:
    replies = ["86", "47 + 38", "no idea", "", "9**9**9**9"]

    assert [wellformed(reply, ITEM) for reply in replies] == [1, 0, 0, 0, 0]


def test_correct_never_cannot_tell_where_a_result_is_asked() -> None:
    try:
        values = {correct(bomb, ITEM) for bomb in BOMBS}
    except CannotTell as error:  # a reply could then take itself out of the batch
        pytest.fail(str(error))
    assert values == {0.0}
