r"""Equations, inequalities, and what ``\in`` says: solved ones are values and regions.

``x = 3`` is 3, and ``x < 3`` is an interval. An equation that is not solved for a name stays a
relation, which is equal to no value: ``x + 1 = 4`` is not 3, and ``x^2 = 9`` is not 9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from bakeoff.rewards.math.answers.kinds import (
    INFINITY,
    MINUS_INFINITY,
    Answer,
    Collection,
    Interval,
    Region,
    Relation,
    Unit,
    Value,
    point,
)
from bakeoff.rewards.math.answers.quantities import digits_of, is_name
from bakeoff.rewards.math.answers.regions import complement, normal, order
from bakeoff.rewards.math.answers.structure import split
from bakeoff.rewards.math.answers.unit_table import NOT_UNITS
from bakeoff.rewards.math.equality.exact import rational
from bakeoff.rewards.math.equality.values import same_value
from bakeoff.rewards.math.expressions.lexing import Token
from bakeoff.rewards.math.expressions.parsing import expression
from bakeoff.rewards.math.expressions.tree import (
    ExpressionError,
    Node,
    ParseError,
    difference,
    number,
    substituted,
    symbol,
    variables,
)

Reader = Callable[[list[Token]], Answer]
_FUNCTION_NAMES = frozenset("fghpqFGHPQSTVACNExyuvst")
_DERIVATIVE = re.compile(  # dy/dx, or d/dx of something
    r"(?:frac\{d[a-z]?\}\{d[a-z]\}|d[a-z]?/d[a-z])(?:[a-z]|[\[(].{1,40}[\])])?"
)
_LESS = {"<": False, "le": True}
_MORE = {">": "<", "ge": "le"}


def related(sides: list[list[Token]], signs: Sequence[str], read: Reader) -> Answer:
    """Return what sides joined by relation signs say.

    Raises:
        ParseError: they say nothing that could be an answer, as "1 = 1" or "a < b > c".
    """
    if "approx" in signs:
        return _approximate(sides, signs, read)
    if set(signs) == {"="}:
        return _equation(sides, read)
    if len(signs) == 1:
        match signs[0]:
            case "in":
                return named(read(sides[1]), _name(sides[0]))
            case "equiv":
                return _congruence(sides)
            case "ne":
                return _unequal(expression(sides[0]), expression(sides[1]))
    if set(signs) <= _LESS.keys() or set(signs) <= _MORE.keys():
        if signs[0] in _MORE:
            sides, signs = sides[::-1], [_MORE[sign] for sign in reversed(signs)]
        nodes = [_side(side) for side in sides]
        return _inequality(nodes, signs, list(map(digits_of, sides, nodes)))
    raise ParseError("relations of several kinds")


def named(answer: Answer, name: str) -> Answer:
    """Return the answer as the value of a variable."""
    if isinstance(answer, Value | Region):
        return answer._replace(name=name or answer.name)
    if isinstance(answer, Collection) and answer.kind in ("list", "set"):
        return answer._replace(items=tuple(named(item, name) for item in answer.items))
    return answer


def _approximate(sides: list[list[Token]], signs: Sequence[str], read: Reader) -> Answer:
    r"""Return the exact side of ``\frac{1}{3} \approx 0.333``, and 3.14 for ``x \approx 3.14``."""
    first = list(signs).index("approx")
    if not _is_near(sides[first], sides[first + 1]):
        raise ParseError("an approximation that is none")
    if first == 0 and _name_or_none(sides[0]) is not None:
        return related(sides, ["=" if sign == "approx" else sign for sign in signs], read)
    return related(sides[: first + 1], signs[:first], read) if first else read(sides[0])


def _is_near(exact: list[Token], rounded: list[Token]) -> bool:
    """Tell whether a side is the other one, rounded to the digits that are written."""
    try:
        first, second = (order(expression(side)) for side in (exact, rounded))
    except ExpressionError:
        return _name_or_none(exact) is not None or any(
            token.kind in ("text", "money") for token in exact
        )
    decimals = [token.text.partition(".")[2] for token in rounded if token.kind == "number"]
    step = 10.0 ** -len(decimals[0]) if len(decimals) == 1 else 0.0
    return abs(first - second) <= (step if step < 1 else 0.5) * (1 + 1e-9)


def _equation(sides: list[list[Token]], read: Reader) -> Answer:
    name = _name_or_none(sides[0])
    if name is None and len(sides) == 2 and (turned := _name_or_none(sides[1])) is not None:
        sides, name = sides[::-1], turned
        if not _is_constant(read(sides[1])):
            return Relation("=", expression(sides[1]), expression(sides[0]))
    if name is None:
        return _unnamed(sides)
    if sides[0][0].text == "(":  # (x, y) = (1, 2)
        return _each_named(name, read(sides[-1]))
    answer = read(sides[-1])
    if isinstance(answer, Value):
        if name in variables(answer.node):
            return Relation("=", expression(sides[0]), answer.node)
        for side in map(expression, sides[1:-1]):
            if name in variables(side):
                raise ParseError("an equation that is not solved")
            _check_side(side, answer.node)
    elif len(sides) > 2 or isinstance(answer, Relation):
        raise ParseError("an equation of several kinds")
    return named(answer, name)


def _each_named(names: str, answer: Answer) -> Answer:
    """Return the coordinates of a point, each as the value of its name."""
    parts = names.strip("()").split(", ")
    if not isinstance(answer, Collection) or len(parts) != len(answer.items):
        raise ParseError("another number of names than of values")
    items = (named(item, part) for part, item in zip(parts, answer.items, strict=True))
    return Collection("tuple", tuple(items))


def _unnamed(sides: list[list[Token]]) -> Answer:
    """Return the last side of a calculation, 47 + 38 = 85, or an equation in variables."""
    nodes = [expression(side) for side in sides]
    if any(variables(node) for node in nodes):
        if len(nodes) > 2:
            raise ParseError("an equation with more than two sides")
        return Relation("=", *nodes)
    for node in nodes[:-1]:
        if node == nodes[-1]:
            raise ParseError("an equation that says nothing")
        _check_side(node, nodes[-1])
    return Value(nodes[-1])


def _check_side(side: Node, last: Node) -> None:
    """Check that a side of a chain of equations has the value of the last one.

    Raises:
        ParseError: it is a number, and another one.
    """
    if not variables(side) and not variables(last) and same_value(side, last).equal is False:
        raise ParseError("an equation that is false")


def _side(side: list[Token]) -> Node:
    """Return the expression of a side, where g(x) is a name."""
    if _is_application(side):
        return symbol("".join(token.text for token in side))
    return expression(side)


def _name(side: list[Token]) -> str:
    name = _name_or_none(side)
    if name is None:
        raise ParseError("a relation of what is no variable")
    return name


def _name_or_none(side: list[Token]) -> str | None:
    r"""Return the name that a side is: x, a_1, f(x), AB, \angle A, (x, y), "Area"; else None."""
    if all(token.kind == "text" or _is_word(token) for token in side):
        if any(word in NOT_UNITS for token in side for word in token.text.lower().split()):
            return None  # "not = 3"
        return " ".join(token.text for token in side)
    if [token.text for token in side[:2]] == ["m", "angle"]:
        side = side[1:]
    if len(side) > 2 and {":"} == {token.text for token in side if token.kind != "letters"}:
        return "".join(token.text for token in side)
    if side[0].text == "(" and side[-1].text == ")":
        parts, connectors = split(side[1:-1], {","})
        names = [_name_or_none(part) if part else None for part in parts]
        if connectors and None not in names:
            return f"({', '.join(map(str, names))})"
    if _is_application(side):
        return f"{side[0].text}()"
    if _DERIVATIVE.fullmatch("".join(token.text for token in side)):
        return "derivative()"
    try:
        node = expression(side)
    except ParseError:
        return None
    if node.head == "abs" and is_name(node.args[0]) and str(node.args[0].value).isupper():  # |AB|
        return f"|{node.args[0].value}|"
    if node.head == "^" and is_name(node.args[0]) and str(node.args[0].value).isupper():  # A^{-1}
        return f"{node.args[0].value}()" if node.args[1] == Node("-", (number(1),)) else None
    return str(node.value) if is_name(node) else None


def _is_word(token: Token) -> bool:
    return token.kind == "letters" and len(token.text) > 2


def _is_application(side: list[Token]) -> bool:
    """Tell whether a side is like f(x), f'(2), f^{-1}(x), P(A)."""
    if side[0].kind != "letters" or side[0].text not in _FUNCTION_NAMES or side[-1].text != ")":
        return False
    texts = [token.text for token in side[1:]]
    if side[0].text in "xyuvst" and texts not in (["(", "x", ")"], ["(", "t", ")"]):
        return False
    opening = texts.index("(") if "(" in texts else -1
    if opening < 0 or not set(texts[:opening]) <= {"'", "^", "{", "-", "1", "}"}:
        return False
    return not {"(", "+", "*", "/", ")"} & set(texts[opening + 1 : -1])


