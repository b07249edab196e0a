"""The arithmetic environment: what its levels ask, and that its splits cannot leak."""

import itertools
import re

import pytest

from bakeoff.envs.math.arithmetic import LEVELS, Arithmetic
from bakeoff.envs.text_env import split_of

NUMBER = r"(\d+(?:/\d+)?)"


def contents(env: Arithmetic, split: str, count: int) -> set[str]:
    """The prompts, with the terms of sums and products in order: 5 + 3 is 3 + 5."""
    found = set()
    for index in range(count):
        prompt = env.item(index, split).prompt
        sign = "-" if " - " in prompt else "/" if " / " in prompt else ""
        numbers = re.findall(NUMBER, prompt)
        kind = "*" if "*" in prompt else sign or "+"
        found.add(kind + " ".join(numbers if sign else sorted(numbers)))
    return found


@pytest.mark.parametrize(
    ("level", "shapes"),
    [
        (1, [r"What is \d \+ \d\?"]),
        (2, [r"What is \d\d? \+ \d\d?\?", r"What is \d\d? - \d\d?\?"]),
        (
            3,
            [
                r"What is \d\d \* [2-9]\?",
                r"What is [2-9] \* \d\d\?",
                r"What is \d\d? \+ \d\d? \+ \d\d?\?",
            ],
        ),
        (4, [rf"What is {NUMBER} [+-] {NUMBER} in lowest terms\?", r"What is \d+ / \d+\?"]),
    ],
)
def test_each_level_asks_what_it_says(level: int, shapes: list[str]) -> None:
    prompts = [Arithmetic(level=level).item(index).prompt for index in range(300)]

    assert {next((s for s in shapes if re.fullmatch(s, p)), p) for p in prompts} == set(shapes)


@pytest.mark.parametrize("level", LEVELS)
def test_splits_share_no_calculation_in_any_order(level: int) -> None:
    env = Arithmetic(level=level)
    train, evaluation = (contents(env, split, 3_000) for split in ("train", "eval"))

    assert evaluation and not train & evaluation


def test_level_2_has_over_a_thousand_held_out_calculations() -> None:
    # 100 * 101 / 2 sums and 100^2 differences, of which an eighth, about 1,880, is for eval
    sums = [f"{a} + {b}" for a in range(100) for b in range(a, 100)]
    differences = [f"{a} - {b}" for a in range(100) for b in range(100)]
    held_out = [c for c in sums + differences if split_of(Arithmetic.id, c) == "eval"]

    assert len(held_out) >= 1_000


def test_neighbouring_items_are_unrelated() -> None:
    prompts = [Arithmetic().item(index).prompt for index in range(1_001)]
    # two draws are equal with probability 1/4 (1/5050 + 1/10000) at most: 0.1 of 1,000 neighbours
    repeats = sum(left == right for left, right in itertools.pairwise(prompts))

    assert repeats <= 3
    # a list shifted by one, as seeds that are added to give, would share nearly all its items
    assert len(set(prompts[:500]) & set(prompts[500:])) < 100


def test_the_question_given_back_is_not_paid() -> None:
    for level in LEVELS:
        env = Arithmetic(level=level)
        for item in map(env.item, range(300)):
            calculation = item.prompt.removeprefix("What is ").rstrip("?")
            calculation = calculation.removesuffix(" in lowest terms")
            for reply in (calculation, f"\\boxed{{{calculation}}}", f"= {calculation}"):
                assert env.score(item, reply).value == 0.0, item.prompt


def test_wellformed_is_logged_and_not_paid() -> None:
    env = Arithmetic()
    item = env.item(0)
    score = env.score(item, item.answer + "1")

    # weights 1.0 and 0.0: a wrong number is well formed, and worth nothing
    assert (score.value, dict(score.parts)) == (0.0, {"correct": 0.0, "wellformed": 1.0})


@pytest.mark.parametrize("level", [0, 5, -1])
def test_there_are_four_levels(level: int) -> None:
    with pytest.raises(ValueError, match="level must be one of 1, 2, 3, 4"):
        Arithmetic(level=level)
