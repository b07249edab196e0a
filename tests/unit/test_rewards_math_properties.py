r"""Pairs whose truth is known by how they were made: `check` must agree with every one of them.

Here: an answer in other clothes, rationals, decimals, polynomials and surds.
"""

from __future__ import annotations

import math
import re
from decimal import Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from same_answer import differ, quick, same

from bakeoff.rewards.math import check

GOLDS = [  # no two of them are equal
    *["85", "-7", "1,080", "0.625", r"\frac{22}{7}", r"-\frac{3}{8}", r"2\frac{1}{3}", r"17\%"],
    *[r"0.\overline{45}", r"6.02 \cdot 10^{23}", "100000000000000000000000000000000001"],
    *[r"3\sqrt{5}", r"\frac{1+\sqrt{13}}{2}", r"2\pi", "e^{2}", r"\ln 3", r"\sqrt[3]{7}", "10!"],
    *[r"\sin\frac{\pi}{5}", r"\log_{2}(5)", r"\binom{9}{4}", "2+5i", r"45^\circ", "101_2"],
    *["2x+3", "x^2-5x+6", "(a+b)^2", r"\frac{x}{x+1}", r"\sin x", "|y|", r"\frac{x^3}{3}+C"],
    *[r"\{1,2,9\}", "(4,-1)", "(4,-1,0)", "3, 8", r"\pm 16", r"\emptyset", "x=13", "y=3x-8"],
    *["x^2+y^2=25", "x>21", "[2,9)", r"(-\infty,4]", r"(-\infty,-6)\cup(6,\infty)", r"\infty"],
    *[r"\begin{pmatrix}1&2\\3&5\end{pmatrix}", r"14\text{ cm}", r"\text{east}", r"\text{(C)}"],
]
WRAPPINGS = [
    *["{}", r"\boxed{{{}}}", "${}$", r"\fbox{{{}}}", r"\boxed {{{}}}", r"\boxed{{\boxed{{{}}}}}"],
    *[r"\[\boxed{{{}}}\]", r"\boxed{{${}$}}", "The answer is ${}$.", "Answer: {}", "#### {}"],
    *[r"No \boxed{{12}}, wait: \boxed{{{}}}", "Why?\n\nThe final answer is {}", "  {}  \n"],
    *["<answer>{}</answer>", r"So $$\boxed{{{}}}$$ is it.", r"\boxed{{ {} }}", r"\( {} \)"],
]


@pytest.mark.parametrize("gold", GOLDS)
def test_an_answer_equals_itself_in_every_wrapping(gold: str) -> None:
    verdicts = {wrapping: check(gold, wrapping.format(gold)) for wrapping in WRAPPINGS}

    assert {w: v for w, v in verdicts.items() if v.correct is not True} == {}


@pytest.mark.parametrize("gold", GOLDS)
def test_an_answer_equals_no_other(gold: str) -> None:
    replies = [rf"\boxed{{{other}}}" for other in GOLDS if other != gold]
    verdicts = {reply: check(gold, reply) for reply in replies}

    assert {r: v for r, v in verdicts.items() if v.correct is not False} == {}


SPACED = [g for g in GOLDS if not re.search(r"text|begin|overline|[a-z] |\d\\frac|, ", g)]
SPACES = ["", " ", "  ", r"\,", r"\;", r"\ ", "~"]


@quick
@given(st.sampled_from(SPACED), st.data())
def test_space_between_tokens_means_nothing(gold: str, data: st.DataObject) -> None:
    tokens = re.findall(r"\\[a-z]+|\d[\d,.]*\d|\\?.", gold, re.IGNORECASE)
    spaces = data.draw(st.lists(st.sampled_from(SPACES), min_size=len(tokens), max_size=60))
    spaced = "".join(space + token for space, token in zip(spaces, tokens, strict=False))

    assert check(gold, rf"\boxed{{{spaced}}}").correct is True, spaced


def decimal(value: Fraction) -> str:
    """The value as a decimal, exact: with the repeating digits, if there are, under a bar."""
    sign, value = "-" if value < 0 else "", abs(value)
    rest, digits, seen = value % 1, "", dict[Fraction, int]()
    while rest and rest not in seen:
        seen[rest] = len(digits)
        digits, rest = digits + str(int(rest * 10)), rest * 10 % 1
    if rest:
        digits = rf"{digits[: seen[rest]]}\overline{{{digits[seen[rest] :]}}}"
    return f"{sign}{int(value)}" + (f".{digits}" if digits else "")


def notations(value: Fraction) -> list[str]:
    above, below, sign = abs(value.numerator), value.denominator, "-" if value < 0 else ""
    whole, rest = divmod(above, below)
    forms = [rf"{sign}\frac{{{above}}}{{{below}}}", rf"\dfrac{{{-3 * above}}}{{{-3 * below}}}"]
    forms[1] = sign + forms[1]
    forms += [f"{sign}{above}/{below}", rf"\frac{{{sign}{above}}}{{{below}}}", decimal(value)]
    if whole and rest:
        forms += [rf"{sign}{whole}\frac{{{rest}}}{{{below}}}", f"{sign}{whole} {rest}/{below}"]
    if "overline" not in decimal(value):
        forms += [decimal(100 * value) + r"\%", decimal(1000 * value) + r"\cdot 10^{-3}"]
        forms += [decimal(1000 * value) + "e-3", decimal(100 * value) + " percent"]
    return forms


RATIONALS = st.fractions(min_value=-50, max_value=50, max_denominator=60)


@settings(quick, max_examples=120)
@given(RATIONALS, st.data())
def test_a_rational_is_the_same_in_all_notations(value: Fraction, data: st.DataObject) -> None:
    form = st.sampled_from(notations(value))

    same(data.draw(form), data.draw(form))


