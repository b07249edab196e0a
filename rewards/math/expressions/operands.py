r"""What stands between operators: numbers, names, brackets, fractions, roots and functions.

An operator that is not carried out (an integral, a limit, a derivative) is not read: a question
given back is not its answer.
"""

from __future__ import annotations

from fractions import Fraction

from bakeoff.rewards.math.expressions.lexing import END, Cursor, Token
from bakeoff.rewards.math.expressions.literals import in_base, literal
from bakeoff.rewards.math.expressions.tree import (
    FUNCTIONS,
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
_CLOSING = {"(": ")", "[": "]", "{": "}", "lfloor": "rfloor", "lceil": "rceil"}
_NAMED = {"pi": "pi", "infty": "infinity", "infinity": "infinity", "inf": "infinity"}
_SHORT = {
    name.replace("arc", short): name
    for name in FUNCTIONS
    if name.startswith("arc")
    for short in ("a", "ar")
}
_PAIRS = frozenset({"gcd", "lcm", "max", "min"})
_ROUNDING = frozenset({"floor", "ceil", "abs"})
FUNCTION_NAMES = FUNCTIONS | _SHORT.keys() | _ROUNDING | _PAIRS | {"sqrt", "cbrt", "log"}
_MARKED = frozenset({"overline", "bar", "vec", "hat", "widehat", "tilde", "overrightarrow"})
_OPENING = frozenset({"(", "{", "frac", "binom", "lfloor", "lceil", "angle", "triangle"})
STARTS = FUNCTION_NAMES | GREEK | _NAMED.keys() | _OPENING | _MARKED | {"sum", "prod"}
_APPLIED = frozenset("fgh")  # they stand for functions before a bracket
_GLUED = ("arcsin", "arccos", "arctan", "sin", "cos", "tan", "ln", "log", "sqrt", "pi")


class Operands(Cursor):
    """The operands; ``Parser`` adds the operators that they are made of in turn."""

    bars = 0  # absolute values that are open here

    def sum(self) -> Node:
        """Return the expression that begins here."""
        raise NotImplementedError

    def signed(self) -> Node:
        """Return a factor with its signs."""
        raise NotImplementedError

    def power(self) -> Node:
        """Return a factor without signs."""
        raise NotImplementedError

    def exponent(self) -> Node:
        """Return what stands after ``^``."""
        raise NotImplementedError

    def begins_factor(self) -> bool:
        """Tell whether a factor begins here without an operator before it."""
        raise NotImplementedError

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
        if name in _CLOSING:
            node = self.sum()
            self.expect(_CLOSING[name])
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
            inner = self.argument()
            return symbol(f"overline {inner}") if variables(inner) else Node("conj", (inner,))
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

    def function(self, name: str) -> Node:
        """Return a function applied: ``sin x``, ``\\sin^2 x``, ``\\log_2 8``, ``\\sqrt[3]{5}``."""
        name = _SHORT.get(name, name)
        if name in ("sqrt", "cbrt"):
            order = number(3 if name == "cbrt" else 2)
            if self.at("["):
                self.take()
                order = self.sum()
                self.expect("]")
            return Node("root", (self.radicand(), order))
        if name in _ROUNDING:
            return Node(name, (self.group("("),))
        if name in _PAIRS:
            return self.pair(name)
        base = number(10)
        if name == "log" and self.at("_"):
            self.take()
            base = self.argument()
        raised = None
        if self.at("^", "**"):
            self.take()
            raised = self.exponent()
            if raised == Node("-", (number(1),)) and f"arc{name}" in FUNCTIONS:
                name, raised = f"arc{name}", None
        argument = self.applied_to()
        node = Node(name, (argument, base) if name == "log" else (argument,))
        return node if raised is None else Node("^", (node, raised))

    def applied_to(self) -> Node:
        r"""Return a function's argument: a group, or the factors up to the next function."""
        if self.at("(", "{"):
            return self.group(self.next.text)
        factors = [self.signed()]
        while self.begins_factor() and not self.at("(") and self.next.text not in FUNCTION_NAMES:
            factors.append(self.power())
        node = factors[0] if len(factors) == 1 else Node("*", tuple(factors))
        if factors[-1] == symbol("pi") and self.at("/"):  # sin pi/6
            self.take()
            node = Node("/", (node, self.power()))
        return node

    def radicand(self) -> Node:
        """Return what a root is taken of: a group, a whole number, or one name."""
        if self.at("(", "{"):
            return self.group(self.next.text)
        if self.next.kind == "number":
            return number(literal(self.take().text).value)
        return self.argument()

    def pair(self, name: str) -> Node:
        """Return a function of two or more arguments, as gcd(12, 18)."""
        opening = self.take().text
        if opening not in ("(", "{", "lbrace"):
            raise ParseError(f"'(' should stand where '{opening[:20]}' does")
        arguments = [self.sum()]
        while self.at(","):
            self.take()
            arguments.append(self.sum())
        self.expect({"(": ")", "{": "}", "lbrace": "rbrace"}[opening])
        if name == "binom" and len(arguments) != 2:
            raise ParseError("a binomial of other than two numbers")
        return Node(name, tuple(arguments))

    def iterated(self, name: str) -> Node:
        r"""Return ``\sum_{k=1}^{n}`` or a product of what follows."""
        self.expect("_")
        self.expect("{")
        index = self.operand()
        self.expect("=")
        start = self.sum()
        self.expect("}")
        self.expect("^")
        stop = self.exponent()
        if index.head != "symbol":
            raise ParseError("an index that is no name")
        body = [self.signed()]
        while self.begins_factor():
            body.append(self.power())
        return Node(
            name, (Node("*", tuple(body)) if len(body) > 1 else body[0], index, start, stop)
        )

    def group(self, opening: str) -> Node:
        """Return what stands in brackets."""
        self.expect(opening)
        node = self.sum()
        self.expect(_CLOSING[opening])
        return node

    def argument(self) -> Node:
        r"""Return what a LaTeX command takes: a group, one digit as in ``\frac12``, or one name."""
        if self.at("{", "("):
            return self.group(self.next.text)
        token = self.next
        if token.kind in ("number", "letters") and len(token.text) > 1:
            self.tokens[self.position] = token._replace(text=token.text[1:], spaced=False)
            token = token._replace(text=token.text[0])
        else:
            self.take()
        if token.kind == "number":
            return number(literal(token.text).value)
        if token.kind == "letters":
            return symbol(token.text)
        with self.deeper():
            return self.begun(token.text)

    def label(self) -> str:
        """Return the text of a subscript, or of what a bar is drawn over."""
        if not self.at("{", "("):
            return self.take().text
        opening, depth, texts = self.take().text, 1, []
        while depth:
            token = self.take()
            if token is END:
                raise ParseError("a bracket that is not closed")
            depth += (token.text == opening) - (token.text == _CLOSING[opening])
            texts.append(token.text)
        return " ".join(texts[:-1])


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
