"""Answers that are words: choices, yes and no, times, numbers in letters, and plain text."""

from __future__ import annotations

import re
from contextlib import suppress

from bakeoff.rewards.math.answers.kinds import EMPTY, REALS, Answer, Choice, Value, Words
from bakeoff.rewards.math.expressions.literals import in_base
from bakeoff.rewards.math.expressions.spelling import normalised, plain
from bakeoff.rewards.math.expressions.tree import ParseError, number

_BASE = re.compile(
    r"(?:\\(?:text|mathrm)\s?\{)?\(?([0-9A-Za-z]{1,200})\)?\}?_(?:\{?\s*(?:\\text\s?\{)?\s*"
    r"((?:base\s?)?[0-9a-z]{1,10})\s*\}{0,2})"
)
_SPOKEN_BASE = re.compile(r"([0-9A-Za-z]{1,200})\s+(?:in\s+)?base[\s-]{1,3}([0-9a-z]{1,10})")
_COUNTED = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty
"""
_NUMBER_WORDS = {word: value for value, word in enumerate(_COUNTED.split())}
NUMBER_SETS = {Words(name) for name in ("integers", "naturals", "rationals", "complexes")}
_STOPS = re.compile(r"[.,](?![0-9])|(?<![0-9])[.,]")  # but not those in a number
_NOTHING = {
    "nosolution",
    "nosolutions",
    "norealsolution",
    "norealsolutions",
    "emptyset",
    "thereisnosolution",
}
_EVERYTHING = {"allrealnumbers", "allreals", "anyrealnumber", "realnumbers", "allrealx"}
_CHOICE = re.compile(
    r"(?:(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s{0,3}:?\s{0,3})?\(?\s{0,3}([A-J])\s{0,3}[).:]?"
)
_CHOSEN = re.compile(
    r"(?:[Oo]ption |[Cc]hoice )?\(?\s?([A-Ja-j])\s?(?:\)[.:]?|[.:])(?:\s{1,8}(\S.*))?"
)
_HEDGE = re.compile(  # of what stands after a choice: another one, a doubt, a denial
    r"\([A-Ja-j]\)|(?<![A-Za-z])[B-HJ](?![a-z])|^(?:and|or)\b|[/;]"
    r"|\b(?:or|not|no|wrong|incorrect|maybe|perhaps|might|may|unless|also|sure|either|both)\b"
)
_TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?[ap]m")
_CAPITALISED = re.compile("[A-Z][a-z]{1,20}|no|yes|true|false")
_MARKUP = re.compile(r"\\(?:text(?:bf|it|rm|normal)?|mathrm|mathbf|mbox|hbox|emph)\s?\{([^{}]*)\}")
_SPACING = re.compile(r"\\[!,;: ]")
_PLAIN = re.compile(r"[\w\s:.,;!?'\"()/&-]*", re.ASCII)
_SAYS = re.compile(r"[A-Za-z]{2}|[0-9]:[0-9]")
_ARTICLES = re.compile(r"\b(?:the|an?)\b", re.IGNORECASE)


def unmarked(text: str) -> str | None:
    r"""Return what a ``\text{...}`` around a whole text holds, or ``None``."""
    whole = _MARKUP.fullmatch(text)
    return None if whole is None else whole[1]


def choice_of(text: str) -> Choice | None:
    """Return the letter that a text is, with at most "option" before it.

    Example:
        >>> choice_of("Option (C)"), choice_of("cat") is None
        (Choice(letter='C'), True)
    """
    match = _CHOICE.fullmatch(text) if len(text) < 20 else None
    return None if match is None else Choice(match[1])


def chosen(text: str) -> str | None:
    """Return the letter that a reply to multiple choice names, with or without what it says.

    Example:
        >>> chosen("(B) 12"), chosen("b)"), chosen("(B) or (C)"), chosen("12")
        ('B', 'B', None, None)
    """
    bare = _SPACING.sub(" ", _MARKUP.sub(r" \1 ", text)).strip()
    match = _CHOSEN.fullmatch(bare)
    if match is None or (match[2] and _HEDGE.search(match[2])):
        return None
    return match[1].upper()


def words(text: str) -> Words:
    """Return the words of a text, in the form that they are compared in.

    Example:
        >>> words(r"The \\text{Northern  line}").text
        'northernline'
    """
    return plain_words(plain(normalised(text)))


def plain_words(text: str) -> Words:
    """Return the words of a text that is normalised and plain already, as ``words`` does."""
    bare = _SPACING.sub("", _MARKUP.sub(r" \1 ", text)).replace("\\colon", ":")
    bare = _STOPS.sub(" ", _ARTICLES.sub(" ", bare))
    parts = re.findall(r"[^\s!?'\"$*`~]+", bare.casefold())
    joined = " ".join(parts)
    return Words(re.sub(r"(?<![0-9]) | (?![0-9])", "", joined))


def is_plain(text: str) -> bool:
    r"""Tell whether a text is words and digits alone, with no mathematics that was not read.

    Example:
        >>> is_plain(r"\\text{October 30}"), is_plain(r"\\frac{1}{7} \\triangle ABC")
        (True, False)
    """
    bare = _SPACING.sub("", _MARKUP.sub(r" \1 ", text)).strip()
    says = _SAYS.search(bare) or _MARKUP.search(text)
    return bool(says) and _PLAIN.fullmatch(bare) is not None


def spoken(text: str) -> Answer | None:
    """Return the choice, number, time, word or base-n numeral that a whole text is, or ``None``.

    Example:
        >>> spoken("(B)"), spoken("Twelve").node.value, spoken("1010_2").node.value, spoken("x")
        (Choice(letter='B'), Fraction(12, 1), Fraction(10, 1), None)
    """
    bare = _MARKUP.sub(r" \1 ", text).strip()
    if (choice := choice_of(bare)) is not None:
        return choice
    match = _BASE.fullmatch(text) or _SPOKEN_BASE.fullmatch(bare)
    small = match is not None and match[1] != match[1].upper() and match[2] != "16"
    if match and not match[1].isalpha() and not small:
        with suppress(ParseError):  # a_n is no numeral
            return Value(number(in_base(match[1], match[2])))
    found = plain_words(text).text if len(text) < 60 else ""
    if found in _NUMBER_WORDS:
        return Value(number(_NUMBER_WORDS[found]))
    if _CAPITALISED.fullmatch(bare) and bare != "Pi":
        return Words(bare.casefold())
    if _TIME.fullmatch(found):
        return Words(found)
    if found in _NOTHING:
        return EMPTY
    return REALS if found in _EVERYTHING else None
