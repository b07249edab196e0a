"""Countdown: every right expression is paid, and nothing else that comes to the target."""

from __future__ import annotations

import itertools

import pytest

from bakeoff.envs.math.countdown import LEVELS, Countdown, reaches
from bakeoff.types import Item

ITEM = Item("me/1", "Make 22 from 3, 5, 7.", data={"numbers": (3, 5, 7), "target": 22})
DOUBLED = Item("me/2", "Make 10 from 5, 5, 8.", data={"numbers": (5, 5, 8), "target": 10})
TEN = Item("me/3", "Make 3 from 1, 2, 10, 20.", data={"numbers": (1, 2, 10, 20), "target": 3})


@pytest.mark.parametrize(
    "expression",
    [
        "3 * 5 + 7",
        "7+5*3",
        "(3*5)+7",
        "7 - (-5 * 3)",  # a sign is a subtraction in another order
        "3 × 5 + 7",  # noqa: RUF001
        r"3 \times 5 + 7",
        r"3 \cdot 5 + 7",
        r"\left(3 \cdot 5\right) + 7",
        "3(5) + 7",
        "3 * 5 + 7 = 22",
        "$3 * 5 + 7$",
    ],
)
def test_any_right_expression_is_paid(expression: str) -> None:
    assert reaches(rf"First 3 * 5 = 15. \boxed{{{expression}}}", ITEM) == 1.0


@pytest.mark.parametrize("expression", ["5 + 5", "5 + (8 - 8) + 5", "(5 + 5) * 8 / 8"])
def test_a_number_is_used_as_often_as_it_is_given(expression: str) -> None:
    # 5 is given twice, 8 once
    assert reaches(rf"\boxed{{{expression}}}", DOUBLED) == float(expression.count("8") <= 1)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("22", "the target is not given"),
        ("22 = 22", "nor as an equation"),
        ("3 * 5 + 7 = 23", "says another target"),
        ("22 = 3 * 5 + 7", "the expression stands first"),
        ("3 * 5 + 7 = 22 = 22", "one equation"),
        ("3 + 5 + 7", "comes to 15"),
        ("3 * 7 + 1", "1 is not given"),
        ("5 + 5 + 5 + 7", "5 three times"),
        ("35 - 7 - 5 - 1", "3 and 5 written together"),
        ("5^3 - 103", "a power"),
        ("7 + 5**2 - 10", "a power"),
        ("3! + 5 + 7 + 4", "a factorial"),
        ("3!*5 - 7 - 1", "a factorial"),
        ("0.3 * 50 + 7", "a decimal"),
        ("7.0 + 5 * 3", "a decimal"),
        ("700% + 5 * 3", "a percentage"),
        ("7 + |5 * 3|", "an absolute value"),
        (r"\sqrt{25} * 3 + 7", "a root"),
        (r"\binom{7}{5} + 1", "a binomial"),
        ("3 * 5 + 7 + x - x", "a variable"),
        ("3 * 5 + 7, 22", "a list"),
        ("3 * 5 + 7 or 22", "a hedge"),
        ("3 * 5 + 7 < 23", "an inequality"),
        (r"\text{3 * 5 + 7}", "words"),
        ("3 * 5 + 7 / (3 - 3)", "divides by zero"),
        ("3 * 5 + 7 / 0", "divides by zero"),
        ("22 + 0 * (3 + 5 + 7)", "0 is not given"),
        ("3 * 5 + 7 +", "not an expression"),
        ("３ * ５ + ７", "other digits"),  # noqa: RUF001
        ("", "empty"),
        ("(" * 10_000 + "3 * 5 + 7" + ")" * 10_000, "nested too deep"),
        ("9" * 4_000 + " * 0 + 22", "a huge number"),
        ("__import__('os').system('id') or 3 * 5 + 7", "Python"),
    ],
)
def test_what_is_not_paid(expression: str, why: str) -> None:
    assert reaches(rf"\boxed{{{expression}}}", ITEM) == 0.0, why


def test_a_quotient_is_exact() -> None:
    # 10 / 20 * 2 = 1, and 1 + 2 = 3; but 1 / 2 is not rounded: 1 / 2 * 10 = 5, 20 / (10 / 2) = 4
    assert reaches(r"\boxed{2 + 20 / 10 - 1}", TEN) == 1.0
    assert reaches(r"\boxed{\frac{20}{10} + 1}", TEN) == 1.0
    assert reaches(r"\boxed{(10 + 1) / 2 - 2}", TEN) == 0.0  # 7/2


def test_the_last_box_decides() -> None:
    assert reaches(r"\boxed{3 * 5 + 7} or \boxed{3 + 5}", ITEM) == 0.0
    assert reaches(r"\boxed{3 + 5}? No: \boxed{3 * 5 + 7}", ITEM) == 1.0


@pytest.mark.parametrize("level", LEVELS)
def test_the_target_is_none_of_the_numbers(level: int) -> None:
    env = Countdown(level=level)
    for item in map(env.item, range(200)):
        assert item.data["target"] not in item.data["numbers"]  # type: ignore[operator]


@pytest.mark.parametrize(("level", "count"), [(1, 3), (2, 4), (3, 5), (4, 6)])
def test_each_level_asks_what_it_says(level: int, count: int) -> None:
    env = Countdown(level=level)
    low, high = {1: (1, 50), 2: (10, 100), 3: (10, 200), 4: (100, 999)}[level]
    for item in map(env.item, range(200)):
        numbers = list(item.data["numbers"])  # type: ignore[call-overload]
        shown = ", ".join(map(str, numbers))

        assert len(numbers) == count and numbers == sorted(numbers)
        assert low <= item.data["target"] <= high  # type: ignore[operator]
        assert item.prompt.startswith(f"Make {item.data['target']} from the numbers {shown}. ")


@pytest.mark.parametrize("level", LEVELS)
def test_splits_share_no_numbers_and_target(level: int) -> None:
    env = Countdown(level=level)
    seen = {
        split: {
            (i.data["numbers"], i.data["target"]) for i in map(env.item, range(500), [split] * 500)
        }
        for split in ("train", "eval")
    }

    assert seen["eval"] and not seen["train"] & seen["eval"]


def test_the_gold_reply_fits_even_in_single_characters() -> None:
    longest = max(len(Countdown(level=4).item(index).gold) for index in range(500))

    assert longest < Countdown.reply_tokens


def test_sums_and_products_of_the_given_numbers_in_any_order_are_judged_by_their_value() -> None:
    signs = "+-*"
    for (a, b, c), first, second in itertools.product(itertools.permutations("357"), signs, signs):
        text = f"({a} {first} {b}) {second} {c}"
        x, y, z = int(a), int(b), int(c)
        inner = {"+": x + y, "-": x - y, "*": x * y}[first]
        value = {"+": inner + z, "-": inner - z, "*": inner * z}[second]

        assert reaches(rf"\boxed{{{text}}}", ITEM) == float(value == 22), text
