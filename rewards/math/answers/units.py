"""Units of measurement, as they stand after a number: read from tokens, and compared.

Known units convert into each other (100 cm = 1 m). Other words ("5 apples") name a unit of their
own. A word that hedges or denies ("3 maybe") is no unit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from bakeoff.rewards.math.answers.kinds import Unit
from bakeoff.rewards.math.answers.unit_table import NAMES, NOT_UNITS, POWERS, QUALIFIERS, RATES
from bakeoff.rewards.math.expressions.lexing import Token
from bakeoff.rewards.math.expressions.tree import number

MAX_WORDS = 6
_PART = re.compile(r"[A-Za-z°]+|[0-9]|[^A-Za-z0-9\s.]")
_POWER = re.compile("[1-9]")
_IRREGULAR = {"sheep", "fish", "deer", "mice", "geese", "teeth", "oxen", "dice"}
_BASES = {base for _, base in NAMES.values()}


def unit(tokens: Sequence[Token]) -> Unit | None:
    """Return the unit that all of the tokens are, or ``None`` if they are none.

    Example:
        >>> from bakeoff.rewards.math.expressions.lexing import tokens as lexed
        >>> unit(lexed("square cm")).base, unit(lexed("m/s^2")).base
        ((('metre', 2),), (('metre', 1), ('second', -2)))
        >>> unit(lexed("maybe")) is None
        True
    """
    reading = _Reading()
    parts = _parts(tokens)
    position = 0
    while position < len(parts):
        part = parts[position]
        position, power = _raised(parts, position + 1)
        if part in ("/", "per") or (part == "a" and reading.count):
            reading.side = -1
        elif not part or not reading.add(part, power):
            return None
        elif part == "in" and position < len(parts):
            return None  # 5 in the box
    return reading.result()


class _Reading:
    """The words of a unit, taken in one by one."""

    def __init__(self) -> None:
        self.factor = Fraction(1)
        self.bases: dict[str, int] = {}
        self.unknown: list[str] = []
        self.side = 1  # -1 after "per"
        self.waiting = 1  # the power that "square" announces
        self.count = 0

    def add(self, word: str, power: int) -> bool:
        """Take in one word; return whether it can belong to a unit."""
        self.count += 1
        lower = word.lower()
        if self.count > MAX_WORDS or lower in NOT_UNITS or _singular(lower) in NOT_UNITS:
            return False
        if lower in QUALIFIERS:
            return bool(self.bases or self.unknown)
        if lower in ("squared", "cubed") and self.bases:
            self.bases[list(self.bases)[-1]] *= POWERS[lower]
        elif lower in POWERS:
            self.waiting = POWERS[lower]
        elif lower == "per":
            self.side = -1
        elif lower in RATES:
            above, below = RATES[lower]
            return self.add(above, 1) and self.add("per", 1) and self.add(below, 1)
        elif lower in ("celsius", "fahrenheit") and self.bases == {"degree": 1}:
            self.bases = {lower: 1}
        elif (known := _known(word)) is not None:
            power *= self.side * self.waiting
            self.factor *= known[0] ** power
            if known[1]:
                self.bases[known[1]] = self.bases.get(known[1], 0) + power
            self.waiting = 1
        elif len(word) > 2:
            self.unknown.append(lower)
        else:
            return False
        return True

    def result(self) -> Unit | None:
        """Return the unit of all words, or ``None`` if there were none."""
        if self.unknown:
            self.bases[" ".join(self.unknown)] = self.side
        base = tuple(sorted(part for part in self.bases.items() if part[1]))
        return Unit(number(self.factor), base) if self.count else None


def _parts(tokens: Sequence[Token]) -> list[str]:
    """Return the words and signs of a unit; "" for what no unit has."""
    parts: list[str] = []
    for token in tokens:
        if token.kind == "text":
            parts += [part.strip("{}") for part in _PART.findall(token.text)]
        elif token.kind == "command" and token.text in ("degree", "cdot"):
            parts += ["°"] if token.text == "degree" else []
        elif token.text in ("{", "}"):
            continue
        else:
            known = token.kind in ("letters", "money") or token.text in ("/", "^", "-")
            parts.append(token.text if known or _POWER.fullmatch(token.text) else "")
    return parts


def _known(word: str) -> tuple[Fraction, str] | None:
    if word == "in":
        return NAMES["inch"]
    return NAMES.get(word) or (NAMES.get(word.lower()) if len(word) > 2 else None)


def _singular(word: str) -> str:
    word = word.lower()
    for plural, single in (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("s", "")):
        if word.endswith(plural) and len(word) > len(plural) + 2 and not word.endswith("ss"):
            return word[: -len(plural)] + single
    return word


def _raised(parts: Sequence[str], position: int) -> tuple[int, int]:
    """Return where to go on after an exponent, and the exponent, 1 if there is none."""
    match parts[position : position + 3]:
        case ["^", "-", digit] if _POWER.fullmatch(digit):
            return position + 3, -int(digit)
        case ["^", digit, *_] if _POWER.fullmatch(digit):
            return position + 2, int(digit)
    return position, 1


def is_known(one: Unit) -> bool:
    """Tell whether a unit is made of known ones alone."""
    return all(name in _BASES for name, _ in one.base)


def is_countable(one: Unit) -> bool:
    """Tell whether a unit is known, or one of things that are counted, as apples: a plural."""
    words = [name.split()[-1] for name, _ in one.base if name not in _BASES]
    plural = (len(w) > 3 and w.endswith("s") and not w.endswith("ss") for w in words)
    return all(is_one or w in _IRREGULAR for is_one, w in zip(plural, words, strict=True))


def compatible(left: Unit, right: Unit) -> bool:
    """Tell whether two units measure the same; one that says more ("right triangle") may.

    Example:
        >>> one = number(1)
        >>> compatible(Unit(one, (("right triangles", 1),)), Unit(one, (("triangle", 1),)))
        True
        >>> compatible(Unit(one, (("gram", 1),)), Unit(one, (("metre", 1),)))
        False
    """
    if left.base == right.base or not left.base or not right.base:
        return True
    if len(left.base) != 1 or len(right.base) != 1 or left.base[0][1] != right.base[0][1]:
        return False
    one, other = ([_singular(w) for w in side.base[0][0].split()] for side in (left, right))
    return one[-1] == other[-1] and (len(one) == 1 or len(other) == 1 or one == other)
