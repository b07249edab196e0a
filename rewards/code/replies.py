"""The one program in a reply, found in linear time.

The first of these that is there wins:
1. the last complete fenced block (``` or ~~~) whose language is Python or not named;
2. such a block that the reply ends in: a reply that was cut off, or a fence left open;
3. the bare reply, if it has no fence at all, without what precedes its last ``</think>``.

What is not a program is not sorted out here: prose without a fence is handed on, and does not
compile. A block of another language (```json, ```text, ```output) is never the program, and a reply
with nothing but such blocks has none.
"""

from __future__ import annotations

from typing import NamedTuple

LANGUAGES = ("", "python", "py", "python3", "py3")
MIN_FENCE = 3


class _Fence(NamedTuple):
    """An opening fence: its character and how often, its indentation, and the language."""

    mark: str
    length: int
    indent: int
    language: str


def program_of(reply: str) -> str | None:
    r"""Return the program of a reply as it is to be run, or ``None`` if there is none.

    A fence is a line of its own: three or more backticks or tildes, indented or not, then perhaps
    a language. It ends at a line of as many of the same character or more and nothing else. The
    fence's indentation is taken off the lines of the block. Line ends become ``\n``.

    Example:
        >>> program_of("Doubled:\n```python\ndef f(x):\n    return 2 * x\n```\nf(2) is 4.")
        'def f(x):\n    return 2 * x'
        >>> program_of("def f(x): return 2 * x")
        'def f(x): return 2 * x'
        >>> program_of('```json\n{"f": 2}\n```') is None
        True
    """
    lines = reply.replace("\r\n", "\n").split("\n")
    fence, start = None, 0
    complete = unfinished = None
    fenced = False
    for number, line in enumerate(lines):
        if fence is None:
            fence, start = _opening(line), number + 1
            fenced = fenced or fence is not None
        elif _closes(line, fence):
            if fence.language in LANGUAGES:
                complete = _block(lines[start:number], fence.indent) or complete
            fence = None
    if fence is not None and fence.language in LANGUAGES:
        unfinished = _block(lines[start:], fence.indent)
    if fenced:
        return complete or unfinished
    return _trimmed("\n".join(lines).rpartition("</think>")[2].split("\n"))


def _opening(line: str) -> _Fence | None:
    rest = line.lstrip(" \t")
    mark = rest[:1]
    if mark not in ("`", "~") or not rest.startswith(mark * MIN_FENCE):
        return None
    info = rest.lstrip(mark)
    if mark == "`" and mark in info:  # ```code``` within a line
        return None
    words = info.split(maxsplit=1)
    language = words[0].strip("{}.").lower() if words else ""
    return _Fence(mark, len(rest) - len(info), len(line) - len(rest), language)


def _closes(line: str, fence: _Fence) -> bool:
    rest = line.strip()
    return len(rest) >= fence.length and not rest.strip(fence.mark)


def _block(lines: list[str], indent: int) -> str | None:
    """Return the lines without the indentation of their fence, or ``None`` if all are blank."""
    if indent:
        lines = [line[min(indent, len(line) - len(line.lstrip(" \t"))) :] for line in lines]
    return _trimmed(lines)


def _trimmed(lines: list[str]) -> str | None:
    """Return the text without blank lines around it; the first line keeps its indentation."""
    filled = [number for number, line in enumerate(lines) if line.strip()]
    return "\n".join(lines[filled[0] : filled[-1] + 1]).rstrip() if filled else None
