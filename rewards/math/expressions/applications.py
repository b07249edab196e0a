r"""Functions and what they are applied to: ``\sin^2 x``, ``\log_2 8``, ``\sqrt[3]{5}``, sums."""

from __future__ import annotations

from bakeoff.rewards.math.expressions.lexing import END, Cursor
from bakeoff.rewards.math.expressions.literals import literal
from bakeoff.rewards.math.expressions.tree import FUNCTIONS, Node, ParseError, number, symbol

CLOSING = {"(": ")", "[": "]", "{": "}", "lfloor": "rfloor", "lceil": "rceil"}
_SHORT = {
    name.replace("arc", short): name
    for name in FUNCTIONS
    if name.startswith("arc")
    for short in ("a", "ar")
}
PAIRS = frozenset({"gcd", "lcm", "max", "min"})
_ROUNDING = frozenset({"floor", "ceil", "abs"})
FUNCTION_NAMES = FUNCTIONS | _SHORT.keys() | _ROUNDING | PAIRS | {"sqrt", "cbrt", "log"}


class Applications(Cursor):
    """The functions; ``Operands`` and ``Parser`` add what they are applied to."""

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
        raise NotImplementedError

    def begun(self, name: str) -> Node:
        """Return what an opening bracket or a command begins."""
        raise NotImplementedError

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
        if name in PAIRS:
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
        self.expect(CLOSING[opening])
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
            depth += (token.text == opening) - (token.text == CLOSING[opening])
            texts.append(token.text)
        return " ".join(texts[:-1])
