r"""Plain and LaTeX expressions, read into immutable trees by precedence, within budgets.

    sum      = product (("+" | "-" | "\pm") product)*
    product  = signed (("*" | "/") signed | power)*        what stands side by side is multiplied
    signed   = ("+" | "-" | "\pm")* power
    power    = postfix ("^" exponent)?
    postfix  = operand ("!" | "!!" | "%" | degree)*

Operands are in the module of that name.
"""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.rewards.math.expressions.lexing import END, Token, tokens
from bakeoff.rewards.math.expressions.operands import STARTS, Operands
from bakeoff.rewards.math.expressions.spelling import normalised
from bakeoff.rewards.math.expressions.tree import Node, ParseError


def parse(text: str) -> Node:
    r"""Return the tree of an expression.

    Raises:
        OverBudget: a power of ten in e-notation is too large.
        ParseError: the text is not an expression, or longer or deeper than the budgets.

    Example:
        >>> parse("2x + 1").head
        '+'
        >>> parse("85 apples")
        Traceback (most recent call last):
        ...
        bakeoff.rewards.math.expressions.tree.ParseError: 'apples' is a word
    """
    return expression(tokens(normalised(text)))


def expression(sequence: Sequence[Token]) -> Node:
    """Return the tree of a sequence of tokens, all of it.

    Raises:
        ParseError: they are not an expression.
    """
    parser = Parser(sequence)
    node = parser.sum()
    if parser.next is not END:
        raise ParseError(f"'{parser.next.text[:20]}' stands where an operator should")
    return node


MAX_SIGNS = 20  # before one factor
MAX_MARKS = 60  # "!", "%" and degree signs of an expression


class Parser(Operands):
    """The operators, loosest first."""

    marks = 0

    def sum(self) -> Node:
        """Return terms with signs between them."""
        terms = [self.product()]
        while self.at("+", "-", "pm", "mp"):
            sign = self.take().text
            term = self.product()
            terms.append(term if sign == "+" else Node(sign, (term,)))
        node = terms[0] if len(terms) == 1 else Node("+", tuple(terms))
        if self.at("over", "choose"):  # TeX's own, as in {3 \\over 7}
            node = Node("/" if self.take().text == "over" else "binom", (node, self.sum()))
        return node

    def product(self) -> Node:
        """Return factors, and what they are divided by."""
        factors = [self.signed()]
        while True:
            if self.at("*", "cdot"):
                self.take()
                factors.append(self.signed())
            elif self.at("bmod"):
                self.take()
                product = factors[0] if len(factors) == 1 else Node("*", tuple(factors))
                factors = [Node("mod", (product, self.signed()))]
            elif self.at("/", "div"):
                self.take()
                above = factors[0] if len(factors) == 1 else Node("*", tuple(factors))
                factors = [Node("/", (above, self.signed()))]
            elif self.begins_factor():
                factors.append(self.power())
            else:
                return factors[0] if len(factors) == 1 else Node("*", tuple(factors))

    def begins_factor(self) -> bool:
        """Tell whether a factor begins here without an operator before it."""
        token = self.next
        if token.kind == "letters" or (token.kind == "text" and len(token.text) == 1):
            return True
        if token.kind == "number":  # (2)3, \frac{1}{2}3 and 3!7!, but not 3 4 or x2
            before = self.tokens[self.position - 1].text
            return before in ("!", "i") or (before in (")", "}") and not token.spaced)
        if token.text == "|":
            return self.bars == 0
        if token.text == "[":
            return False
        return token.kind in ("op", "command") and token.text in STARTS

    def signed(self) -> Node:
        """Return a factor with its signs."""
        signs: list[str] = []
        while self.at("+", "-", "pm", "mp"):
            signs.append(self.take().text)
        if len(signs) > MAX_SIGNS:
            raise ParseError("too many signs")
        node = self.power()
        for sign in reversed([sign for sign in signs if sign in ("pm", "mp")]):
            node = Node(sign, (node,))
        return Node("-", (node,)) if signs.count("-") % 2 else node

    def power(self) -> Node:
        """Return a factor without signs."""
        base = self.postfix()
        if not self.at("^", "**"):
            return base
        self.take()
        return Node("^", (base, self.exponent()))

    def exponent(self) -> Node:
        """Return what stands after ``^``: a group, or one operand, whose number is not mixed."""
        negative = False
        while self.at("+", "-"):
            negative ^= self.take().text == "-"
        if self.at("{"):
            node = self.group("{")
        else:
            number = self.next.kind == "number"
            node = self.written_number(self.take()) if number else self.postfix()
        if self.at("^", "**"):
            self.take()
            node = Node("^", (node, self.exponent()))
        return Node("-", (node,)) if negative else node

    def postfix(self) -> Node:
        """Return an operand with the factorial, percent and degree signs after it."""
        node = self.operand()
        while self.at("!", "%", "degree"):
            self.marks += 1
            if self.marks > MAX_MARKS:
                raise ParseError("too many signs")
            head = self.take().text
            if head == "!" and self.at("!"):
                self.take()
                head = "!!"
            if self.at("!"):
                raise ParseError("three or more factorial signs")
            node = Node("°" if head == "degree" else head, (node,))
        return node
