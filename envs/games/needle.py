"""Needle: one fact among sentences that have nothing to do with it, and others just like it.

After "needle in a haystack" tests of long contexts (https://github.com/gkamradt/LLMTest_NeedleInAHaystack);
here everything is generated, and the other facts of the same form make it more than a search for
a number.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial

from bakeoff.envs.games.family import Family, Levels, Task, whole_number
from bakeoff.rewards import RewardFunction
from bakeoff.types import Item

COLOURS = ("red", "blue", "green", "black", "white", "brown", "grey", "pink", "gold", "silver")
THINGS = ("box", "door", "safe", "chest", "drawer", "locker", "gate", "trunk", "room", "case")
FACT = "The code of the {box} is {code}."
ASK = "{text}\nWhat is the code of the {asked}? Reply with the number and nothing else."
SHORT_FACT, SHORT_ASK = "{box} {code}.", "{text} What is the {asked}?"
WHO = ("The baker", "A neighbour", "My aunt", "The teacher", "An old man", "The postman", "A girl")
DID = ("walked to", "looked at", "talked about", "came from", "waited near", "went past", "drew")
WHERE = ("the market", "the river", "a small church", "the station", "the harbour", "an old mill")
WHEN = ("in the morning", "after lunch", "on a cold day", "once more", "without a word", "again")


def same_number(reply: str, item: Item) -> float:
    """Return 1 if the reply is the number that is asked for, and nothing else.

    Example:
        >>> item = Item("", "", "47")
        >>> [same_number(reply, item) for reply in ("47", "47.", "47 or 48", "The code is 47")]
        [1.0, 1.0, 0.0, 0.0]
    """
    return float(whole_number(reply) == int(item.answer))


def _task(
    rng: random.Random,
    *,
    sentences: int,
    decoys: int,
    codes: range,
    fact: str = FACT,
    ask: str = ASK,
) -> Task:
    boxes = rng.sample([f"{colour} {thing}" for colour in COLOURS for thing in THINGS], decoys + 1)
    numbers = rng.sample(codes, decoys + 1)
    facts = [
        fact.format(box=box, code=code).capitalize()
        for box, code in zip(boxes, numbers, strict=True)
    ]
    text = [" ".join(map(rng.choice, (WHO, DID, WHERE, WHEN))) + "." for _ in range(sentences)]
    for one in facts:
        text.insert(rng.randint(0, len(text)), one)
    asked, answer = boxes[0], str(numbers[0])
    prompt = ask.format(text=" ".join(text), asked=asked)
    return Task(prompt, f"{asked} {' '.join(sorted(facts))}", answer, answer)


LEVELS: Levels = {
    1: partial(_task, sentences=0, decoys=1, codes=range(10, 100), fact=SHORT_FACT, ask=SHORT_ASK),
    2: partial(_task, sentences=5, decoys=2, codes=range(10, 100)),
    3: partial(_task, sentences=50, decoys=4, codes=range(1000, 10_000)),
    4: partial(_task, sentences=400, decoys=16, codes=range(1000, 10_000)),
}


class Needle(Family):
    """What is the code of the red box? It stands somewhere in the text, beside other codes.

    Args:
        level: 1 gives two codes of two digits and nothing else; 2 three among five sentences; 3
            five of four digits among 50; 4 17 among 400 (some 21,000
            characters); ``"1-3"`` mixes 1, 2 and 3.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split.

    Example:
        >>> env = Needle()
        >>> item = env.item(0)
        >>> env.score(item, item.answer).value, env.score(item, item.prompt).value
        (1.0, 0.0)
    """

    id = "bakeoff/Needle-v0"
    reply_tokens = 8
    levels = LEVELS
    rewards: Mapping[str, tuple[float, RewardFunction]] = {"correct": (1.0, same_number)}
