"""HTML from text that nobody has vouched for: names, error messages, what a model wrote.

``Markup`` is text that is HTML already. Only the functions here make it, and all of them escape
what they are given, so that a type checker finds what was forgotten.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Sequence
from typing import NewType

Markup = NewType("Markup", str)
"""Text in which ``<`` begins a tag."""

VOID = ("meta", "link", "input", "br")
"""Elements without an end tag."""


def escape(value: object) -> Markup:
    """Return a text as HTML that shows it; half a surrogate pair, which no file holds, as ``?``.

    Example:
        >>> escape('<b title="x">')
        '&lt;b title=&quot;x&quot;&gt;'
    """
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return Markup(html.escape(text))


def inline(text: str) -> Markup:
    """Return a sentence of the report as HTML: ``**strong**`` and ```code``` are all it knows.

    Example:
        >>> inline("**Not** `a < b`")
        '<strong>Not</strong> <code>a &lt; b</code>'
    """
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", escaped))


def tag(name: str, *children: Markup, **attributes: object) -> Markup:
    """Return an element; ``class_`` stands for ``class`` and ``aria_label`` for ``aria-label``.

    Args:
        name: of the element.
        *children: what it holds.
        **attributes: escaped here; ``True`` gives one without a value, ``None`` and ``False`` none.

    Example:
        >>> tag("p", escape("a & b"), class_="note", hidden=False)
        '<p class="note">a &amp; b</p>'
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        words.append(attribute if value is True else f'{attribute}="{escape(value)}"')
    start = f"<{' '.join(words)}>"
    return Markup(start if name in VOID else f"{start}{''.join(children)}</{name}>")


def bullets(lines: Iterable[Markup], class_: str | None = None) -> Markup:
    """Return lines as a list."""
    return tag("ul", *(tag("li", line) for line in lines), class_=class_)


def grid(
    header: Sequence[str],
    rows: Sequence[Sequence[Markup]],
    caption: str,
    marked: Sequence[bool] = (),
) -> Markup:
    """Return a table whose first column names its rows, in a box of its own to scroll in.

    Args:
        header: of the columns.
        rows: as many cells each.
        caption: of the table.
        marked: of each row, whether it stands out; none does by default.
    """
    head = tag("tr", *(tag("th", escape(name), scope="col") for name in header))
    lines = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(tag("td", cell) for cell in row[1:]),
            class_="differs" if marked and marked[index] else None,
        )
        for index, row in enumerate(rows)
    ]
    table = tag("table", tag("caption", escape(caption)), tag("thead", head), tag("tbody", *lines))
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=caption)


def embedded(value: object) -> Markup:
    """Return a value as JSON that may stand inside a script element, whatever it holds.

    No text in it can end the element or begin a comment: ``<``, ``>`` and ``&`` are written as
    ``\\u003c`` and so on, as is all that is not ASCII, U+2028 and U+2029 with it.

    Raises:
        ValueError: it holds a number that JSON cannot say.

    Example:
        >>> print(embedded(["</script>"]))
        ["\\u003c/script\\u003e"]
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
