r"""The tokens of plain and LaTeX mathematics.

Kinds: "number" (as written), "letters" (a run of them), "command" (a LaTeX command or a sign that
has one, by its name), "text" (what ``\text{...}`` holds), "begin" and "end" (of an environment),
and "op" (a sign). Spacing and sizing commands leave no token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from bakeoff.rewards.math.expressions.tree import FUNCTIONS, ParseError

MAX_TOKENS = 800
MAX_LISTED = 200  # characters of a \text{...} that is read as a list
MAX_DEPTH = 60

_GROUP = r"(?:,\\!|\\!,|\{,\}|\\,|\\!|\\ |,| )"
_DIGITS = rf"[0-9]{{1,3}}(?:{_GROUP}[0-9]{{3}})+(?![0-9])|[0-9]+"
_REPEATED = (  # what stands for digits without end
    r"(?:\\(?:overline|bar|dot)\s?\{?[0-9]+\}?|\([0-9]+\)(?![0-9(^])"
    r"|(?:\.\.\.|\\[lc]?dots(?![A-Za-z])))"
)
NUMBER = (
    rf"(?:(?:{_DIGITS})(?:\.[0-9]*{_REPEATED}|\.[0-9]*(?!\.))?|\.[0-9]+{_REPEATED}?)"
    r"(?:[eE][+-]?[0-9]+)?"
)
_NUMBER = re.compile(NUMBER)
_FONTS = (
    r"text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt|normal|cal)|operatorname|mbox|hbox"
    r"|boldsymbol|emph|bm|fbox|boxed"
)
_SKIPPED = (
    r"(?:\s|~|\\[,;:!> ]|\\(?:left|right)\s?\.|\\phantom\s?(?:\{[^{}]*\}|.)|\\hspace\*?\{[^{}]*\}|"
    r"\\(?:text)?color\s?\{[^{}]*\}|\\(?:tiny|small|normalsize|large|Large|huge)(?![A-Za-z])|"
    r"\\(?:quad|qquad|thinspace|displaystyle|textstyle|left|right|middle|[bB]igg?[lrm]?|limits|"
    r"nolimits|nonumber|rm|bf|it|mathstrut|strut)(?![A-Za-z]))+"
)
_TOKEN = re.compile(
    rf"(?P<skip>{_SKIPPED})"
    rf"|(?P<number>{NUMBER})"
    rf"|\\(?:{_FONTS})\s?\{{(?P<text>[^{{}}]*)\}}"
    rf"|(?P<styled>\\(?:{_FONTS}|underline)(?=\s?\{{))"
    r"|\\begin\s?\{(?P<begin>[A-Za-z]+)\*?\}(?:\s?\{[clr|@ ]*\})?"
    r"|\\end\s?\{(?P<end>[A-Za-z]+)\*?\}"
    r"|\\mathbb\s?\{?\s?(?P<numbers>[A-Z])\s?\}?"
    r"|(?P<row>\\\\(?:\[[^\]]*\])?)"
    r"|\\(?P<command>[A-Za-z]+)"
    r"|\\(?P<escaped>[{}$%#&|_])"
    r"|(?P<compare><=|>=|!=|==|=<|:=|->|=>|[<>=])"
    r"|(?P<dots>\.\.\.)"
    r"|(?P<op>\*\*|[-+*/^_!|(){}\[\],;:'\"%$&?])"
    r"|(?P<letters>[A-Za-z]+)"
    r"|(?P<money>[£€¥₹¢])"
)
_LISTED = re.compile("[0-9]+,[0-9]")
_COMPARISONS = {"<=": "le", "=<": "le", ">=": "ge", "!=": "ne", "==": "=", ":=": "=", "->": "to"}
_SAME = {  # spellings of one command
    "times": "cdot", "ast": "cdot", "leq": "le", "leqslant": "le", "geq": "ge", "geqslant": "ge",
    "neq": "ne", "lt": "<", "gt": ">", "dots": "ldots", "cdots": "ldots",
    "dbinom": "binom", "tbinom": "binom", "varnothing": "emptyset", "lor": "vee", "land": "wedge",
    "infin": "infty", "lg": "log", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|",
    "lparen": "(", "rparen": ")", "lbrack": "[", "rbrack": "]", "colon": ":", "arctg": "arctan",
    "tg": "tan", "ctg": "cot", "simeq": "approx", "varepsilon": "epsilon", "varphi": "phi",
    "vartheta": "theta", "rightarrow": "to", "Rightarrow": "to", "implies": "to", "bigcup": "cup",
    "dollar": "$", "percent": "%", "backslash": "setminus",
}  # fmt: skip
_ESCAPED = {"{": "lbrace", "}": "rbrace", "$": "$", "%": "%", "|": "|"}
_NUMBERS = {"R": "reals", "Z": "integers", "N": "naturals", "Q": "rationals", "C": "complexes"}
_ONE_SIGN = {"|", "(", ")", "[", "]", ":", "<", ">", "%"}
_COMMAND = re.compile(r"\\[A-Za-z]{2}")
_JOINED = re.compile(r",|\band\b|\bor\b")
_CONNECTORS = {"and", "or"}


class Token(NamedTuple):
    """One token, and whether white space stands before it."""

    kind: str
    text: str
    spaced: bool = False


def tokens(text: str) -> list[Token]:
    r"""Return the tokens of a normalised text.

    Raises:
        ParseError: a sign that mathematics does not use, or too many tokens.

    Example:
        >>> [token.text for token in tokens(r"1{,}000 \cdot \sin x")]
        ['1{,}000', 'cdot', 'sin', 'x']
    """
    found: list[Token] = []
    position, spaced, depth = 0, False, 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ParseError(f"cannot read {text[position]!a}")
        kind, content = str(match.lastgroup), match[match.lastgroup or 0]
        position = match.end()
        if kind == "text" and _COMMAND.search(content):  # \mathbf{\frac12}
            position = text.index("{", match.start())
            continue
        if kind == "text" and _is_list(content):  # \text{A, B}
            found.extend(_listed(content))
            continue
        if kind in ("skip", "styled"):
            spaced = spaced or kind == "skip"
            continue
        if kind == "number" and depth and _LISTED.match(content):
            content = content.partition(",")[0]  # (1,000) has two elements
            position = match.start() + len(content)
        token = _token(kind, content, spaced)
        depth += (token.text in ("(", "[", "lbrace")) - (token.text in (")", "]", "rbrace"))
        found.append(token)
        spaced = False
        if len(found) > MAX_TOKENS:
            raise ParseError(f"more than {MAX_TOKENS} numbers and signs")
    return found


def _is_list(content: str) -> bool:
    """Tell whether words are joined by commas or connectors, and are not a number as 1,000 is."""
    short = len(content) < MAX_LISTED and _JOINED.search(content) is not None
    return short and _NUMBER.fullmatch(content.strip()) is None


def _listed(content: str) -> list[Token]:
    r"""Return the tokens of a ``\\text{...}`` with commas in it."""
    found: list[Token] = []
    for part in re.split(r"(,|\band\b|\bor\b)", content):
        words = part.strip()
        if words == ",":
            found.append(Token("op", ","))
        elif words in _CONNECTORS:
            found.append(Token("text", words))
        elif words:
            found.append(_written(words, True))
    return found


def _token(kind: str, content: str, spaced: bool) -> Token:
    match kind:
        case "number" | "letters" | "begin" | "end":
            if kind == "letters" and content.lower() in _CONNECTORS:
                return Token("text", content.lower(), spaced)
            return Token(kind, content, spaced)
        case "text":
            return _written(content, spaced)
        case "numbers":
            if content not in _NUMBERS:
                raise ParseError(f"cannot read \\mathbb{{{content}}}")
            return Token("command", _NUMBERS[content], spaced)
        case "row":
            return Token("op", "\\\\", spaced)
        case "dots":
            return Token("command", "ldots", spaced)
        case "money":
            return Token("money", content, spaced)
        case "escaped":
            if content == "$":
                return Token("money", "$", spaced)
            name = _ESCAPED.get(content, content)
            return Token("op" if name in _ONE_SIGN else "command", name, spaced)
        case "compare":
            name = _COMPARISONS.get(content, content)
            return Token("op", name, spaced)
    name = _SAME.get(content, content) if kind == "command" else content
    return Token("op" if kind == "op" or name in _ONE_SIGN else "command", name, spaced)


def _written(content: str, spaced: bool) -> Token:
    r"""Return the token of what a ``\text{...}`` holds: a number, a letter, a name, or words."""
    words = " ".join(content.replace("\\", " ").replace("~", " ").split())
    if words in ("$", "£", "€", "¥"):
        return Token("money", words, spaced)
    words = words.replace("$", " ").strip()
    if _NUMBER.fullmatch(words):
        return Token("number", words, spaced)
    if words in ("+", "-"):
        return Token("op", words, spaced)
    if words in FUNCTIONS or words in ("sqrt", "pi", "log", "gcd", "lcm"):
        return Token("command", words, spaced)
    return Token("text", words.strip(), spaced)


END = Token("end", "the end")


class Cursor:
    """A place in a sequence of tokens."""

    def __init__(self, sequence: Sequence[Token]) -> None:
        self.tokens = [*sequence, END, END, END]
        self.position = 0
        self.depth = 0

    @property
    def next(self) -> Token:
        """The token that stands here."""
        return self.tokens[self.position]

    def take(self) -> Token:
        """Return the token that stands here, and go on."""
        token = self.tokens[self.position]
        self.position += token is not END
        return token

    def at(self, *texts: str) -> bool:
        """Tell whether one of these signs or commands stands here."""
        token = self.tokens[self.position]
        return token.text in texts and token.kind in ("op", "command")

    def expect(self, text: str) -> None:
        """Go on after this sign or command.

        Raises:
            ParseError: something else stands here.
        """
        if not self.at(text):
            raise ParseError(f"'{text}' should stand where '{self.next.text[:20]}' does")
        self.position += 1

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Count one more operand inside of another one.

        Raises:
            ParseError: there are more than ``MAX_DEPTH``.
        """
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ParseError(f"nested more than {MAX_DEPTH} deep")
        yield
        self.depth -= 1
