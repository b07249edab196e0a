"""Instructions: a reply of a given form, as in IFEval (https://arxiv.org/abs/2311.07911).

What is asked for is form alone, so that code can check all of it. IFEval's forms are checked on
free text, where an empty or a rambling reply meets many of them; here a reply has a shape as well,
and one that does not have it meets none.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from bakeoff.envs.games.constraints import KINDS, Constraint, in_words, met
from bakeoff.envs.games.family import Family, Levels, Task
from bakeoff.rewards import RewardFunction
from bakeoff.types import Item

ASKED = {
    "number": "Write a number.",
    "words": "Write a line of at most 9 words, and nothing else.",
    "list": 'Write a list of words, and nothing else; every line starts with "- ".',
    "json": "Write a JSON object, and nothing else.",
}
FIRST = {  # constraints that no reply meets by leaving things out: one of them is always there
    "number": ("digits", "starts", "ends", "twice", "sum"),
    "words": ("count", "starts", "ends"),
    "list": ("count", "last"),
    "json": ("keys",),
}
WORDS = (
    "apple", "bread", "chair", "dance", "early", "fresh", "green", "house",
    "island", "jump", "kind", "lemon", "music", "night", "ocean", "paper",
    "quiet", "river", "small", "table", "under", "voice", "water", "young",
)  # fmt: skip
KEYS = ("age", "cost", "days", "height", "miles", "price", "rank", "size", "weight", "year")
TRIES = 40  # replies built to find one that meets all constraints


def all_met(reply: str, item: Item) -> float:
    """Return 1 if the reply meets every constraint, else 0."""
    return float(all(_met(reply, item)))


def share_met(reply: str, item: Item) -> float:
    """Return the share of the constraints that the reply meets; 0 if it does not have the shape.

    Example:
        >>> asked = (Constraint("digits", (3,)), Constraint("ends", ("7",)))
        >>> item = Item("", "", data={"shape": "number", "constraints": asked})
        >>> [share_met(reply, item) for reply in ("127", "27", "12", "It is 127")]
        [1.0, 0.5, 0.0, 0.0]
    """
    found = _met(reply, item)
    return sum(found) / len(found)


def _met(reply: str, item: Item) -> list[bool]:
    constraints = cast(tuple[Constraint, ...], item.data["constraints"])
    return met(reply, str(item.data["shape"]), constraints)


def _task(rng: random.Random, *, constraints: int) -> Task:
    while True:
        shape = rng.choice(("number", "number", "words", "list", "json"))
        first = rng.choice(FIRST[shape])
        others = [kind for kind in KINDS[shape] if kind != first]
        kinds = [first, *rng.sample(others, min(constraints - 1, len(others)))]
        values = _values(rng, shape)
        asked = tuple(Constraint(kind, values[kind]) for kind in kinds)
        golds = (BUILD[shape](rng, dict(asked)) for _ in range(TRIES))
        gold = next((text for text in golds if all(met(text, shape, asked))), None)
        if gold is not None and len(asked) == constraints:
            break
    said = [in_words(shape, constraint) for constraint in asked]
    content = " ".join([shape, *sorted(said)])
    rng.shuffle(said)
    prompt = " ".join([ASKED[shape], *said])
    return Task(prompt, content, gold, data={"shape": shape, "constraints": asked})


def _values(rng: random.Random, shape: str) -> dict[str, tuple[Any, ...]]:
    """Return what would complete the constraints of each kind."""
    if shape == "number":
        first, second, third, fourth = rng.sample("0123456789", 4)
        digits, total = rng.randint(2, 7), rng.randint(5, 25)
        return {
            "digits": (digits,),
            "starts": (first,),
            "ends": (second,),
            "twice": (third,),
            "without": (fourth,),
            "sum": (total,),
        }
    if shape == "json":
        keys = rng.sample(KEYS, 2)
        value, rest = rng.randint(2, 50), rng.randint(2, 50)
        return {
            "keys": tuple(sorted(keys)),
            "above": (rng.randint(1, 9),),
            "sum": (value + rest,),
            "value": (rng.choice(keys), value),
        }
    first, last = rng.sample(WORDS, 2)
    count = rng.randint(3, 8) if shape == "words" else rng.randint(2, 5)
    shared: dict[str, tuple[Any, ...]] = {
        "count": (count,),
        "without": (rng.choice("aeiosthnlr"),),
        "lower": (),
    }
    if shape == "words":
        return {**shared, "starts": (first,), "ends": (last,)}
    return {**shared, "each": (rng.randint(2, 3),), "last": (last,)}


def _number(rng: random.Random, asked: Mapping[str, tuple[Any, ...]]) -> str:
    (length,) = asked.get("digits", (rng.randint(2, 5),))
    banned, twice = "".join(asked.get("without", ())), "".join(asked.get("twice", ()))
    digits = rng.choices([d for d in "0123456789" if d not in banned + twice], k=length)
    if twice and length >= 2:
        for place in rng.sample(range(length), 2):
            digits[place] = twice
    (digits[0],), (digits[-1],) = asked.get("starts", digits[:1]), asked.get("ends", digits[-1:])
    return "".join(digits)


def _some_words(rng: random.Random, asked: Mapping[str, tuple[Any, ...]], count: int) -> list[str]:
    letter = "".join(asked.get("without", ())) or "-"
    return rng.choices([word for word in WORDS if letter not in word], k=count)


def _line(rng: random.Random, asked: Mapping[str, tuple[Any, ...]]) -> str:
    (count,) = asked.get("count", (3,))
    words = _some_words(rng, asked, count)
    (words[0],), (words[-1],) = asked.get("starts", words[:1]), asked.get("ends", words[-1:])
    return " ".join(words)


def _list(rng: random.Random, asked: Mapping[str, tuple[Any, ...]]) -> str:
    (count,), (each,) = asked.get("count", (2,)), asked.get("each", (1,))
    lines = [_some_words(rng, asked, each) for _ in range(count)]
    (lines[-1][-1],) = asked.get("last", lines[-1][-1:])
    return "\n".join("- " + " ".join(line) for line in lines)


def _object(rng: random.Random, asked: Mapping[str, tuple[Any, ...]]) -> str:
    total = asked["sum"][0] if "sum" in asked else rng.randint(4, 100)
    found = dict.fromkeys(asked["keys"], 1)
    key, value = asked.get("value", (asked["keys"][0], total // 2))
    for name in found:
        found[name] = value if name == key else total - value
    return json.dumps(found)


BUILD: Mapping[str, Callable[[random.Random, Mapping[str, tuple[Any, ...]]], str]] = {
    "number": _number,
    "words": _line,
    "list": _list,
    "json": _object,
}
LEVELS: Levels = {level: partial(_task, constraints=level) for level in (1, 2, 3, 4)}


class Instructions(Family):
    """Write one whole number that has 4 digits and ends with 7. Form alone is asked for.

    Args:
        level: how many constraints there are, beside the shape of the reply: 1 to 4; ``"1-3"``
            mixes 1, 2 and 3.
        partial: whether the score is the share of the constraints that are met; otherwise it is 1
            if all are, else 0.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split.

    Example:
        >>> env = Instructions(level=2)
        >>> env.score(env.item(0), env.item(0).gold).value
        1.0
    """

    id = "bakeoff/Instructions-v0"
    reply_tokens = 112
    levels = LEVELS

    def __init__(
        self,
        *,
        level: int | str = 1,
        partial: bool = False,
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        super().__init__(level=level, split=split, render_mode=render_mode)
        self.rewards: Mapping[str, tuple[float, RewardFunction]] = {
            "all_met": (float(not partial), all_met),
            "share_met": (float(partial), share_met),
        }
