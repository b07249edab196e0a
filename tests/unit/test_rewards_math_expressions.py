"""The parser, exact values, values modulo a prime, and values to many digits."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.rewards.math.equality import rational, same_value
from bakeoff.rewards.math.equality.modular import congruent
from bakeoff.rewards.math.equality.numeric import value_at
from bakeoff.rewards.math.equality.symbolic import decided_by_sympy, encoded, serve
from bakeoff.rewards.math.expressions import ExpressionError, Node, OverBudget, ParseError, parse
from bakeoff.rewards.math.expressions.lexing import MAX_DEPTH, MAX_TOKENS


def value(text: str) -> Fraction | None:
    return rational(parse(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[("85", 85), ("-85", -85), ("+85", 85), ("085", 85), ("85.", 85), (".5", Fraction(1, 2))],
        ("\u221285", -85),  # the minus sign of unicode
        *[("1,080", 1080), ("1{,}080", 1080), (r"1\,080", 1080), (r"1,\!080", 1080)],
        ("12,345,678.5", Fraction(24691357, 2)),
        *[
            ("50%", Fraction(1, 2)),
            (r"50\%", Fraction(1, 2)),
            ("1.5e3", 1500),
            ("1E-2", Fraction(1, 100)),
        ],
        *[
            ("7/12", Fraction(7, 12)),
            (r"\frac{7}{12}", Fraction(7, 12)),
            (r"\dfrac12", Fraction(1, 2)),
        ],
        *[(r"2\frac{1}{3}", Fraction(7, 3)), ("2 1/3", Fraction(7, 3)), ("2⅓", Fraction(7, 3))],
        (r"-2\frac{1}{3}", Fraction(-7, 3)),
        (r"2\frac{4}{3}", Fraction(8, 3)),  # not proper, so a product
        (r"0.\overline{45}", Fraction(5, 11)),  # 45/99
        ("0.1666...", Fraction(1, 6)),
        ("2(3)", 6),  # a parenthesis multiplies
        *[(r"2 \times 3 \cdot 4 \div 6", 4), ("2 × 3 ÷ 4", Fraction(3, 2))],  # noqa: RUF001
        ("1 - 2 - 3", -4),  # from the left
        ("8 / 4 / 2", 1),
        ("2^3^2", 512),  # from the right: 2^9
        ("-2^2", -4),  # the power binds tighter than the sign
        *[
            ("2^{-1}", Fraction(1, 2)),
            ("2**10", 1024),
            ("2²", 4),
            ("8^{1/3}", 2),
            ("(-8)^{1/3}", -2),
        ],
        *[("sqrt(9/4)", Fraction(3, 2)), (r"\sqrt{49} + \sqrt4 + √16", 13), (r"\sqrt[3]{-27}", -3)],
        *[("5!", 120), ("7!!", 105), (r"\binom{10}{3}", 120), (r"{10 \choose 3}", 120)],
        *[(r"{3 \over 4}", Fraction(3, 4)), (r"\lfloor -3.7 \rfloor", -4), ("|3 - 5|", 2)],
        *[("gcd(12, 18)", 6), ("1010_2", 10), (r"204_{5}", 54)],
    ],
)
def test_value(text: str, expected: int | Fraction) -> None:
    assert value(text) == expected


@pytest.mark.parametrize("text", ["pi", "sqrt(2)", "2^{1/2}", "0 * pi", "x", "e", "i", r"\sin 1"])
def test_what_rational_arithmetic_cannot_tell_is_none(text: str) -> None:
    assert value(text) is None


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (r"\sin 2x\cos x", r"(\sin(2x))(\cos(x))"),  # an argument ends at the next function
        (r"\sin^2 x", r"(\sin(x))^2"),
        (r"\sin^{-1} x", r"\arcsin(x)"),
        (r"\ln x^2", r"\ln(x^2)"),
        ("sin pi/6", r"\sin(\frac{\pi}{6})"),
        (r"\frac12x^2", r"(\frac{1}{2})(x^2)"),
        (r"\log_2 8", r"\log_{2}(8)"),
        ("2xy", r"2 \cdot x \cdot y"),
        ("1/2x", "(1/2)x"),
        ("x_1+x_{12}", "x_{1} + x_{12}"),
    ],
)
def test_where_an_operand_ends(text: str, same: str) -> None:
    assert _shape(parse(text)) == _shape(parse(same))


def _shape(node: Node) -> object:
    """Return a tree with products in products flattened, for their brackets mean nothing."""
    parts = [_shape(part) for part in node.args]
    if node.head == "*":
        nested = [
            part[1] if isinstance(part, tuple) and part[0] == "*" else [part] for part in parts
        ]
        parts = [factor for factors in nested for factor in factors]
    return (node.head, parts, node.value)


@pytest.mark.parametrize(
    "text",
    [
        *["", "85 or 86", "85, 86", "85 86", "1.2.3", "(1", "1)", "1 +", "* 1", "2^", "x2", "3 4"],
        *[r"\frac{1}", r"\sqrt", r"\int_0^1 x\,dx", r"\lim_{x\to 0} x", "3!!!", "stop", "|1"],
        *["__import__('os')", "True", "\x00", "\ud800", "1_000", "2_2", "19_8", "\u0663"],
    ],
)
def test_what_is_not_of_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *["1/0", "1/(1-1)", "0^0", "0^{-1}", "pi/0", "x/(y-y)", "1/(sqrt(2)^2-2)", r"\ln 0"],
        *[r"\tan 90°", r"\infty", r"1/\sin\pi", r"\lfloor i \rfloor"],
    ],
)
def test_what_has_no_value_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        same_value(parse(text), parse("sqrt(7)"))


@pytest.mark.parametrize("text", ["9**9**9**9", "2^{-1000000}", "(10^90000)^2000", "99999!"])
def test_a_value_beyond_the_budget_is_not_worked_out(text: str) -> None:
    with pytest.raises(OverBudget):
        value(text)


def test_powers_of_one_cost_nothing() -> None:
    # (-1)^n is 1 for an even n, whatever its size
    assert value("(-1)^(10^30)") == 1


@pytest.mark.parametrize(
    ("largest", "too_large"),
    [
        (
            "(" * (MAX_DEPTH - 1) + "1" + ")" * (MAX_DEPTH - 1),
            "(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH,
        ),
        ("1" + "+1" * ((MAX_TOKENS - 1) // 2), "1" + "+1" * MAX_TOKENS),
        ("-" * 20 + "1", "-" * 21 + "1"),
    ],
)
def test_the_budgets_of_a_text(largest: str, too_large: str) -> None:
    parse(largest)

    with pytest.raises(ParseError):
        parse(too_large)


LEAVES = st.sampled_from(["x", "y", "2", "7", "i", r"\pi"])
TERMS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda ab: f"({ab[0]}+{ab[1]})"),
        st.tuples(inner, inner).map(lambda ab: f"({ab[0]})({ab[1]})"),
        st.tuples(inner, st.integers(0, 3)).map(lambda an: f"(({an[0]})^{an[1]})"),
        inner.map(lambda a: f"(-{a})"),
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TERMS, TERMS, TERMS)
def test_a_ring_is_a_ring_modulo_the_prime(a: str, b: str, c: str) -> None:
    if "0" in {part for text in (a, b, c) for part in text.split("^")[1:2]}:
        return  # 0^0 has no value
    left, right = f"({a})(({b})+({c}))", f"({a})({b})+({c})({a})"

    assert same_value(parse(left), parse(right)).equal is True
    assert same_value(parse(left), parse(f"{right}+1")).equal is False


def test_minus_one_has_a_root_modulo_the_prime() -> None:
    assert congruent(parse("i^2"), parse("-1")).equal is True
    assert congruent(parse("i^3"), parse("i")).equal is False


def test_other_residues_of_roots_and_functions_prove_nothing() -> None:
    # sin^2 + cos^2 is 1, and sqrt(2)^2 is 2, though their residues differ
    for text, value in (("sqrt(2)^2", "2"), (r"\sin^2 x + \cos^2 x", "1"), ("4^{x/2}", "2^x")):
        assert congruent(parse(text), parse(value)).equal is None
    assert congruent(parse("x^{1/2} + 1"), parse(r"1 + \sqrt{x}")).equal is True
    assert congruent(parse(r"\sin(x+y)"), parse(r"\sin(y+x)")).equal is True


@pytest.mark.parametrize("text", [r"\tan 90° - \tan 90°", r"5 + 0\ln 0", "0/(sqrt(2)^2-2)"])
def test_what_has_no_value_is_not_equal_to_itself(text: str) -> None:
    with pytest.raises(ExpressionError):
        same_value(parse(text), parse(text))


@pytest.mark.parametrize(
    ("text", "point", "expected"),
    [
        (r"\sqrt[3]{x}", -8, -2.0),  # real for an odd order
        ("x^{1/3}", -8, -2.0),
        (r"\arctan x", 1, 0.7853981633974483),  # pi/4
        (r"\log_2 x", 8, 3.0),
        (r"\sum_{k=1}^{4} k x^k", 1, 10.0),  # 1 + 2 + 3 + 4
        (r"\prod_{k=1}^{3} (x+k)", 1, 24.0),  # 2 * 3 * 4
        (r"\binom{x}{2}", 5, 10.0),
        ("cosh(x)", 0, 1.0),
        (r"\operatorname{arccot}(x)", 0, 1.5707963267948966),  # pi/2
        ("30°", 0, 0.5235987755982988),  # pi/6
    ],
)
def test_value_at_a_point(text: str, point: int, expected: float) -> None:
    found = value_at(parse(text), {"x": Fraction(point)}, 100)

    assert float(found) == pytest.approx(expected, rel=1e-14, abs=1e-14)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (r"\sqrt{5+2\sqrt{6}}", r"\sqrt2+\sqrt3", True),  # square both sides
        ("(1+sqrt(2))^{100} (sqrt(2)-1)^{100}", "1", True),  # (1 + r)(r - 1) = r^2 - 1 = 1
        ("1 + (sqrt(2)-1)^{1000}", "1", False),  # off by 10^-383
        (r"e^{\pi\sqrt{163}}", "262537412640768744", False),  # off by 7.5e-13
        (r"\cosh^2 x - \sinh^2 x", "1", True),  # e^2000 cancels at x = 1000
        ("|x|", "x", False),
        (r"\sqrt{x^2}", "|x|", True),
        (r"\ln x^2", r"2\ln x", True),  # where both are real
        (r"\sin(\pi x)", "0", False),  # at the whole numbers only
        (r"\sin(720720\pi x)", "0", False),
        ("|x+10|", "x+10", False),  # differ below -10 only
        ("|a+b|", "|a|+|b|", False),
        (r"\lceil x\rceil", r"\lfloor x\rfloor+1", False),  # differ at the whole numbers only
        ("x^2-y^2", "(x-y)(x+y)", True),
        (r"\frac{(n+2)!}{n!}", "(n+1)(n+2)", True),
        (r"\frac{2}{i}", "-2i", True),
        (r"\frac{x}{x}", "1", True),
        ("x+10^{-200}", "x", False),
        (r"\sqrt{x}+10^{-200}", r"\sqrt{x}", False),
        (r"e^{i\pi}", "-1", True),
    ],
)
def test_same_value(left: str, right: str, equal: bool) -> None:
    assert same_value(parse(left), parse(right)).equal is equal
    assert same_value(parse(right), parse(left)).equal is equal


def test_a_sum_of_square_roots_is_told_from_its_neighbour() -> None:
    # sums of k square roots of numbers below n may lie within 10^-20 of each other; none is equal
    # to another one unless the numbers are the same, as square roots of square-free numbers are
    # linearly independent
    rng = random.Random(0)
    free = [n for n in range(2, 200) if all(n % (d * d) for d in range(2, 15))]
    for _ in range(20):
        first, second = (sorted(rng.sample(free, 4)) for _ in range(2))
        left, right = (parse("+".join(f"sqrt({n})" for n in ns)) for ns in (first, second))

        assert same_value(left, right).equal is (first == second)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (r"\sin^2 x + \cos^2 x", "1", True),
        ("|x y|", "|x| |y|", True),
        (r"\sqrt[3]{-8}", "-2", True),
        (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}", True),  # its upper end is a variable
        ("sqrt(2)", "sqrt(3)", False),
        (r"\log_2 8 + \arctan 1 + 30°", r"3 + \frac{5\pi}{12}", True),  # pi/4 + pi/6
        (r"\binom{5}{2} \cdot 4! - \lfloor \pi \rfloor + 50\%", "237.5", True),  # 240 - 3 + 1/2
    ],
)
def test_sympy_is_built_from_trees_and_decides(left: str, right: str, equal: bool) -> None:
    assert serve([encoded(parse(left)), encoded(parse(right))]) is equal


def test_sympy_decides_in_another_process() -> None:
    assert decided_by_sympy(parse(r"\sum_{k=1}^{n} k"), parse("n(n+1)/2")) is True


def test_what_sympy_takes_too_long_for_cannot_be_told() -> None:
    # a sum without end, of terms that have no closed form
    assert decided_by_sympy(parse(r"\sum_{k=1}^{n} \sin(k^k x) k!"), parse("x^n")) is None
