"""Expressions as immutable trees, and the errors of reading and evaluating them.

A tree is a ``Node(head, args, value)``. The heads:

    number    value: a Fraction              symbol    value: the name (pi, e, i, infinity, x, x_1)
    +  *      two or more args               -         one arg, the negation
    /  ^      two args                       root      radicand and order
    %  °  !  !!  abs  floor  ceil  conj      one arg
    binom  mod  log                          two args; log has the argument and the base
    gcd  lcm  max  min                       one or more args
    apply                                    the name of a function, and its argument
    sum  prod                                body, index (a symbol), from, to
    pm  mp                                   one arg, the plus-minus and minus-plus of it
    sin  cos  ...                            one arg, the names in FUNCTIONS
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

FUNCTIONS = frozenset(
    f"{arc}{name}{hyperbolic}"
    for arc in ("", "arc")
    for name in ("sin", "cos", "tan", "cot", "sec", "csc")
    for hyperbolic in ("", "h")
) | {"ln", "exp"}
CONSTANTS = frozenset({"pi", "e", "i", "infinity"})


class ExpressionError(ValueError):
    """A text is not an expression of this grammar, or an expression has no value."""


class ParseError(ExpressionError):
    """A text is not an expression of this grammar."""


class OverBudget(ExpressionError):
    """The value is too large, or takes too long, to work out."""


class Node(NamedTuple):
    """One operation and its operands, or a leaf."""

    head: str
    args: tuple[Node, ...] = ()
    value: Fraction | str | None = None


def number(value: Fraction | int) -> Node:
    """Return the leaf of a number."""
    return Node("number", (), Fraction(value))


def symbol(name: str) -> Node:
    """Return the leaf of a variable or a constant."""
    return Node("symbol", (), name)


def difference(left: Node, right: Node) -> Node:
    """Return ``left - right``."""
    return Node("+", (left, Node("-", (right,))))


def is_infinite_sign(node: Node) -> int:
    """Return 1 for infinity, -1 for minus infinity, and 0 for everything else."""
    if node.head == "-" and node.args[0] == symbol("infinity"):
        return -1
    return int(node == symbol("infinity"))


def bits(value: Fraction) -> int:
    """Return the bits of numerator and denominator together."""
    return value.numerator.bit_length() + value.denominator.bit_length()


def walk(node: Node) -> Iterator[Node]:
    """Yield a tree's nodes, each before its operands."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(node.args))


def variables(node: Node) -> frozenset[str]:
    """Return the names of the free variables.

    Example:
        >>> sorted(variables(Node("+", (symbol("x"), symbol("pi"), symbol("a")))))
        ['a', 'x']
    """
    names: set[str] = set()
    bound: set[str] = set()
    for part in walk(node):
        if part.head == "symbol" and part.value not in CONSTANTS:
            names.add(str(part.value))
        elif part.head in ("sum", "prod"):
            bound.add(str(part.args[1].value))
    return frozenset(names - bound)


def substituted(node: Node, values: dict[str, Node]) -> Node:
    """Return the tree with some of its symbols replaced.

    Example:
        >>> substituted(Node("!", (symbol("n"),)), {"n": number(5)})
        Node(head='!', args=(Node(head='number', args=(), value=Fraction(5, 1)),), value=None)
    """
    if node.head == "symbol":
        return values.get(str(node.value), node)
    if not node.args:
        return node
    return node._replace(args=tuple(substituted(part, values) for part in node.args))
