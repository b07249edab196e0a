"""Traps that a careless checker falls into, each found by trying to break this one."""

from __future__ import annotations

import time

import pytest

from bakeoff.rewards.math import boxed, check, compile_gold, wellformed
from bakeoff.types import Item

P = 2305843009213693921  # a prime that towers of powers are reduced by
NO_UNITS = (
    "dozens, thousands, millions, tenths, hundredths, sixths, doubled, tripled, negative, "
    "percents, ish, hopefully, dunno, unsure, mistaken, sorry, ignore, maybe, or so, apples or 6"
)
WRONG = {
    "towers become the same modulo whatever": [
        *[
            ("x^{32}", "x^{2^{61}}"),
            ("2^{2^{100}}", "2^{2^{156}}"),
        ],
        *[("x", f"x+{P}"), ("x", f"x^{{{P}}}"), (r"\sqrt{2}", rf"\sqrt{{{P + 2}}}")],
        (r"\sin x", rf"\sin(x+{P})"),
    ],
    "exact against exact has no tolerance": [
        *[("200", r"\ln(1+e^{200})"), ("1", r"\tanh(100)"), (r"\cosh(200)", r"\sinh(200)")],
        *[(r"\frac\pi2", r"\arctan(e^{200})"), ("1", r"1-\exp(-200)"), ("0", r"\exp(-1000)")],
        *[(r"\exp(-200)", r"\exp(-300)"), (r"\exp(-1000)", r"2\exp(-1000)")],
        *[("0", r"e^{-200\sqrt2}"), (r"2^{-200\sqrt2}", r"2^{-300\sqrt2}")],
        *[(r"\sqrt[13]{100!}", r"\sqrt[13]{100!+1}"), (r"\frac\pi2", r"\arctan(100!)")],
        *[(r"\sum_{k=1}^{300}2^{-k}", "1"), (r"\sum_{k=0}^{50}\frac1{k!}", "e")],
        (r"\prod_{k=1}^{300}(1-2^{-k})", r"\prod_{k=1}^{250}(1-2^{-k})"),
        ("[0,2]", r"[0,1]\cup[1+10^{-20},2]"),
    ],
    "rounding down and up is not moved by the last bit": [
        *[("4", r"\lceil\log_2 8\rceil"), ("1", r"\lfloor\sqrt2\cdot\sqrt2\rfloor")],
        *[("2", r"\lfloor\log_5 125\rfloor"), ("2", r"\lfloor\frac{\ln 8}{\ln 2}\rfloor")],
    ],
    "a spent budget proves nothing": [
        ("x", r"|x|+0\cdot\sum_{k=1}^{1999}\sin(kx)"),
        ("x^2", r"x\cdot|x|\cdot\cos(0\cdot\sum_{k=1}^{1900}\sin(kx))"),
        (r"\{1,2\}", r"\{" + "1,2," * 100 + r"5\}"),
    ],
    "words that multiply, deny or hedge are no units": [
        ("5", f"5 {words}") for words in NO_UNITS.split(", ")
    ],
    "names are not ignored": [
        *[("3", r"\text{not} = 3"), ("3", r"\text{anything but} = 3"), ("3", "wrong = 3")],
        *[("(x,y)=(2,1)", "(y,x)=(2,1)"), ("A+B+C", "A+B+D"), ("y=2x^2", r"\frac{dy}{dx}=2x")],
        *[("f(x+y)", "f(x)+f(y)"), ("f(g(x))", "g(f(x))"), ("2f(x)", "f(2x)")],
        (r"x \equiv 3 \pmod{2^3}", r"x \equiv 3 \pmod{3^2}"),
    ],
    "a relation between two candidates is a hedge": [
        *[("85", r"85 \approx 88"), ("85", r"84 \to 85"), ("85", "86 -> 85")],
        *[("85", r"1 \to 2 \to 85"), ("3", r"3 \approx 4"), ("3", "3 = 4"), ("4", "3 = 4")],
    ],
    "nothing is dropped": [
        (r"\begin{pmatrix}2\\4\end{pmatrix}", r"2\begin{pmatrix}1&(5,6)\\2&(7,8)\end{pmatrix}"),
        (r"\text{2.5 times larger}", "25 times larger"),
        (r"\text{October 3, 1999}", "October 31, 999"),
        (r"\text{North, 3.5 km}", "North 35 km"),
        *[("5", r"\{x : 5\}"), ("56", "5 6"), ("32", "2a_{11}"), (r"60^\circ", r"30^\circ+30")],
        *[(r"\overline{x+1}", "x+1"), (r"8\sqrt2", r"2^3\frac12")],
    ],
    "functions with a kink are looked at beside it": [
        *[("|x-10|+|x-12|", "|2x-22|"), (r"\max(0,1-|x-10|)", "0")],
        *[(r"\max(0,3-|x-50|)", "0"), ("ab", "ab+(|a|+a)(|b|-b)")],
    ],
}
WRONG["an exponent or an end point has no tolerance either"] = [
    *[("2", "2^{1+10^{-60}}"), ("1", "2^{10^{-300}}"), ("1", r"\sqrt[10^{100}]{2}")],
    *[("x", "x^{1+10^{-300}}"), ("x^2", f"x^{{2.{'0' * 57}1}}"), ("f(x)", "f(x+10^{-40})")],
    *[(r"[0,\sqrt2]", r"[0,\frac{141421}{100000}]"), (r"x<\frac13", r"x<\frac{333333}{1000000}")],
    (r"[0,\frac{1234567}{1000000}]", r"[0,\frac{123457}{100000}]"),
    *[("0", r"\max(0,1-|x-10^3|)"), ("0", r"\max(0,1-|x-10\cdot10|)")],
]
WRONG["a point has an order, and a side of an equation says something"] = [
    *[("x=1,y=2", "2,1"), ("x=1,y=2", r"\{2,1\}"), ("1,2", "y=1,x=2"), ("x=1,y=2", "x=2,y=1")],
    *[("5", "3:4=5"), ("5", "6:7=5"), ("5", "x=6x=5")],
]
DENIALS = (
    "(B) is wrong; (B) is not the answer; B. is the wrong one; B: maybe; (B) and 13; "
    "(B) 12 and C13; (B) 12 / the third one; (B) 12, not sure; (B) unless it is none; (B) or (C)"
)
WRONG["a choice that is denied or doubted is none"] = [
    ("B", reply) for reply in DENIALS.split("; ")
]
WRONG["numbers in letters are no units"] = [
    ("5", f"5 {word}")
    for word in [
        "sixes",
        "thirteens",
        "sixties",
        "lakhs",
        "crores",
        "millionths",
        "twelfths",
        "percentages",
        "minuses",
    ]
]
RIGHT = [
    *[("B", r"\textbf{(B)}\ 12"), ("B", "(B) 12"), ("B", "B) 12"), ("A, C", r"\text{A and C}")],
    *[(r"\text{(A), (C)}", "A, C"), ("i", "(i)"), ("e", "(e)"), ("a", "(a)")],
    *[(r"[0,\sqrt2]", "[0,1.41421]"), (r"x<\frac13", "x<0.333333")],
    *[(r"\sqrt2\cdot10^5", r"1.41421\times10^5"), ("e", "2.718281828...")],
    *[("2a_n", "2a_{n}"), ("2x_1", "2x_{1}"), (r"20^\circ C", "20 degrees Celsius")],
    *[(r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "[[1,2],[3,4]]"), ("x^2", "y(x)=x^2")],
    *[(r"\frac12", r"\boldsymbol{\frac12}"), (r"\frac12", r"\color{blue}{\frac12}")],
    *[(r"\frac\pi4+k\pi", r"\frac{\pi}{4}+k\pi, k\in\mathbb Z"), ("x^2/2+C", r"\frac{x^2}{2}+C_1")],
    *[("10", "C(5,2)"), ("10", r"\max\{10,2\}"), ("5", r"\boxed 5"), ("5", "Therefore, x = 5.")],
    *[("5", "The answer is 5 because 2+3 is 5."), ("(2n-1)!!", "(2n-1)!!"), ("4", r"19 \bmod 5")],
    *[(r"x\le -1 \text{ or } x\ge 3", r"x\le -1, x\ge 3"), (r"\gcd(a,b)", r"\gcd(a,b)")],
    *[("4", r"2^3\frac12"), (r"\frac{x^2}{3}", r"x^2\frac13"), ("3", r"\lceil\log_2 8\rceil")],
    (r"\operatorname{arcsinh}(10^9)", r"\ln(10^9+\sqrt{10^{18}+1})"),
    *[
        ("lwh", r"l\cdot w\cdot h"),
        ("0", r"\sin\pi"),
        (r"\frac{\sqrt6-\sqrt2}{4}", r"\sin 15^\circ"),
    ],
    *[(r"60\text{ mph}", r"60\frac{\text{miles}}{\text{hour}}"), (r"9.8\text{ m/s}^2", "9.8 m/s²")],
    *[("3:4", "x:y=3:4"), (r"12^{\text{th}}", "12th"), ("8:34 p.m.", r"8{:}34\text{ PM}")],
    *[("B", "(B) a circle"), ("B", "B. a dog"), ("A", "A) A triangle"), ("B", "Option B: 12")],
    *[("(2,3)", r"\boxed{{(2,3)}}"), ("x=5", r"\boxed{{x=5}}"), ("x>3", r"\boldsymbol{x>3}")],
    *[("[1,2]", r"\color{red}{[1,2]}"), (r"\text{no}", r"\displaystyle \text{no}")],
    *[("2A_{16}", r"\displaystyle 2A_{16}\,"), ("8:00 AM", r"\displaystyle 8:00 AM")],
    *[(r"\frac\pi3", r"60^\circ"), (r"60^\circ", r"\frac\pi3\text{ radians}"), ("90^\\circ", "90")],
    *[("5", "5 sheep"), ("5", "5 children"), ("2,3", "x_1=3, x_2=2")],
    *[("x=1, y=-2", r"\begin{cases}x=1\\y=-2\end{cases}"), ("(1,2)", "x = 1, y = 2")],
]
HOSTILE = {
    "bars over bars": r"\overline{a+" * 50 + "x" + "}" * 50,
    "a sum of binomials": "+".join([r"\binom{20000}{10000}"] * 98),
    "a set of binomials": ",".join(rf"\binom{{20000}}{{{10000 - k}}}" for k in range(90)),
    "blanks": r"\boxed" + " " * 4800 + "5",
    "4,500 digits": "9" * 4500,
    "4,500 decimals": "0." + "1" * 4500,
    "percent signs": "5" + "%" * 700,
    "functions of functions": r"\sin " * 200 + "x",
    "roots of roots": r"\sqrt" * 300 + "2",
    "an angle near 0": r"\cos(10^{-3000})",
    "a difference of 10^-3000": r"1+\sqrt2+\sqrt3-\sqrt{5+2\sqrt6}+10^{-3000}",
    "several of them": "(" + ",".join([r"\cos(10^{-3000})"] * 3) + ")",
    "a chain of them": "=".join([r"\cos(10^{-3000})"] * 6) + "=1",
    "a root of a factorial": r"\sqrt[3]{6000!}",
    "a repeating decimal of 5,000 digits": "0." + "1" * 4950 + "2...",
    "a continued fraction": r"\frac{1}{x+" * 25 + "x" + "}" * 25 + "=y^2",
    "a sum of long fractions": "+".join(rf"\frac{{1}}{{{n}^{{3000}}}}" for n in range(101, 215, 2)),
}
ITEM = Item("test/1", "What is it?", answer="1")


