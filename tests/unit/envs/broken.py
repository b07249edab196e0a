"""Environments with one fault each, and one without; ``broken.py:test/Leaky-v0`` is one of them."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.envs import TextEnv, register
from bakeoff.rewards import RewardFunction
from bakeoff.types import Item

SIZES = {"train": 60, "eval": 20}
LONG = 1_000  # characters


def add(rng: random.Random) -> Item:
    a, b = rng.randrange(100, 1000), rng.randrange(100, 1000)
    return Item("", f"What is {a} + {b}?", answer=str(a + b), gold=str(a + b))


def add_with_wrong_gold(rng: random.Random) -> Item:
    item = add(rng)
    return Item("", item.prompt, answer=item.answer, gold=f"{item.answer}0")


def right(reply: str, item: Item) -> float:
    return float(reply.strip() == item.answer)


def right_or_empty(reply: str, item: Item) -> float:
    return float(reply.strip() in ("", item.answer))


def contained(reply: str, item: Item) -> float:
    return float(item.answer in reply.split())


def contained_anywhere_in_a_box(reply: str, item: Item) -> float:
    return float(reply.strip() == item.answer or f"\\boxed{{{item.answer}}}" in reply)


def any_number(reply: str, item: Item) -> float:
    return float(reply.strip().isdecimal())


def raising(reply: str, item: Item) -> float:
    return float(int(reply) == int(item.answer))


def hanging(reply: str, item: Item) -> float:
    while len(reply) > LONG:
        time.sleep(1)
    return right(reply, item)


def exiting(reply: str, item: Item) -> float:
    if len(reply) > LONG:
        os._exit(3)
    return right(reply, item)


def random_for_wrong(reply: str, item: Item) -> float:
    return max(right(reply, item), round(random.random() / 3, 6))


def by_hash(reply: str, item: Item) -> float:
    return max(right(reply, item), hash(reply) % 1000 / 3000)


def ten(reply: str, item: Item) -> float:
    return 10 * right(reply, item)


REWARDS: dict[str, RewardFunction] = {
    "Sound": right,
    "PaysEmpty": right_or_empty,
    "AnyGuess": contained,
    "AnyBox": contained_anywhere_in_a_box,
    "AnyNumber": any_number,
    "Raises": raising,
    "Hangs": hanging,
    "Exits": exiting,
    "Random": random_for_wrong,
    "ByHash": by_hash,
    "OutOfRange": ten,
}
for name, function in REWARDS.items():
    weighted = {"right": (1.0, function)}
    register(f"test/{name}-v0", make_item=add, sizes=SIZES, rewards=weighted)
register(
    "test/WrongGold-v0",
    make_item=add_with_wrong_gold,
    sizes=SIZES,
    rewards={"right": (1.0, right)},
)


class Sums(TextEnv):
    """Sums by their index, the same in both splits: ``Leaky``."""

    id = "test/Leaky-v0"
    rewards: Mapping[str, tuple[float, RewardFunction]] = {"right": (1.0, right)}

    def size(self, split: str) -> int:
        return SIZES[split]

    def item(self, index: int, split: str = "train") -> Item:
        index = self._checked_index(index, split)
        answer = str(index + 7_000)
        return Item(f"{self.id}/{split}/{index}", f"What is {index} + 7000?", answer, gold=answer)


class OneId(Sums):
    """Every item has the same id."""

    id = "test/OneId-v0"

    def item(self, index: int, split: str = "train") -> Item:
        item = super().item(index, split)
        return Item(self.id, f"{split}: {item.prompt}", item.answer, gold=item.gold)


class Drifting(Sums):
    """An item is another one whenever it is asked for."""

    id = "test/Drifting-v0"

    def item(self, index: int, split: str = "train") -> Item:
        item = super().item(index, split)
        prompt = f"{split} {random.random()}: {item.prompt}"
        return Item(item.id, prompt, item.answer, gold=item.gold)


def last_is_right(replies: Sequence[str], item: Item) -> float:
    return right(replies[-1], item)


class Endless(Sums):
    """It has three turns, and goes on whatever is replied."""

    id = "test/Endless-v0"
    turns = 3
    rewards: Mapping[str, tuple[float, RewardFunction]] = {"right": (1.0, last_is_right)}

    def turn(self, item: Item, replies: Sequence[str]) -> str | None:
        return "go on"


class Unpicklable(Sums):
    """It holds what cannot be copied."""

    id = "test/Unpicklable-v0"

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.function = lambda: None


for kind in (Sums, OneId, Drifting, Endless, Unpicklable):
    register(kind.id, kind)
