"""The files that ``bakeoff envs new`` writes: a small environment that works, and its test."""

from __future__ import annotations

import importlib.metadata
import keyword
import re
import sys
from pathlib import Path

from bakeoff.errors import UsageError

ENVIRONMENT = '''"""{id}: the letters of a word in alphabetical order. Change it into your own.

See it with `bakeoff envs sample {name}.py:{id}`, train on it with
`bakeoff train --env {name}.py:{id}`.
"""

import random

from bakeoff.envs import register
from bakeoff.types import Item


def make_item(rng: random.Random, letters: int = 4) -> Item:
    """Write the letters of a word in alphabetical order.

    All that is random comes from ``rng``; the id of the item is filled in.
    """
    word = answer = ""
    while word == answer:  # copying the question must not pay
        word = "".join(rng.choice("abcdefghijklmnop") for _ in range(letters))
        answer = "".join(sorted(word))
    prompt = f"Write the letters of {{word}} in alphabetical order, and nothing else."
    return Item("", prompt, answer=answer, gold=answer)


def correct(reply: str, item: Item) -> float:
    """Return 1 if the reply is the answer, else 0. Any text may come, and must be answered."""
    return float(reply.strip() == item.answer)


def one_word(reply: str, item: Item) -> float:
    """Return 1 if the reply is one word: with a weight of 0, it is only logged."""
    return float(len(reply.split()) == 1)


register(
    "{id}",
    make_item=make_item,
    sizes={{"train": 20_000, "eval": 1_000}},
    rewards={{"correct": (1.0, correct), "one_word": (0.0, one_word)}},
    reply_tokens=8,
)
'''

TEST = '''"""Tests of {id}: `python -m pytest test_{name}.py`."""

from pathlib import Path

from bakeoff.envs import make
from bakeoff.envs.checking import check

SPEC = f"{{Path(__file__).with_name('{name}.py')}}:{id}"


def test_it_keeps_what_every_environment_promises():
    checkup = check(SPEC, items=6)

    assert checkup.passed, str(checkup)


def test_the_letters_in_order_are_right_and_the_word_itself_is_not():
    env = make(SPEC)
    item = env.item(0)
    word = item.prompt.split()[4]

    assert env.score(item, "".join(sorted(word))).value == 1.0
    assert env.score(item, word).value == 0.0
'''


def write_starter(name: str, folder: Path) -> list[str]:
    """Write ``NAME.py`` and ``test_NAME.py`` and return the commands to go on with.

    Args:
        name: what the module is called.
        folder: where the files go.

    Raises:
        UsageError: it is no name for a module, or one of the files exists.
    """
    module_name(name)
    id = "me/" + "".join(word.capitalize() for word in name.split("_")) + "-v0"
    texts = {f"{name}.py": ENVIRONMENT, f"test_{name}.py": TEST}
    for file in texts:
        if (folder / file).exists():
            raise UsageError(f"{file} exists already; nothing was written")
    for file, text in texts.items():
        with (folder / file).open("x", encoding="utf-8") as written:
            written.write(text.format(name=name, id=id))
    return [
        f"bakeoff envs sample {name}.py:{id}",
        f"bakeoff envs check {name}.py:{id}",
        f"python -m pytest test_{name}.py",
        f"bakeoff train --env {name}.py:{id}",
    ]


def module_name(name: str) -> str:
    """Return a name if a module can have it, and hides no other.

    Raises:
        UsageError: it cannot.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,50}", name) or keyword.iskeyword(name):
        raise UsageError(f"'{name}' is no name for a module: use small letters, digits and _")
    installed = importlib.metadata.packages_distributions()
    if name in {*sys.stdlib_module_names, *installed, "bakeoff"} or name.startswith("test_"):
        raise UsageError(f"a module '{name}' would hide another one; choose another name")
    return name
