r"""The one final answer in a reply, found in linear time.

The first of these that is there wins:
1. the last complete ``\boxed{...}`` or ``\fbox{...}``, by counting braces;
2. the line after the last marker: "the answer is", "answer:", "####", or inside ``<answer>``;
3. the last line that is not empty.

It is stingy: a reply that hedges ("85 or 86") is handed on as it is, and is then not a number.
"""

from __future__ import annotations

import re

MAX_REPLY = 20_000  # characters looked at, from the end: that is where an answer stands
MAX_ANSWER = 2_000  # characters an answer may have

_BOX = re.compile(r"\\(?:boxed|fbox)[ \t\n]{0,8}(?=\{)")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)  # a backslash takes the next character with it
_MARKER = re.compile(r"the answer is|answer:|####|<answer>", re.IGNORECASE)
_COMPARISON = re.compile(r"[!<>:~=]=|=[<>~]")
_HEDGE = re.compile(
    r"\b(?:or|and|not|either|maybe|perhaps)\b|n't|;|,(?![0-9]{3}(?![0-9]))", re.IGNORECASE
)


def final_answer(reply: str) -> str | None:
    r"""Return the answer that a reply ends with, or ``None`` if there is none.

    Of an equation or a chain of them it is the side after the last ``=``.

    Example:
        >>> final_answer(r"So it is \boxed{\frac{1}{2}}.")
        '\\frac{1}{2}'
        >>> final_answer("Adding up: 47 + 38 = 85.")
        '85'
        >>> final_answer("The answer is 85 or 86")
        '85 or 86'
        >>> final_answer("") is None
        True
    """
    tail = reply[-MAX_REPLY:]
    found = _boxed(tail)
    if found is None:
        found = _marked(tail)
    if found is None:
        found = _last_line(tail)
    if len(found) > MAX_ANSWER:
        return None
    return _last_side(_stripped(found)) or None


def _boxed(text: str) -> str | None:
    r"""Return what the last complete box holds, without a second box right inside it."""
    content = _last_box(text)
    if content is not None and _BOX.match(content.strip()) and content.strip().endswith("}"):
        return _last_box(content)
    return content


def _last_box(text: str) -> str | None:
    opening = {match.end() for match in _BOX.finditer(text)}
    box = _last_group(text, opening) if opening else None
    return text[box[0] + 1 : box[1]] if box else None


def _last_group(text: str, opening: set[int]) -> tuple[int, int] | None:
    """Return where the last group that starts at one of ``opening`` starts and ends."""
    pending: list[int] = []
    last: tuple[int, int] | None = None
    for match in _BRACE.finditer(text):
        if match[0] == "{":
            pending.append(match.start())
        elif match[0] == "}" and pending:
            start = pending.pop()
            if start in opening:
                last = start, match.start()
    return last


def _marked(text: str) -> str | None:
    """Return what stands after the last marker: the rest of its line, or else the next line."""
    markers = list(_MARKER.finditer(text))
    if not markers:
        return None
    marker = markers[-1]
    rest = text[marker.end() :].lstrip(" \t*:")
    if marker[0].lower() == "<answer>":
        content, closing, _ = rest.partition("</answer>")
        if closing:
            return content
    return rest.strip().partition("\n")[0]


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _stripped(text: str) -> str:
    r"""Return the text without what may surround an answer: ``$``, ``\(``, ``**`` and a period."""
    text = text.strip().lstrip("*$` ").rstrip("*$`. ")
    for opening, closing in (("\\(", "\\)"), ("\\[", "\\]"), ("\\$", "")):
        text = text.removeprefix(opening).removesuffix(closing).strip()
    return text


def _last_side(text: str) -> str:
    """Return the last side of an equation; of anything that compares or hedges, all of it."""
    if "=" not in text or _COMPARISON.search(text):
        return text
    left, _, right = text.rpartition("=")
    return text if _HEDGE.search(left) else _stripped(right)
