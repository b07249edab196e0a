"""Constraints on the form of a reply, each checked by code and put into words.

A reply has a *shape* (one whole number, words, a list, a JSON object) and then meets or does not
meet each of its constraints. Every check is total: any text in, true or false out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bakeoff.envs.games.family import said

MAX_REPLY = 10_000  # characters; what is longer has no shape
MAX_DIGITS = 9
MAX_WORDS = 9
BULLET = "- "


class Constraint(NamedTuple):
    """One constraint: its kind, and the numbers or texts that complete it."""

    kind: str
    values: tuple[Any, ...]


class Kind(NamedTuple):
    """How constraints of a kind are said, and how the read reply is checked."""

    words: str
    met: Callable[..., bool]


def number_of(reply: str) -> str | None:
    """Return the digits of a reply that is one whole number, of at most nine digits."""
    return reply if reply.isdecimal() and reply.isascii() and len(reply) <= MAX_DIGITS else None


def words_of(reply: str) -> list[str] | None:
    """Return the words of a reply: at most nine on one line, with no signs but points or commas."""
    words = [word.rstrip(".,") for word in reply.split()]
    good = "\n" not in reply and all(map(str.isalpha, words)) and len(words) <= MAX_WORDS
    return words if words and good else None


def bullets_of(reply: str) -> list[list[str]] | None:
    """Return the words of each item of a list, of which every line starts with a hyphen."""
    lines = reply.splitlines()
    items = [words_of(line[len(BULLET) :]) for line in lines if line.startswith(BULLET)]
    found = [item for item in items if item is not None]
    return found if lines and len(found) == len(lines) else None


def object_of(reply: str) -> dict[str, Any] | None:
    """Return the JSON object that a reply is, with no key twice and nothing around it."""
    try:
        found = json.loads(reply, object_pairs_hook=_pairs, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


SHAPES: Mapping[str, Callable[[str], Any]] = {
    "number": number_of,
    "words": words_of,
    "list": bullets_of,
    "json": object_of,
}


def _whole(values: Sequence[Any]) -> bool:
    return all(type(value) is int for value in values)


def _flat(items: Sequence[Any]) -> list[str]:
    return [word for item in items for word in ([item] if isinstance(item, str) else item)]


KINDS: Mapping[str, Mapping[str, Kind]] = {
    "number": {
        "digits": Kind("It has exactly {} digits.", lambda text, n: len(text) == n),
        "starts": Kind("It starts with {}.", lambda text, d: text.startswith(d)),
        "ends": Kind("It ends with {}.", lambda text, d: text.endswith(d)),
        "twice": Kind("The digit {} stands in it exactly twice.", lambda t, d: t.count(d) == 2),
        "without": Kind("The digit {} does not stand in it.", lambda text, d: d not in text),
        "sum": Kind("Its digits add up to {}.", lambda text, n: sum(map(int, text)) == n),
    },
    "words": {
        "count": Kind("Use exactly {} words.", lambda words, n: len(words) == n),
        "starts": Kind("The first word is {}.", lambda words, word: words[0].lower() == word),
        "ends": Kind("The last word is {}.", lambda words, word: words[-1].lower() == word),
        "without": Kind("Do not use the letter {}.", lambda words, c: c not in _letters(words)),
        "lower": Kind("Use no capital letters.", lambda words: " ".join(words).islower()),
    },
    "list": {
        "count": Kind("The list has exactly {} lines.", lambda items, n: len(items) == n),
        "each": Kind(
            "Each line has exactly {} words.", lambda items, n: {len(i) for i in items} == {n}
        ),
        "last": Kind("The last word is {}.", lambda items, word: items[-1][-1].lower() == word),
        "without": Kind("Do not use the letter {}.", lambda items, c: c not in _letters(items)),
        "lower": Kind("Use no capital letters.", lambda items: " ".join(_flat(items)).islower()),
    },
    "json": {
        "keys": Kind(
            "It has the keys {} and {} and no others.", lambda found, *keys: set(found) == set(keys)
        ),
        "above": Kind(
            "Every value is a whole number above {}.",
            lambda found, n: _whole([*found.values()]) and min(found.values(), default=n) > n,
        ),
        "sum": Kind(
            "The values are whole numbers that add up to {}.",
            lambda found, n: _whole(list(found.values())) and sum(found.values()) == n,
        ),
        "value": Kind("The value of {} is {}.", lambda found, key, n: _same(found.get(key), n)),
    },
}


def _letters(items: Sequence[Any]) -> str:
    return "".join(_flat(items)).lower()


def _same(value: object, n: int) -> bool:
    return type(value) is int and value == n


def met(reply: str, shape: str, constraints: Sequence[Constraint]) -> list[bool]:
    """Return which constraints a reply meets; none if it does not have the shape.

    Example:
        >>> asked = [Constraint("digits", (3,)), Constraint("ends", ("7",))]
        >>> met("127", "number", asked), met("12", "number", asked), met("a 127", "number", asked)
        ([True, True], [False, False], [False, False])
    """
    text = said(reply)
    read = SHAPES[shape](text) if len(text) <= MAX_REPLY else None
    if read is None:
        return [False] * len(constraints)
    return [KINDS[shape][kind].met(read, *values) for kind, values in constraints]


def in_words(shape: str, constraint: Constraint) -> str:
    """Return a constraint as it is said to the model."""
    return KINDS[shape][constraint.kind].words.format(*constraint.values)
