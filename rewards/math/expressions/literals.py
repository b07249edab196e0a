r"""Numbers as they are written, exactly: integers, decimals, fractions, mixed numbers, percent.

``literal`` reads one number token, ``quick`` a whole answer that is nothing but one number. Both
are total over the texts of their patterns and work with integers of any length that fits in an
answer.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from bakeoff.rewards.math.expressions.tree import Node, OverBudget, ParseError, number

MAX_EXPONENT = 4_000  # of ten, in e-notation
MAX_DIGITS = 4_000  # Python itself reads 4,300 by default

_SEPARATORS = re.compile(r"\\[,! ]|\{,\}|[, ]")
_DECIMAL = re.compile(
    r"(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?"
    r"(?:\\(?:overline|bar|dot)\s?\{?(?P<bar>[0-9]+)\}?|\((?P<bracket>[0-9]+)\)|(?P<dots>\.\.\.|\\[lc]?dots))?"
    r"(?:[eE](?P<exponent>[+-]?[0-9]+))?"
)
_ENDING = re.compile(r"([0-9]{1,6}?)\1{2,}$")  # three times
_TWICE = re.compile(r"([0-9]{2,6}?)\1")
_QUICK = re.compile(
    r"(?P<sign>[+-]?)\s?"
    r"(?:(?P<number>[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?|\.[0-9]+)(?P<percent>\s?\\?%)?"
    r"|\\frac\s?\{(?P<above>-?[0-9]+)\}\s?\{(?P<below>-?[0-9]+)\}"
    r"|(?P<over>[0-9]+)\s?/\s?(?P<under>[0-9]+))"
)
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")


class Literal(NamedTuple):
    """The value of a number, and the significant digits of a decimal (0 for an exact one)."""

    value: Fraction
    digits: int = 0


def literal(text: str) -> Literal:
    r"""Return the value of one number token.

    Raises:
        OverBudget: the exponent of ten is out of range.
        ParseError: not a number.

    Example:
        >>> literal("1,000").value, literal("0.25"), literal(r"0.\overline{3}").value
        (Fraction(1000, 1), Literal(value=Fraction(1, 4), digits=2), Fraction(1, 3))
        >>> literal("1.5e3").value, literal("0.1666...").value
        (Fraction(1500, 1), Fraction(1, 6))
    """
    if text.isdigit() and len(text) <= MAX_DIGITS:
        return Literal(Fraction(int(text)))
    match = _DECIMAL.fullmatch(_SEPARATORS.sub("", text))
    if match is None or not (match["whole"] or match["part"]):
        raise ParseError(f"cannot read {text[:40]!a}")
    part, block = match["part"] or "", match["bar"] or match["bracket"] or ""
    if len(part) + len(match["whole"]) > MAX_DIGITS:
        raise OverBudget(f"a number of more than {MAX_DIGITS} digits")
    if match["dots"]:
        block = _repeated(part)
    exponent = int(match["exponent"] or 0)
    if abs(exponent) > MAX_EXPONENT:
        raise OverBudget("an exponent too large to work out")
    value = Fraction(int((match["whole"] or "") + part or "0"), 10 ** len(part))
    if block:
        value += Fraction(int(block), (10 ** len(block) - 1) * 10 ** len(part))
    digits = 0 if block or not part else len(((match["whole"] or "") + part).lstrip("0"))
    return Literal(value * Fraction(10) ** exponent, digits)


_NAMED_BASES = "two three four five six seven eight nine ten eleven twelve"
_BASES = _NAMED_BASES.split()


def in_base(digits: str, base: str) -> Fraction:
    """Return the value of digits in a base from 2 to 36.

    Raises:
        ParseError: no such base, or a digit that it has not.

    Example:
        >>> in_base("1010", "2"), in_base("A5", "eleven")
        (Fraction(10, 1), Fraction(115, 1))
    """
    name = base.lower().removeprefix("base").strip()
    name = str(_BASES.index(name) + 2) if name in _BASES else name
    if not (name.isdecimal() and name.isascii() and len(name) < 3 and 2 <= int(name) <= 36):
        raise ParseError(f"no base '{base[:20]}'")
    try:
        return Fraction(int(_SEPARATORS.sub("", digits), int(name)))
    except ValueError:
        raise ParseError(f"no number '{digits[:20]}' in base {name}") from None


def _repeated(part: str) -> str:
    """Return the block that goes on in 0.1666... and 0.142857142857..., or ""."""
    ending = _ENDING.search(part[-40:]) or _TWICE.fullmatch(part)
    return ending[1] if ending is not None else ""


def quick(text: str) -> tuple[Node, int] | None:
    r"""Return the number or fraction that a whole answer is, or ``None`` if it needs the parser.

    Returns:
        The tree, and the significant digits of a decimal (0 for an exact number).

    Example:
        >>> quick("-1,080")[0].value, quick("12.50%")[1], quick("x") is None, quick("1,08") is None
        (Fraction(-1080, 1), 4, True, True)
    """
    match = _QUICK.fullmatch(text) if len(text) <= MAX_DIGITS else None
    if match is None:
        return None
    if (written := match["number"]) is not None:
        if "," in written:
            if not _GROUPED.fullmatch(written):
                return None
            written = written.replace(",", "")
        if "." not in written:
            value, digits = Fraction(int(written)), 0
        else:
            value, digits = Fraction(written), len(written.replace(".", "").lstrip("0"))
        value = value / 100 if match["percent"] else value
        return number(-value if match["sign"] == "-" else value), digits
    above, below = match["above"] or match["over"], match["below"] or match["under"]
    node = Node("/", (number(int(above)), number(int(below))))
    return (Node("-", (node,)) if match["sign"] == "-" else node), 0
