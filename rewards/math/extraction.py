r"""The one final answer in a reply, found in linear time.

The first of these that is there wins:
1. the last complete ``\boxed{...}`` or ``\fbox{...}``, by counting braces;
2. what stands after the last marker: "answer is", "answer:", "####", or inside ``<answer>``;
3. the bare reply: its last line that is not empty, or the display that it ends with.

It is stingy: a reply that hedges ("85 or 86") is handed on as it is, and is then a list.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from bakeoff.rewards.math.expressions.spelling import unwrapped

MAX_REPLY = 20_000  # characters looked at, from the end: that is where an answer stands
MAX_ANSWER = 5_000  # characters an answer may have
MAX_SPACE = 1_000  # and what may surround it

_BOX = re.compile(r"\\(?:boxed|fbox)\s{0,8}(?=\{)")
_SINGLE = re.compile(r"\\boxed\s{1,8}([0-9A-Za-z]+)\s{0,8}[.$]{0,3}\s{0,8}\Z")
_SO = re.compile(r"(?:therefore|thus|hence|so)[,:]?\s+", re.IGNORECASE)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)  # a backslash takes the next character with it
_MARKER = re.compile(r"answer(?:\*\*)?\s{0,3}(?:\bis\b|:|=)|####|<answer>", re.IGNORECASE)
_SENTENCE = re.compile(  # its end, or the reason that follows
    r"\.\$?\s{1,8}(?!Or\b|Maybe\b|Perhaps\b|But\b)(?=[A-Z]|\$?\\)|,?\s(?:because|since)\s"
)

_DISPLAYS = (
    ("$$", "$$"),
    ("\\[", "\\]"),
    ("\\begin{", "\\end{"),
    ("$\\begin{", "\\end{"),
    ("$\n", "$"),
)


class Extracted(NamedTuple):
    """A final answer, and what it was found by: "box", "marker" or "bare"."""

    text: str
    place: str


def extracted(reply: str) -> Extracted | None:
    r"""Return the answer that a reply ends with and how it was found, or ``None``.

    Example:
        >>> extracted(r"So it is \boxed{\frac{1}{2}}.")
        Extracted(text='\\frac{1}{2}', place='box')
        >>> extracted("The answer is 85 or 86").text
        '85 or 86'
        >>> extracted("") is None
        True
    """
    tail = reply if len(reply) <= MAX_REPLY else reply.rstrip()[-MAX_REPLY:]
    found, place = None, "box"
    if "\\boxed" in tail or "\\fbox" in tail:
        found = _boxed(tail)
    if found is None:
        found, place = _marked(tail), "marker"
    if found is None:
        found, place = _ending(tail.strip()), "bare"
        found = found[match.end() :] if (match := _SO.match(found)) else found
    if len(found) > MAX_ANSWER + MAX_SPACE:
        return None
    found = unwrapped(found)
    return Extracted(found, place) if 0 < len(found) <= MAX_ANSWER else None


def final_answer(reply: str) -> str | None:
    """Return the text of the answer that a reply ends with, or ``None`` if there is none.

    Example:
        >>> final_answer("#### 1,080")
        '1,080'
    """
    found = extracted(reply)
    return None if found is None else found.text


def _boxed(text: str) -> str | None:
    r"""Return what the last complete box holds; of boxes in boxes the innermost."""
    starts = [match.end() for match in _BOX.finditer(text)]
    if not starts:
        single = _SINGLE.search(text)  # \boxed 5
        return single[1] if single else None
    end = _closing_brace(text, starts[-1])
    if end is not None:
        return text[starts[-1] + 1 : end]
    opening = set(starts)  # the last box is not complete: one pass over all of the braces
    pending: list[int] = []
    last: tuple[int, int] | None = None
    for match in _BRACE.finditer(text):
        if match[0] == "{":
            pending.append(match.start())
        elif match[0] == "}" and pending:
            start = pending.pop()
            if start in opening:
                last = start, match.start()
    return text[last[0] + 1 : last[1]] if last else None


def _closing_brace(text: str, opening: int) -> int | None:
    depth = 0
    for match in _BRACE.finditer(text, opening):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth == 0:
                return match.start()
    return None


def _marked(text: str) -> str | None:
    """Return what stands after the last marker: the rest of its sentence, or else the next line."""
    markers = list(_MARKER.finditer(text))
    if not markers:
        return None
    marker = markers[-1]
    rest = text[marker.end() :].lstrip(" \t*:")
    if marker[0].lower() == "<answer>":
        content, closing, _ = rest.partition("</answer>")
        if closing:
            return content
    rest = rest.strip()
    for opening, closing in _DISPLAYS:
        if rest.startswith(opening):
            end = rest.find(closing, len(opening))
            return rest if end < 0 else rest[: rest.find("\n", end) if "\n" in rest[end:] else None]
    return _SENTENCE.split(rest.partition("\n")[0], maxsplit=1)[0]


def _ending(text: str) -> str:
    """Return the last line of a text, or the display of several lines that it ends with."""
    last = text.rpartition("\n")[2]
    for opening, closing in _DISPLAYS:
        if closing in last:
            start = text.rfind(opening, 0, text.rfind(closing))
            if start >= 0:
                return text[text.rfind("\n", 0, start) + 1 :]
    return last
