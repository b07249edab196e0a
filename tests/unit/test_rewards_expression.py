"""The parser and the exact values of what it reads."""

from fractions import Fraction

import pytest

from bakeoff.rewards.math.expression import ExpressionError, OverBudget, is_written_out, rational
from bakeoff.rewards.math.parsing import MAX_DEPTH, MAX_DIGITS, MAX_TOKENS, parse


def value(text: str) -> Fraction | None:
    return rational(parse(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("85", 85),
        ("-85", -85),
        ("+85", 85),
        ("\u221285", -85),  # the minus sign of unicode
        ("1,080", 1080),
        ("1{,}080", 1080),
        ("12,345,678.5", Fraction(24691357, 2)),
        (".5", Fraction(1, 2)),
        ("50%", Fraction(1, 2)),
        (r"50\%", Fraction(1, 2)),
        ("7/12", Fraction(7, 12)),
        (r"\frac{7}{12}", Fraction(7, 12)),
        (r"\dfrac12", Fraction(1, 2)),
        (r"2\frac{1}{3}", Fraction(7, 3)),  # a mixed number adds
        (r"-2\frac{1}{3}", Fraction(-7, 3)),
        ("2(3)", 6),  # a parenthesis multiplies
        (r"2 \times 3 \cdot 4 \div 6", 4),
        ("2 × 3 ÷ 4", Fraction(3, 2)),  # noqa: RUF001
        ("1 - 2 - 3", -4),  # from the left
        ("8 / 4 / 2", 1),
        ("2^3^2", 512),  # from the right: 2^9
        ("-2^2", -4),  # the power binds tighter than the sign
        ("2^{-1}", Fraction(1, 2)),
        ("2**10", 1024),
        ("sqrt(9/4)", Fraction(3, 2)),
        (r"\sqrt{49} + \sqrt4 + √16", 13),
        (r"\left(1 + 2\right) 3", None),
    ],
)
def test_value(text: str, expected: int | Fraction | None) -> None:
    if expected is None:  # a number right after something would be read two ways
        with pytest.raises(ExpressionError):
            parse(text)
    else:
        assert value(text) == expected


@pytest.mark.parametrize("text", ["pi", "sqrt(2)", "2^{1/2}", "0 * pi"])
def test_what_rational_arithmetic_cannot_tell_is_none(text: str) -> None:
    assert value(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *["", "85 or 86", "85, 86", "85 86", "1,2", "1,0000", "0,123", "1.2.3", "85.", "1e5", "x"],
        *["(1", "1)", "1 +", "* 1", "{1}", r"\frac{1}", r"\frac{1}2 3", r"\sqrt", "sqrt 2", "2^"],
        *[
            "__import__('os')",
            "1 if 1 else 2",
            "nan",
            "inf",
            "True",
            "\x00",
            "\ud800",
            "5!",
            "1_000",
        ],
        "\uff18\uff15",  # full-width digits
        "\u0663",  # an Arabic digit
    ],
)
def test_what_is_not_of_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


@pytest.mark.parametrize("text", ["1/0", "1/(1-1)", "0^0", "0^{-1}", "sqrt(-1)", "pi/0"])
def test_what_has_no_value_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        value(text)


@pytest.mark.parametrize("text", ["9**9**9**9", "10^6^6", "2^{-100000}", "(10^2000)^2000"])
def test_a_power_beyond_the_budget_is_not_worked_out(text: str) -> None:
    with pytest.raises(OverBudget):
        value(text)


def test_powers_of_one_cost_nothing() -> None:
    # (-1)^n is 1 for an even n, whatever its size
    assert value("(-1)^(10^30)") == 1


@pytest.mark.parametrize(
    ("largest", "too_large"),
    [
        ("9" * MAX_DIGITS, "9" * (MAX_DIGITS + 1)),
        ("(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH, "(" * (MAX_DEPTH + 1) + "1" + ")" * 50),
        ("-" * MAX_DEPTH + "1", "-" * (MAX_DEPTH + 1) + "1"),
        ("1" + "+1" * ((MAX_TOKENS - 1) // 2), "1" + "+1" * MAX_TOKENS),
    ],
)
def test_the_budgets_of_a_text(largest: str, too_large: str) -> None:
    parse(largest)

    with pytest.raises(ExpressionError):
        parse(too_large)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(text, True) for text in ("85", "-85", "(85)", "1,080", "0.5", "50%", "7/12", "-7/12")],
        *[(text, True) for text in (r"\frac{7}{12}", r"-\frac{7}{12}", r"1\frac{1}{2}")],
        *[(text, False) for text in ("47+38", "2*3", "2^3", "sqrt(4)", "pi", "1+0", "--85")],
        *[(text, False) for text in ("84/7", "14/24", "12/1", "0/5", "7/-12", "0.5/3", "5/0")],
    ],
)
def test_a_result_is_a_number_or_a_fraction_in_lowest_terms(text: str, expected: bool) -> None:
    assert is_written_out(parse(text)) is expected
