r"""Plain and simple LaTeX arithmetic, read into an immutable tree.

    sum     = product (("+" | "-") product)*
    product = signed (("*" | "/") signed | power)*           juxtaposition multiplies: 2\pi
    signed  = ("-" | "+") signed | power
    power   = primary ("^" signed)?                           2^3^2 = 2^9, -2^2 = -4
    primary = number "%"? | pi | "(" sum ")" | \frac{..}{..} | \sqrt{..} | number \frac{..}{..}

Only this grammar is read: nothing is evaluated as code, and budgets on length, tokens, depth and
the size of numbers bound the time on any text. Numbers are ASCII, thousands only if well grouped.
"""

from __future__ import annotations

import re
from fractions import Fraction

from bakeoff.rewards.math.expression import (
    Binary,
    ExpressionError,
    Negative,
    Node,
    Number,
    Pi,
    Root,
)

MAX_LENGTH = 2_000  # characters
MAX_TOKENS = 200
MAX_DEPTH = 40
MAX_DIGITS = 1_000  # of one number as written

_TOKEN = re.compile(
    r"(?P<number>(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
    r"|(?P<word>\\[a-zA-Z]+|[a-zA-Z]+)"
    r"|(?P<space>[ \t\n]+|\\[ ,;:!])"
    r"|(?P<symbol>\*\*|\\%|[-+*/^%(){}−×÷·∙⋅π√])"  # noqa: RUF001 (the signs people write)
)
_SYNONYMS = {
    "**": "^",
    "\\%": "%",
    "−": "-",  # noqa: RUF001
    "×": "*",  # noqa: RUF001
    "\\times": "*",
    "·": "*",
    "∙": "*",
    "⋅": "*",
    "\\cdot": "*",
    "÷": "/",
    "\\div": "/",
    "π": "pi",
    "\\pi": "pi",
    "√": "root",
    "sqrt": "sqrt",
    "\\sqrt": "\\sqrt",
    "pi": "pi",
    "\\frac": "frac",
    "\\dfrac": "frac",
    "\\tfrac": "frac",
    "\\left": "",
    "\\right": "",
}
_STARTS_FACTOR = {"(", "pi", "root", "sqrt", "\\sqrt", "frac"}


def parse(text: str) -> Node:
    r"""Return the tree of an expression.

    Raises:
        ExpressionError: the text is not an expression, or longer or deeper than the budgets.

    Example:
        >>> from bakeoff.rewards.math.expression import rational
        >>> rational(parse(r"1{,}000 - 2^3 \cdot \frac{1}{2}"))
        Fraction(996, 1)
        >>> parse("85 or 86")
        Traceback (most recent call last):
        ...
        bakeoff.rewards.math.expression.ExpressionError: cannot read 'or'
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters")
    return _Parser(_tokens(text)).whole()


def _tokens(text: str) -> list[str]:
    """Return the numbers and signs of a text; different spellings of a sign become one."""
    text = text.replace("{,}", ",").replace("\\!", "")
    tokens: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(f"cannot read {text[position]!a}")
        position = match.end()
        kind, token = match.lastgroup, match[0]
        if kind == "number":
            tokens.append(token)
        elif kind == "symbol" or (kind == "word" and token in _SYNONYMS):
            tokens.append(_SYNONYMS.get(token, token))
        elif kind == "word":
            raise ExpressionError(f"cannot read {token[:20]!a}")
        if len(tokens) > MAX_TOKENS:
            raise ExpressionError(f"more than {MAX_TOKENS} numbers and signs")
    return [token for token in tokens if token]


class _Parser:
    """Recursive descent over the tokens; the depth is counted, so that it cannot overflow."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = [*tokens, "end"]
        self.position = 0
        self.depth = 0

    @property
    def next(self) -> str:
        return self.tokens[self.position]

    def take(self) -> str:
        self.position += 1
        return self.tokens[self.position - 1]

    def expect(self, token: str) -> None:
        if self.next != token:
            raise ExpressionError(f"'{token}' should stand where '{self.next[:20]}' does")
        self.position += 1

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(f"nested more than {MAX_DEPTH} deep")

    def whole(self) -> Node:
        tree = self.sum()
        self.expect("end")
        return tree

    def sum(self) -> Node:
        node = self.product()
        while self.next in ("+", "-"):
            node = Binary(self.take(), node, self.product())
        return node

    def product(self) -> Node:
        node = self.signed()
        while True:
            if self.next in ("*", "/"):
                node = Binary(self.take(), node, self.signed())
            elif self.next in _STARTS_FACTOR:
                node = Binary("*", node, self.power())
            else:
                return node

    def signed(self) -> Node:
        if self.next not in ("+", "-"):
            return self.power()
        self.deeper()
        sign, operand = self.take(), self.signed()
        self.depth -= 1
        return Negative(operand) if sign == "-" else operand

    def power(self) -> Node:
        base = self.primary()
        if self.next != "^":
            return base
        self.take()
        self.deeper()
        exponent = self.group("{", "}") if self.next == "{" else self.signed()
        self.depth -= 1
        return Binary("^", base, exponent)

    def primary(self) -> Node:
        if _is_number(self.next):
            return self.number()
        token = self.next
        if token == "(":
            return self.group("(", ")")
        self.take()
        if token == "pi":
            return Pi()
        if token == "frac":
            return Binary("/", self.argument(), self.argument())
        if token == "\\sqrt":
            return Root(self.argument())
        if token == "sqrt":
            return Root(self.group("(", ")"))
        if token == "root":
            return Root(self.number() if _is_number(self.next) else self.group("(", ")"))
        raise ExpressionError(
            "nothing stands where a number should"
            if token == "end"
            else f"'{token}' stands where a number should"
        )

    def number(self) -> Node:
        value = _value(self.take())
        if self.next == "%":
            self.take()
            return Number(value / 100)
        if self.next == "frac" and value.denominator == 1:
            return self.mixed(value)
        return Number(value)

    def mixed(self, whole: Fraction) -> Node:
        r"""Return ``2\frac{1}{3}`` as 7/3, and ``2\frac{\pi}{3}`` as a product."""
        self.take()
        above, below = self.argument(), self.argument()
        match above, below:
            case Number(numerator), Number(denominator) if 0 < numerator < denominator:
                return Number(whole + numerator / denominator)
        return Binary("*", Number(whole), Binary("/", above, below))

    def group(self, opening: str, closing: str) -> Node:
        self.expect(opening)
        self.deeper()
        inner = self.sum()
        self.depth -= 1
        self.expect(closing)
        return inner

    def argument(self) -> Node:
        r"""Return what a LaTeX command takes: a group, or one digit as in ``\frac12``."""
        if self.next == "(":
            return self.group("(", ")")
        if self.next.isdigit():
            digit, rest = self.next[0], self.next[1:]
            if rest:
                self.tokens[self.position] = rest
            else:
                self.take()
            return Number(Fraction(int(digit)))
        return self.group("{", "}")


def _is_number(token: str) -> bool:
    return token[0] in ".0123456789"


def _value(token: str) -> Fraction:
    digits = token.replace(",", "")
    if len(digits) > MAX_DIGITS:
        raise ExpressionError(f"a number of more than {MAX_DIGITS} digits")
    return Fraction(digits)