def _is_constant(answer: Answer) -> bool:
    return not isinstance(answer, Value) or not variables(answer.node)


def _unequal(left: Node, right: Node) -> Answer:
    if is_name(right):
        left, right = right, left
    if is_name(left) and str(left.value) not in variables(right):
        return Region(complement([point(right)]), str(left.value))
    return Relation("ne", left, right)


def _congruence(sides: list[list[Token]]) -> Answer:
    r"""Return the residue of ``x \equiv 3 \pmod{7}``; the modulus takes the place of a unit."""
    at = [k for k, token in enumerate(sides[1]) if token.text in ("pmod", "bmod", "mod")]
    if not at or at[0] == 0 or at[0] + 1 == len(sides[1]):
        raise ParseError("a congruence without a modulus")
    before, after = sides[1][: at[0]], sides[1][at[0] + 1 :]
    if before[-1].text == "(" and after[-1].text == ")":
        before, after = before[:-1], after[:-1]
    expression(after)
    unit = Unit(number(1), ((f"modulo {_plain(after)}", 1),))
    return Value(expression(before), unit=unit, name=_name(sides[0]))


def _plain(tokens: list[Token]) -> str:
    return " ".join(token.text for token in tokens if token.text not in "{}()")


def _inequality(nodes: list[Node], signs: Sequence[str], digits: list[int]) -> Answer:
    """Return the interval of a < x <= b, x < b or a < x, or an inequality that is not solved."""
    closed = [_LESS[sign] for sign in signs]
    if len(nodes) == 2:
        left, right = nodes
        if is_name(left) and str(left.value) not in variables(right):
            low = Interval(MINUS_INFINITY, right, False, closed[0], (0, digits[1]))
            return Region(normal([low]), str(left.value))
        if is_name(right) and str(right.value) not in variables(left):
            high = Interval(left, INFINITY, closed[0], False, (digits[0], 0))
            return Region(normal([high]), str(right.value))
        return _within(left, right, closed[0]) or Relation(signs[0], left, right)
    if len(nodes) == 3 and is_name(nodes[1]):
        low_node, name, high_node = nodes[0], str(nodes[1].value), nodes[2]
        if name not in variables(low_node) | variables(high_node):
            ends = Interval(low_node, high_node, closed[0], closed[1], (digits[0], digits[2]))
            return Region(normal([ends]), name)
    raise ParseError("a chain of inequalities that is not solved")


def _within(left: Node, right: Node, closed: bool) -> Region | None:
    """Return the interval of |x - 4| < 3, or what is outside of it; None if it is not like that."""
    inner, radius = (left, right) if left.head == "abs" else (right, left)
    names = variables(inner)
    if inner.head != "abs" or len(names) != 1 or variables(radius):
        return None
    name = next(iter(names))
    try:
        start, step = (rational(substituted(inner.args[0], {name: number(k)})) for k in (0, 1))
    except ExpressionError:
        return None
    if start is None or step is None or start == step:
        return None
    slope = number(step - start)
    line = Node("+", (number(start), Node("*", (slope, symbol(name)))))
    if same_value(inner.args[0], line).equal is not True:
        return None
    ends = [
        Node("/", (difference(end, number(start)), slope)) for end in (Node("-", (radius,)), radius)
    ]
    low, high = ends if step > start else ends[::-1]
    if inner is left:
        return Region(normal([Interval(low, high, closed, closed)]), name)
    outside = complement([Interval(low, high, not closed, not closed)])
    return Region(outside, name)
