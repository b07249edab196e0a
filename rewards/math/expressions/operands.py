r"""What stands between operators: numbers, names, brackets, fractions, roots and functions.

An operator that is not carried out (an integral, a limit, a derivative) is not read: a question
given back is not its answer.
"""

from __future__ import annotations

from fractions import Fraction

from bakeoff.rewards.math.expressions.applications import CLOSING, FUNCTION_NAMES, Applications
from bakeoff.rewards.math.expressions.lexing import END, Token
from bakeoff.rewards.math.expressions.literals import in_base, literal
from bakeoff.rewards.math.expressions.tree import (
    Node,
    ParseError,
    bits,
    number,
    symbol,
    variables,
)

_GREEK = """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau
    upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Sigma Upsilon Phi Psi Omega ell hbar
"""
GREEK = frozenset(_GREEK.split())
_NAMED = {"pi": "pi", "infty": "infinity", "infinity": "infinity", "inf": "infinity"}
_MARKED = frozenset({"overline", "bar", "vec", "hat", "widehat", "tilde", "overrightarrow"})
_OPENING = frozenset({"(", "{", "frac", "binom", "lfloor", "lceil", "angle", "triangle"})
STARTS = FUNCTION_NAMES | GREEK | _NAMED.keys() | _OPENING | _MARKED | {"sum", "prod"}
_APPLIED = frozenset("fgh")  # they stand for functions before a bracket
_GLUED = ("arcsin", "arccos", "arctan", "sin", "cos", "tan", "ln", "log", "sqrt", "pi")


class Operands(Applications):
    """The operands; ``Parser`` adds the operators that they are made of in turn."""

    bars = 0  # absolute values that are open here

    def operand(self) -> Node:
        """Return what begins at the next token."""
        with self.deeper():
            token = self.take()
            if token.kind == "number":
                return self.number(token)
            if token.kind == "letters" or (token.kind == "text" and len(token.text) == 1):
                return self.letters(token)
            if token.kind in ("op", "command"):
                return self.begun(token.text)
        if token is END:
            raise ParseError("nothing stands where a value should")
        raise ParseError(f"'{token.text[:20]}' is a word")

    def begun(self, name: str) -> Node:
        """Return what an opening bracket or a command begins."""
        if name in CLOSING:
            node = self.sum()
            self.expect(CLOSING[name])
            if self.at("_") and isinstance(node.value, Fraction) and bits(node.value) < 4_000:
                self.take()  # (1010)_2
                return number(in_base(str(node.value), self.label()))
            return Node(name[1:], (node,)) if len(name) > 1 else node
        if name == "|":
            self.bars += 1
            node = self.sum()
            self.expect("|")
            self.bars -= 1
            return Node("abs", (node,))
        if name == "frac":
            return Node("/", (self.argument(), self.argument()))
        if name == "binom":
            return Node("binom", (self.argument(), self.argument()))
        if name in ("overline", "bar") and self.tokens[self.position + 2].text in ("+", "-"):
            start = self.position
            inner = self.argument()
            label = " ".join(token.text for token in self.tokens[start : self.position])
            return symbol(f"overline {label}") if variables(inner) else Node("conj", (inner,))
        if name in _MARKED:
            return self.subscripted(f"{name} {self.label()}")
        if name in ("sum", "prod"):
            return self.iterated(name)
        if name in ("angle", "triangle"):
            return symbol(f"{name} {self.take().text}")
        return self.named(name)

    def named(self, name: str) -> Node:
        """Return the function or the symbol of a name."""
        if name in FUNCTION_NAMES:
            return self.function(name)
        if name in _NAMED:
            return symbol(_NAMED[name])
        if name in GREEK:
            return self.subscripted(name)
        raise ParseError(f"'{name[:20]}' stands where a value should")

    def number(self, token: Token) -> Node:
        """Return a number, a mixed number, or one in another base."""
        written = self.written_number(token)
        value, digits = written.value, literal(token.text).digits
        if digits or not isinstance(value, Fraction) or value.denominator != 1:
            return written
        first, second, third = (self.tokens[self.position + k] for k in range(3))
        if first.text == "frac" and first.kind == "command":
            self.take()
            return _mixed(number(value), self.argument(), self.argument())
        if first.kind == third.kind == "number" and second.text == "/" and first.spaced:
            self.position += 3
            above, below = (number(literal(part.text).value) for part in (first, third))
            node = _mixed(number(value), above, below)
            if node.head == "+":
                return node
            raise ParseError("two numbers side by side")
        return number(value)

    def written_number(self, token: Token) -> Node:
        """Return the number of one token, and of the base that follows it."""
        if not self.at("_"):
            return number(literal(token.text).value)
        self.take()
        return number(in_base(token.text, self.label()))

    def letters(self, token: Token) -> Node:
        """Return the name that a run of letters is, or the product of its letters."""
        name = token.text
        if name in FUNCTION_NAMES or name in _NAMED or (name in GREEK and len(name) > 1):
            return self.named(name)
        if len(name) == 1:
            return self.applied(name) if self.at("(") else self.subscripted(name)
        for prefix in _GLUED:
            if name.startswith(prefix) and len(name) <= len(prefix) + 2:  # sinx
                return self.split(name, len(prefix))
        if name.isupper():
            return self.subscripted(name)  # a segment, AB
        if len(name) > 2 and not is_product(name):
            raise ParseError(f"'{name[:20]}' is a word")
        return self.split(name, 1)

    def applied(self, name: str) -> Node:
        """Return f(x), C(n, k), or a letter before a bracket that it multiplies."""
        if name == "C" and any(token.text == "," for token in self.tokens[self.position :]):
            return self.pair("binom")
        if name in _APPLIED:
            return Node("apply", (symbol(name), self.group("(")))
        return symbol(name)

    def split(self, name: str, size: int) -> Node:
        """Return what the first letters of a run are, and leave the others."""
        self.position -= 1
        parts = [Token("letters", name[:size]), Token("letters", name[size:])]
        self.tokens[self.position : self.position + 1] = parts
        return self.letters(self.take())

    def subscripted(self, name: str) -> Node:
        """Return a symbol with the subscript and the primes that follow."""
        if self.at("_"):
            self.take()
            name = f"{name}_{self.label()}"
        while self.at("'"):
            name += self.take().text
        return symbol(name)


def is_product(name: str) -> bool:
    """Tell whether a run of letters is a product, as xyz or pqr are, rather than a word.

    Example:
        >>> [is_product(name) for name in ("xyz", "abc", "lwh", "stop", "cat")]
        [True, True, True, False, False]
    """
    letters = sorted(set(name))
    neighbours = ord(letters[-1]) - ord(letters[0]) == len(letters) - 1
    return neighbours or set(letters) <= set("abcxyz") or not set(letters) & set("aeiouy")


def _mixed(whole: Node, above: Node, below: Node) -> Node:
    r"""Return ``2\frac{1}{3}`` as 7/3, and ``2\frac{\pi}{3}`` or ``2\frac{4}{3}`` as products."""
    part = Node("/", (above, below))
    values = above.value, below.value
    if above.head == below.head == "number" and 0 < values[0] < values[1]:  # type: ignore[operator]
        return Node("+", (whole, part))
    return Node("*", (whole, part))