@pytest.mark.parametrize("trap", WRONG)
def test_a_trap_is_not_right(trap: str) -> None:
    verdicts = {(gold, reply): check(gold, reply).correct for gold, reply in WRONG[trap]}

    assert {pair: verdict for pair, verdict in verdicts.items() if verdict is not False} == {}


def test_what_models_write_is_right() -> None:
    verdicts = {(gold, reply): check(gold, reply) for gold, reply in RIGHT}

    assert {pair: verdict for pair, verdict in verdicts.items() if not verdict.correct} == {}


def test_a_gold_beyond_the_budget_equals_itself_as_written_and_nothing_is_claimed_besides() -> None:
    # taller and taller towers of nines have the same residue modulo whatever, in the end
    assert check("9^{9^{9^9}}", "9^{9^{9^{9^9}}}").correct is None
    assert check("9^{9^{9^9}}", r"\boxed{9^{9^{9^9}}}").correct is True
    assert check("50000!", r"\boxed{50000 \cdot 49999!}").correct is None


@pytest.mark.parametrize("gold", ["1", "x^2+y^2=1"])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_reply_makes_itself_unscored_or_takes_long(name: str, gold: str) -> None:
    check("sqrt(3)", "sqrt(5)")
    start = time.process_time()

    assert check(gold, rf"\boxed{{{HOSTILE[name]}}}").correct is False
    assert time.process_time() - start < 2
    # the other parts of a reward are total as well: a number in [0, 1], whatever the reply
    assert boxed(rf"\boxed{{{HOSTILE[name]}}}", ITEM) in (0.0, 1.0)
    assert wellformed(HOSTILE[name], ITEM) in (0.0, 1.0)


@pytest.mark.parametrize("gold", [r"\sin " * 300 + "x", r"\sqrt" * 300 + "2", "5" + "%" * 700])
def test_a_gold_that_is_too_deep_is_an_error_in_the_data(gold: str) -> None:
    with pytest.raises(ValueError, match="cannot read the right answer"):
        compile_gold(gold)


def test_equal_values_that_no_theorem_bounds_are_left_to_sympy_or_not_told() -> None:
    # the same sum of nine square roots twice: over 2^9 conjugates the bound is beyond the budget;
    # the trees differ by an identity, 9 = 3^2, so that the residues say nothing
    gold = "+".join(rf"\sqrt{{{n}}}" for n in (2, 3, 5, 7, 11, 13, 17, 19, 23))
    reply = gold.replace(r"\sqrt{2}", r"\frac{2}{\sqrt{2}}")

    assert check(gold, reply).correct is not False
    assert check(gold, reply + "+10^{-30}").correct is False


def test_an_interval_may_end_beyond_the_floats() -> None:
    assert check("[0,10^{400}]", r"\boxed{[0,10^{400}]}").correct is True
    assert check("[0,10^{400}]", r"\boxed{[0,10^{401}]}").correct is False
