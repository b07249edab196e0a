r"""Pairs whose truth is known by how they were made, of all kinds of answers but plain expressions.

Sets, tuples, intervals, complex numbers, matrices, units, equations, hedges, and the traps that a
careless checker falls into.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from same_answer import differ, quick, same

from bakeoff.rewards.math import check

FEW = st.lists(st.integers(-20, 20), min_size=2, max_size=5, unique=True)


@quick
@given(FEW, st.data())
def test_sets_have_no_order_and_tuples_have(members: list[int], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(members).filter(lambda other: other != members))
    listed, reordered = ", ".join(map(str, members)), ",".join(map(str, shuffled))

    same(rf"\{{{listed}\}}", rf"\{{{reordered}\}}")
    same(listed, reordered)
    same(listed, r" \text{ and } ".join(map(str, shuffled)))
    same(f"({listed})", f"({listed.replace(' ', '')})")
    differ(f"({listed})", f"({reordered})")
    for other in (shuffled[1:], [*shuffled, 77], [*shuffled[1:], 77]):
        differ(rf"\{{{listed}\}}", rf"\{{{', '.join(map(str, other))}\}}")
    assert check(str(members[0]), rf"\boxed{{{listed}}}").correct is False


@quick
@given(st.integers(-30, 30), st.integers(1, 30))
def test_an_interval_is_its_inequality(low: int, length: int) -> None:
    high = low + length
    gold = f"[{low},{high})"

    same(gold, rf"{low} \le x < {high}")
    same(gold, rf"{high} > x \geq {low}")
    same(gold, rf"x \in [{low}, {high})")
    same(rf"[{low},\infty)", rf"x \ge {low}")
    same(rf"(-\infty,{low})\cup({high},\infty)", rf"x<{low} \text{{ or }} x>{high}")
    differ(f"({low},{high})", rf"{low} \le x \le {high}")
    differ(rf"[{low},\infty)", rf"x \le {low}")
    for other in (f"[{low},{high}]", f"({low},{high}]", f"[{low},{high + 1})", f"{low}"):
        differ(gold, other)


@quick
@given(*[st.integers(-9, 9).filter(bool)] * 4)
def test_complex_numbers_multiply(a: int, b: int, c: int, d: int) -> None:
    # (a+bi)(c+di) = (ac - bd) + (ad + bc) i
    real, imaginary = a * c - b * d, a * d + b * c
    product = rf"({a}{b:+d}i)({c}{d:+d}i)"

    same(f"{real}{imaginary:+d}i", product)
    same(f"{imaginary}i{real:+d}", product)
    same(f"{a}{b:+d}i", rf"\frac{{{real}{imaginary:+d}i}}{{{c}{d:+d}i}}")
    differ(f"{real}{imaginary + 1:+d}i", product)
    differ(f"{a}{b:+d}i", f"{a}{-b:+d}i")
    differ(f"{a}{b:+d}i", f"{a}{b:+d}")


@quick
@given(st.lists(st.integers(-9, 9), min_size=4, max_size=4, unique=True), st.integers(0, 3))
def test_matrices_are_equal_entry_by_entry(entries: list[int], changed: int) -> None:
    def matrix(cells: list[str], kind: str = "pmatrix") -> str:
        body = r" {} & {} \\ {} & {} ".format(*cells)
        return rf"\begin{{{kind}}}{body}\end{{{kind}}}"

    cells = list(map(str, entries))
    gold = matrix(cells)
    same(gold, matrix(cells, "bmatrix"))
    same(gold, matrix([rf"\frac{{{2 * entry}}}{{2}}" for entry in entries]))
    differ(gold, matrix([cells[0], cells[2], cells[1], cells[3]]))
    differ(gold, matrix([*cells[:changed], "77", *cells[changed + 1 :]]))


UNITS = ["cm", "kg", "seconds", "km", "hours", "dollars"]


@quick
@given(st.integers(2, 500), st.sampled_from(list(itertools.permutations(UNITS, 2))))
def test_a_unit_may_be_left_out_but_not_be_another(number: int, units: tuple[str, str]) -> None:
    unit, other = units
    gold = rf"{number}\text{{ {unit}}}"

    for reply in (f"{number}", f"{number} {unit}", rf"{number}\,\mathrm{{{unit}}}"):
        same(gold, reply)
    for reply in (rf"{number}\text{{ {other}}}", f"{number + 1} {unit}", f"{number + 1}"):
        differ(gold, reply)


@quick
@given(st.integers(2, 500), st.integers(1, 9))
def test_hedges_and_what_says_nothing_are_wrong(gold: int, step: int) -> None:
    other = gold + step
    for reply in [
        *[f"{gold} or {other}", rf"{other}\text{{ or }}{gold}", f"{gold}, {other}"],
        *[f"{gold} and {other}", rf"{gold}\text{{ but not }}{other}", f"{gold} {other}"],
        *[f"{gold}/{other}", f"{gold}-{other}", rf"[{gold - 1},{other}]", rf"x \ge {gold}"],
        *[rf"\{{{gold},{other}\}}", rf"{gold} \pm {step}", rf"\pm {gold}", "x", "n", "x=x"],
        *["", "?", r"\ldots", "nan", r"\frac{0}{0}", r"\infty", r"\mathbb{R}", "True"],
        *[r"\text{any number}", rf"{gold} \neq {other}", f"not {gold}", rf"\neq {gold}"],
    ]:
        verdict = check(str(gold), rf"\boxed{{{reply}}}")
        assert verdict.correct is False, f"{reply!r} is no answer {gold}, not: {verdict}"


@quick
@given(st.integers(-30, 30), st.integers(1, 30))
def test_an_equation_must_be_solved(solution: int, shift: int) -> None:
    same(str(solution), f"x={solution}")
    same(f"x={solution}", f"x = {solution + shift} - {shift}")
    for unsolved in (f"x+{shift}={solution + shift}", f"{shift + 1}x={(shift + 1) * solution}"):
        assert check(str(solution), unsolved).correct is False, unsolved
        assert check(f"x={solution}", unsolved).correct is False, unsolved
    differ(f"x={solution}", f"x={solution + shift}")


@quick
@given(*[st.integers(1, 9)] * 4)
def test_a_line_is_the_same_with_sides_swapped_moved_and_scaled(
    a: int, b: int, c: int, k: int
) -> None:
    line = f"{a}x+{b}y={c}"

    same(line, f"{c} = {b}y + {a}x")
    same(line, f"{k * a}x+{k * b}y-{k * c}=0")
    same(line, rf"y=\frac{{{c}-{a}x}}{{{b}}}")
    differ(line, f"{a}x-{b}y={c}")
    differ(line, f"{a}x+{b}y={c + k}")


@pytest.mark.parametrize(
    ("gold", "trap"),
    [
        ("10^{-7}", r"2 \cdot 10^{-7}"),  # an absolute tolerance
        (r"\frac{1}{2004!}", r"\frac{1}{2006!}"),
        ("2^{-99}", "2^{-98}"),
        ("12345678901234567890", "12345678901234567891"),  # floats
        ("12", "12.000001"),  # a tolerance for an integer
        (r"\sqrt{2}", r"\frac{665857}{470832}"),  # 1.6e-12 apart
        (r"e^{\pi\sqrt{163}}", "640320^3+744"),  # 7.5e-13 apart
        (r"\frac{\ln(640320^3+744)}{\sqrt{163}}", r"\pi"),  # 31 digits agree
        ("x", r"x+\sin(\pi x)"),  # probes at integers
        ("|x|", "x"),  # probes at positive points
        (r"\sqrt{x^2}", "x"),
        (r"\lfloor x \rfloor", "x"),
        ("x^2", "x^2+10^{-30}"),
        (r"\sin^2 x", r"\sin x^2"),
        (r"\sin 2x", r"2\sin x"),
        (r"\text{stop}", "pots"),  # a word read as a product of letters
        ("x^2+1=0", "x^2+2=0"),  # sets of real solutions: both empty
        (r"1-\frac{1}{\mathrm{e}}", r"1-\frac{1}{\mathrm{m}}"),
        ("204_5", "204_6"),
        ("123", "1,2,3"),
        ("1", r"\frac{1}{2}"),
        ("5", "500"),  # percent both ways
    ],
)
def test_what_fools_a_careless_checker_is_wrong(gold: str, trap: str) -> None:
    differ(gold, trap)
