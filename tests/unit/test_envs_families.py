"""The procedural families: what their levels ask, and what may not be paid."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction

import pytest

from bakeoff.envs import make
from bakeoff.envs.math.derivatives import Derivatives
from bakeoff.envs.math.family import Family
from bakeoff.envs.math.fractions import Fractions
from bakeoff.envs.math.linear_equations import LinearEquations
from bakeoff.envs.math.modular_arithmetic import ModularArithmetic
from bakeoff.envs.math.polynomials import Polynomials
from bakeoff.envs.math.sequences import Sequences
from bakeoff.types import Item

FAMILIES = [Derivatives, Fractions, LinearEquations, ModularArithmetic, Polynomials, Sequences]
SIGNED = r"(-?\d+)"
TERM = r"-?\d*x"
LINE = rf"{TERM} [+-] \d+"
POLYNOMIAL = r"-?\d*x(?:\^\d)?(?: [+-] \d*x(?:\^\d)?)*(?: [+-] \d+)?"
SHAPES = {
    Fractions: {
        1: [r"What is \d+/(\d+) [+-] \d+/\1 in lowest terms\?"],
        2: [r"What is \d+/\d+ [+-] \d+/\d+ in lowest terms\?"],
        3: [
            r"What is \d+/\d+ \* \d+/\d+ in lowest terms\?",
            r"What is \(\d+/\d+\) / \(\d+/\d+\) in lowest terms\?",
        ],
        4: [
            r"What is \(\d+/\d+ [+-] \d+/\d+\) \* \d+/\d+ in lowest terms\?",
            r"What is \(\d+/\d+ [+-] \d+/\d+\) / \(\d+/\d+\) in lowest terms\?",
        ],
    },
    LinearEquations: {
        1: [rf"Solve x [+-] \d = {SIGNED} for x\.", rf"Solve \d+x = {SIGNED} for x\."],
        2: [rf"Solve {LINE} = {SIGNED} for x\."],
        3: [rf"Solve {LINE} = {LINE} for x\."],
        4: [r"Which pair \(x, y\) solves .*x [+-] \d?y = -?\d+ and .*x [+-] \d?y = -?\d+\?"],
    },
    Polynomials: {
        1: [rf"Expand and collect like terms: \d\({LINE}\) [+-] \d\({LINE}\)"],
        2: [
            r"Expand and collect like terms: \(x [+-] \d+\)\(x [+-] \d+\)",
            r"Expand and collect like terms: \(x [+-] \d+\)\^2",
        ],
        3: [
            rf"Expand and collect like terms: \({LINE}\)\({LINE}\)",
            rf"Expand and collect like terms: \({LINE}\)\^2",
        ],
        4: [
            rf"Expand and collect like terms: \({LINE}\)\(\d?x\^2 [+-] \d?x [+-] \d\)",
            rf"Expand and collect like terms: \({LINE}\)\^3",
        ],
    },
    Derivatives: {
        1: [rf"What is the derivative of {POLYNOMIAL} with respect to x\?"],
        2: [rf"What is the derivative of {POLYNOMIAL} with respect to x\?"],
        3: [
            r"What is the derivative of -?\d*x(\^\d)? (sin|cos)\(x\) with respect to x\?",
            r"What is the derivative of -?\d*x(\^\d)? e\^x with respect to x\?",
        ],
        4: [
            r"What is the derivative of (sin|cos|e\^)\(\dx(\^2)?( [+-] \d)?\) with respect to x\?",
            r"What is the derivative of \(\dx(\^2)?( [+-] \d)?\)\^[3-6] with respect to x\?",
        ],
    },
    ModularArithmetic: {
        1: [r"What is the remainder when \d\d is divided by \d+\?"],
        2: [
            r"What is the remainder when \d\d \+ \d\d is divided by \d+\?",
            r"What is the remainder when \d+ \* \d+ is divided by \d+\?",
        ],
        3: [r"What is the remainder when \d+\^\d is divided by \d+\?"],
        4: [r"What is the smallest non-negative x with \d+x = \d+ \(mod \d+\)\?"],
    },
    Sequences: {
        1: [rf"What comes next in the sequence {SIGNED}(, {SIGNED}){{4}}\?"],
        2: [rf"What comes next in the sequence {SIGNED}(, {SIGNED}){{4}}\?"],
        3: [rf"What comes next in the sequence {SIGNED}(, {SIGNED}){{4}}\?"],
        4: [rf"What is term number \d+ of the sequence {SIGNED}(, {SIGNED}){{4}}\?"],
    },
}


def question(item: Item) -> str:
    text, _, request = item.prompt.partition("\n")
    assert request == r"Put the answer in \boxed{}."
    return text


@pytest.fixture(params=[(f, level) for f in FAMILIES for level in f.levels], ids=str)
def family(request: pytest.FixtureRequest) -> Family:
    kind, level = request.param
    return kind(level=level)


def test_each_level_asks_what_it_says(family: Family) -> None:
    shapes = SHAPES[type(family)][family.level]
    asked = [question(family.item(index)) for index in range(200)]

    assert {next((s for s in shapes if re.fullmatch(s, q)), q) for q in asked} == set(shapes)


def test_the_gold_reply_fits_even_in_single_characters(family: Family) -> None:
    longest = max(len(family.item(index).gold) for index in range(300))

    assert longest < family.reply_tokens  # and the end-of-sequence token


def test_each_level_holds_out_enough_to_evaluate_on(family: Family) -> None:
    # an eighth of the questions of a level; Sequences has the fewest in level 1: 20 first terms
    # times 10 steps are 200, and 400 draws meet nearly all of the 25 or so that are held out
    assert len({family.item(index, "eval").prompt for index in range(400)}) >= 15


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_level_that_is_not_there_is_refused(kind: type[Family]) -> None:
    with pytest.raises(ValueError, match=r"level must be one of 1, 2, 3, 4, not 5"):
        kind(level=5)


def test_a_box_may_not_be_worth_more_than_being_right() -> None:
    for weight in (-0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match="format_weight must be from 0 to 1"):
            Fractions(format_weight=weight)


def test_a_weighted_format_is_part_of_the_score() -> None:
    env = make("bakeoff/Fractions-v0:format_weight=0.5")
    item = env.item(0)

    assert env.score(item, item.gold).value == 1.5
    assert env.score(item, item.answer).value == 1.0
    assert env.score(item, r"\boxed{1000}").value == 0.5


def sides(text: str) -> list[str]:
    return text.removeprefix("Solve ").removesuffix(" for x.").split(" = ")


def equations(text: str) -> list[str]:
    return text.removeprefix("Which pair (x, y) solves ").rstrip("?").split(" and ")


def factors(text: str) -> list[str]:
    return re.findall(r"\([^)]*\)", text.replace(")^2", ")" + text.partition(": ")[2]))


def fractions(text: str) -> list[str]:
    return re.findall(r"\d+/\d+", text) if re.search(r" [+*] ", text) else [text]


def numbers(text: str) -> list[str]:
    left, sign, right, modulus = re.findall(r"\d+|[+*]", text)
    return [*sorted([left, right]), sign + modulus]


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        (Fractions(level=1), fractions),
        (Fractions(level=2), fractions),
        (Fractions(level=3), fractions),
        (LinearEquations(level=3), sides),
        (LinearEquations(level=4), equations),
        (Polynomials(level=2), factors),
        (ModularArithmetic(level=2), lambda text: [str(numbers(text))]),
    ],
)
def test_another_order_of_a_question_is_of_the_same_split(
    spec: Family, parts: Callable[[str], list[str]]
) -> None:
    train, evaluation = (
        {tuple(sorted(parts(question(spec.item(index, split))))) for index in range(600)}
        for split in ("train", "eval")
    )

    assert evaluation and not train & evaluation


@pytest.mark.parametrize("level", Fractions.levels)
def test_a_fraction_must_be_a_result_in_lowest_terms(level: int) -> None:
    env = Fractions(level=level)
    for item in map(env.item, range(50)):
        value = Fraction(item.answer)
        over = f"{2 * value.numerator}/{2 * value.denominator}"

        assert env.score(item, rf"\boxed{{{over}}}").value == 0.0, item.answer
        assert env.score(item, rf"\boxed{{{value} + 0}}").value == 0.0, item.answer


@pytest.mark.parametrize("level", [1, 2, 3])
def test_an_equation_is_solved_by_the_number_and_by_x_equals_the_number(level: int) -> None:
    env = LinearEquations(level=level)
    for item in map(env.item, range(50)):
        assert env.score(item, rf"\boxed{{x = {item.answer}}}").value == 1.0
        left, right = sides(question(item))
        for reply in (f"{left} = {right}", f"{right} = {left}", f"({right}) - ({left})"):
            assert env.score(item, rf"\boxed{{{reply}}}").value == 0.0, (item.prompt, reply)


def test_the_solution_solves_the_equation() -> None:
    for level in (1, 2, 3):
        env = LinearEquations(level=level)
        for item in map(env.item, range(100)):
            left, right = sides(question(item))
            x = Fraction(item.answer)

            assert line(left)[0] * x + line(left)[1] == line(right)[0] * x + line(right)[1]


def line(text: str) -> tuple[int, int]:
    """The a and b of ``ax + b``."""
    slope = re.search(r"(-?\d*)x", text)
    constant = re.search(r"([+-]? ?\d+)$", text)
    a = 0 if slope is None else int({"": "1", "-": "-1"}.get(slope[1], slope[1]))
    return a, int(constant[1].replace(" ", "")) if constant else 0


def test_a_pair_is_ordered() -> None:
    env = LinearEquations(level=4)
    for item in map(env.item, range(50)):
        x, y = item.answer.strip("()").split(", ")
        right = env.score(item, rf"\boxed{{\left({x},{y}\right)}}").value
        swapped = env.score(item, rf"\boxed{{({y}, {x})}}").value

        assert (right, swapped) == (1.0, float(x == y)), item.prompt


@pytest.mark.parametrize("level", Polynomials.levels)
def test_a_polynomial_must_be_expanded_and_collected(level: int) -> None:
    env = Polynomials(level=level)
    for item in map(env.item, range(50)):
        product = question(item).partition(": ")[2]
        steps = item.gold.splitlines()[-2]  # the products of the terms, before they are collected
        for reply in (product, f"{product} + 0", f"1 * {product}", f"0 + ({item.answer})"):
            assert env.score(item, rf"\boxed{{{reply}}}").value == 0.0, (item.prompt, reply)
        if steps != item.answer and len(re.findall("x", steps)) > len(re.findall("x", item.answer)):
            assert env.score(item, rf"\boxed{{{steps}}}").value == 0.0, (item.prompt, steps)


@pytest.mark.parametrize("level", Derivatives.levels)
def test_a_derivative_that_is_only_written_down_is_not_paid(level: int) -> None:
    env = Derivatives(level=level)
    for item in map(env.item, range(40)):
        text = question(item)
        f = text.removeprefix("What is the derivative of ").removesuffix(" with respect to x?")
        written = [f, f"({f})'", rf"\frac{{d}}{{dx}} {f}", rf"\frac{{d}}{{dx}}({f})", f"d/dx({f})"]
        written += [f"d({f})/dx", "f'(x)", "y'", f"D({f})", rf"\frac{{d({f})}}{{dx}}"]
        for reply in written:
            assert env.score(item, rf"\boxed{{{reply}}}").value == 0.0, (item.prompt, reply)


@pytest.mark.parametrize("level", Derivatives.levels)
def test_a_difference_quotient_of_the_question_is_no_derivative(level: int) -> None:
    env = Derivatives(level=level)
    for item in map(env.item, range(8)):
        text = question(item)
        f = text.removeprefix("What is the derivative of ").removesuffix(" with respect to x?")
        for step in ("h", "10^{-9}", "10^{-60}", "10^{-400}"):
            shifted = re.sub(r"(?<![a-z])x", f"(x + {step})", f)
            reply = rf"\boxed{{\frac{{({shifted}) - ({f})}}{{{step}}}}}"
            score = env.score(item, reply)

            assert score.value != 1.0, (item.prompt, reply)


def test_a_remainder_is_what_python_says() -> None:
    for level in (1, 2, 3):
        env = ModularArithmetic(level=level)
        for item in map(env.item, range(100)):
            found = re.fullmatch(
                r"What is the remainder when (.*) is divided by (.*)\?", question(item)
            )
            assert found
            left, sign, right = re.fullmatch(r"(\d+)(?: ?([+*^]) ?(\d+))?", found[1]).groups()  # type: ignore[union-attr]
            value = int(left)
            if sign:
                value = {"+": value + int(right), "*": value * int(right)}.get(
                    sign
                ) or value ** int(right)

            assert int(item.answer) == value % int(found[2])


def test_a_congruence_has_the_smallest_solution() -> None:
    env = ModularArithmetic(level=4)
    for item in map(env.item, range(100)):
        a, b, modulus = map(int, re.findall(r"\d+", question(item)))
        smallest = next(x for x in range(modulus) if a * x % modulus == b)

        assert item.answer == str(smallest)