@settings(quick, max_examples=120)
@given(RATIONALS, RATIONALS, st.data())
def test_two_rationals_differ_in_all_notations(
    left: Fraction, right: Fraction, data: st.DataObject
) -> None:
    # below 50 with denominators up to 60: they are 1/3540 apart, seen in 6 digits
    assume(left != right)

    form = data.draw(st.sampled_from(notations(left)))
    differ(form, data.draw(st.sampled_from(notations(right))))


@quick
@given(st.integers(-(10**60), 10**60))
def test_integers_are_exact_however_long(number: int) -> None:
    same(str(number), f"{number:,}")
    differ(str(number), str(number + 1))
    differ(str(number), str(-number or 1))


@quick
@given(st.integers(1, 500), st.sampled_from([7, 11, 13, 17, 19, 23]), st.integers(1, 14))
def test_rounding_counts_from_six_digits(above: int, below: int, digits: int) -> None:
    assume(above % below and digits not in (4, 5))  # 4 or 5 digits may happen to agree in a sixth
    exact = rf"\frac{{{above}}}{{{below}}}"
    rounded = f"{Context(prec=digits).divide(Decimal(above), Decimal(below)):f}"

    (same if digits >= 6 else differ)(exact, rounded)


@pytest.mark.parametrize("exact", [r"\sqrt{2}", r"\pi", "e", r"\frac{\sqrt{3}}{2}", r"\ln 2"])
def test_a_decimal_with_a_wrong_digit_differs(exact: str) -> None:
    values = [math.sqrt(2), math.pi, math.e, math.sqrt(3) / 2, math.log(2)]
    value = values[[r"\sqrt{2}", r"\pi", "e", r"\frac{\sqrt{3}}{2}", r"\ln 2"].index(exact)]

    same(exact, f"{value:.9f}")
    differ(exact, f"{value + 1e-5:.9f}")
    differ(exact, f"{value:.2f}")


def coefficients(roots: list[int]) -> list[int]:
    """The coefficients of (x - r1)(x - r2)..., that of x^0 first."""
    found = [1]
    for root in roots:
        found = [up - root * here for up, here in zip([0, *found], [*found, 0], strict=True)]
    return found


def polynomial(values: list[int], order: list[int], variable: str = "x") -> str:
    power = ["", variable, *(f"{variable}^{{{degree}}}" for degree in range(2, 9))]
    terms = [f"{values[k]:+d}{power[k]}" for k in order if values[k]]
    return re.sub(r"([+-])1x", r"\1x", "".join(terms).removeprefix("+")) or "0"


ROOTS = st.lists(st.integers(-9, 9), min_size=1, max_size=4)


@quick
@given(ROOTS, st.data())
def test_a_polynomial_is_its_product_of_roots(roots: list[int], data: st.DataObject) -> None:
    values = coefficients(roots)
    order = st.permutations(range(len(values)))
    factored = "".join(f"(x-({root}))" for root in data.draw(st.permutations(roots)))

    expanded = polynomial(values, data.draw(order))
    same(expanded, polynomial(values, data.draw(order)))
    same(expanded, factored)
    same(expanded, factored.replace(")(", r")\cdot("))


@quick
@given(ROOTS, st.data())
def test_a_polynomial_with_a_term_changed_differs(roots: list[int], data: st.DataObject) -> None:
    values = coefficients(roots)
    order = data.draw(st.permutations(range(len(values))))
    changed = list(values)
    changed[data.draw(st.sampled_from(order))] += data.draw(st.sampled_from([1, -1, 7]))
    right = polynomial(values, order)

    differ(right, polynomial(changed, order))
    differ(right, polynomial(values, order, variable="y"))
    differ(right, right + "+" + "".join(f"(x-{n})" for n in range(1, 12)))  # 0 at 1, ..., 11
    differ(right, right + r"+\frac{x}{10^{40}}")


@quick
@given(st.integers(-9, 9), st.integers(-9, 9))
def test_a_sum_of_fractions_is_one_fraction(a: int, b: int) -> None:
    assume(a != b)  # 1/(x-a) - 1/(x-b) = (a-b)/((x-a)(x-b))
    apart = rf"\frac{{1}}{{x-({a})}}-\frac{{1}}{{x-({b})}}"

    same(apart, rf"\frac{{{a - b}}}{{(x-({a}))(x-({b}))}}")
    differ(apart, rf"\frac{{{b - a}}}{{(x-({a}))(x-({b}))}}")


@quick
@given(
    st.integers(1, 30), st.integers(1, 12), st.integers(2, 12), st.sampled_from([2, 3, 5, 7, 13])
)
def test_a_surd_is_the_same_rationalised_and_differs_perturbed(
    a: int, b: int, c: int, d: int
) -> None:
    gold = rf"\frac{{{a}+{b}\sqrt{{{d}}}}}{{{c}}}"
    norm = a * a - b * b * d  # not 0: d is no square

    same(gold, rf"\frac{{{norm}}}{{{c}({a}-{b}\sqrt{{{d}}})}}")
    same(gold, rf"\frac{{\sqrt{{{b * b * d}}}}}{{{c}}}+\frac{{{a}}}{{{c}}}")
    same(gold, rf"\frac{{1}}{{{c}}}\sqrt{{{a * a + b * b * d}+{2 * a * b}\sqrt{{{d}}}}}")
    for other in [(a + 1, b, d), (a, -b, d), (a, b, d + 1), (a, b + 1, d), (-a, b, d)]:
        differ(gold, r"\frac{{{}{:+d}\sqrt{{{}}}}}{{{}}}".format(*other, c))
