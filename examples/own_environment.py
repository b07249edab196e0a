"""A reward environment of one's own: ten lines, registered, stepped and scored.

Run it with ``python examples/own_environment.py``, or train on it with
``bakeoff train --env examples/own_environment.py:me/Reverse-v0``.
"""

import random

from bakeoff.envs import make, register
from bakeoff.types import Item


def reverse(rng: random.Random, letters: int = 4) -> Item:
    """Write a word backwards."""
    word = "".join(rng.choice("abcdefghij") for _ in range(letters))
    return Item("", f"Reverse {word}:", answer=word[::-1], gold=word[::-1])


def exact(reply: str, item: Item) -> float:
    """Return 1 for the reversed word and nothing else."""
    return float(reply.strip() == item.answer)


def in_place(reply: str, item: Item) -> float:
    """Return the share of letters that are in their place."""
    right = sum(a == b for a, b in zip(reply.strip(), item.answer, strict=False))
    return right / max(len(reply.strip()), len(item.answer))


register(
    "me/Reverse-v0",
    make_item=reverse,
    sizes={"train": 100_000, "eval": 1_000},
    rewards={"exact": (0.8, exact), "in_place": (0.2, in_place)},
    reply_tokens=8,
)

if __name__ == "__main__":
    env = make("me/Reverse-v0:letters=3")
    prompt, info = env.reset(seed=0)
    print(prompt, info)
    item = env.item(info["index"], info["split"])
    observation, reward, terminated, truncated, info = env.step(item.gold)
    print(item.gold, "->", reward, info["parts"])
