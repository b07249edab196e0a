r"""An answer's text, read as one of the types of answers.

Connectors split first ("or", "and", commas), then unions, relations, brackets, and last units, so
that a hedge is a list and not a number. Text that is no mathematics is read as words.
"""

from __future__ import annotations

import itertools
import re

from bakeoff.rewards.math.answers.kinds import (
    EMPTY,
    INFINITY,
    MINUS_INFINITY,
    REALS,
    Answer,
    Collection,
    Interval,
    Matrix,
    Region,
    Value,
    Words,
    ratio,
)
from bakeoff.rewards.math.answers.quantities import value
from bakeoff.rewards.math.answers.regions import connected, normal, united
from bakeoff.rewards.math.answers.relations import related
from bakeoff.rewards.math.answers.structure import (
    enclosed,
    rows_of,
    sides_of,
    split,
    with_differences,
    without_dollars,
)
from bakeoff.rewards.math.answers.words import NUMBER_SETS, choice_of, plain_words, spoken, unmarked
from bakeoff.rewards.math.expressions.lexing import Token, tokens
from bakeoff.rewards.math.expressions.literals import quick
from bakeoff.rewards.math.expressions.parsing import expression
from bakeoff.rewards.math.expressions.spelling import normalised, plain, unwrapped
from bakeoff.rewards.math.expressions.tree import Node, ParseError, walk

_MATRICES = {"matrix", "pmatrix", "bmatrix", "Bmatrix", "array", "smallmatrix"}
_LEADING = {"approx", "=", "therefore", "because", "to", "implies"}
_RELATING = {"=", "<", ">", "le", "ge", "ne"}
_ALIGNED = {"aligned", "align", "gathered", "gather", "split", "equation"}


def read(text: str) -> Answer:
    r"""Return what an answer is.

    Raises:
        ExpressionError: it is empty, too long or too deep, or has no value.

    Example:
        >>> read("(0, 1]").intervals[0].high_closed
        True
        >>> read("3 or 4").kind, read(r"\text{Two lines}"), read("(B)")
        ('list', Words(text='twolines'), Choice(letter='B'))
    """
    simple = quick(text)
    if simple is not None:
        return Value(*simple)
    text = plain(unwrapped(normalised(unwrapped(text))))
    whole = unmarked(text)
    if whole is not None and re.search("[0-9]", whole):  # \text{15 cm}
        text = unwrapped(whole)
    if not text:
        raise ParseError("no answer")
    special = spoken(text)
    if special is not None:
        return special
    try:
        return _structured(without_dollars(tokens(text)))
    except ParseError:
        found = plain_words(text)
        if not found.text:
            raise
        return found


def _structured(sequence: list[Token]) -> Answer:
    """Return the answer that tokens are, by the loosest sign that joins them."""
    while sequence and sequence[0].text in _LEADING:
        sequence = sequence[1:]
    if any(token.text in ("reals", "rbrace") for token in sequence):
        sequence = with_differences(sequence)
    conclusions, signs = split(sequence, {"to"}) if sequence else ([], [])
    if signs:  # 2x = 6 \implies x = 3, but not 3 \to 4
        if not all(any(token.text in _RELATING for token in side) for side in conclusions[:-1]):
            raise ParseError("a conclusion from nothing")
        sequence = conclusions[-1]
    if not sequence:
        raise ParseError("no answer")
    parts, connectors = split(sequence, {"or", "vee", "and", "wedge", ",", ";"})
    if connectors:
        return _several(parts, connectors)
    parts, signs = split(sequence, {"cup", "setminus", "cap"})
    if signs:
        return united([_structured(part) for part in parts], signs)
    sides, signs = sides_of(sequence)
    if signs:
        return related(sides, signs, _structured)
    return _bracketed(sequence)


def _several(parts: list[list[Token]], connectors: list[str]) -> Answer:
    """Return the list, or for inequalities the region, that connected parts are."""
    full = [part for part in parts if part]
    pairs = itertools.pairwise(connectors)
    doubled = sum(first == "," and second in ("or", "and") for first, second in pairs)
    if len(parts) - len(full) > doubled or not full:
        raise ParseError("nothing stands beside a comma")
    answers = [_structured(part) for part in full]
    if len(answers) > 1 and answers[-1] == Words("integers"):
        answers.pop()  # k in Z
    if len(answers) == 1 and doubled == 0 and len(full) > 1:
        return answers[0]
    alternative = any(word in ("or", "vee") for word in connectors)
    region = connected(answers, "cup" if alternative else "cap")
    if region is not None and not region.intervals and set(connectors) == {","}:
        region = connected(answers, "cup")  # x < -1, x > 1
    if region is not None:
        return region
    if len(answers) == 1:
        raise ParseError("nothing stands beside a comma")
    return Collection("list", _flat(answers))


def _flat(answers: list[Answer]) -> tuple[Answer, ...]:
    r"""Return the answers with both values of each ``\\pm`` among them."""
    items: list[Answer] = []
    for answer in answers:
        both = isinstance(answer, Collection) and answer.kind == "list"
        items.extend(answer.items if both and isinstance(answer, Collection) else [answer])
    return tuple(items)


def _bracketed(sequence: list[Token]) -> Answer:
    """Return a set, tuple, interval or matrix, or else a value."""
    kind, inner = enclosed(sequence)
    if kind == "set":
        return _set(inner)
    if kind:
        parts, connectors = split(inner, {",", ";"})
        if connectors:
            if not all(parts):
                raise ParseError("nothing stands beside a comma")
            if kind == "[]" and all(part[0].text == "[" for part in parts):
                return _nested(tuple(map(_row, parts)))
            items = tuple(_structured(part) for part in parts)
            if (interval := _interval(kind, items)) is not None:
                return interval
            if kind not in ("()", "[]"):
                raise ParseError("brackets of two kinds")
            return _nested(items) if kind == "[]" else Collection("tuple", items)
        if kind == "[]" and len(inner) > 2 and inner[0].text == "[":
            return _nested((_row(inner),))
        if kind == "()" and split(inner, {"cup", "or", "and", "=", "<", ">", "le", "ge"})[1]:
            return _structured(inner)
        if inner and inner[0].kind == "begin" and inner[-1].kind == "end":
            return _structured(inner)
    if len(sequence) == 1 and sequence[0].kind == "text":
        choice = choice_of(sequence[0].text)
        if choice is not None:
            return choice
    name = sequence[0].text if len(sequence) == 1 and sequence[0].kind == "command" else ""
    if name in ("emptyset", "reals"):
        return EMPTY if name == "emptyset" else REALS
    if Words(name) in NUMBER_SETS:
        return Words(name)
    begins = [k for k, token in enumerate(sequence) if token.kind == "begin"]
    if begins and sequence[begins[0]].text in _MATRICES | _ALIGNED | {"cases"}:
        return _matrix(sequence[begins[0] :], sequence[: begins[0]])
    parts, _ = split(sequence, {":"})
    if len(parts) > 1 and all(parts):
        return ratio(tuple(expression(part) for part in parts))
    return _signed_values(value(sequence))


def _row(sequence: list[Token]) -> Answer:
    """Return the row of a matrix that is written as [[1, 2], [3, 4]]."""
    kind, inner = enclosed(sequence)
    parts = split(inner, {","})[0] if kind == "[]" and inner else [[]]
    if not all(parts):
        raise ParseError("a row without numbers")
    return Collection("tuple", tuple(_structured(part) for part in parts))


def _interval(kind: str, items: tuple[Answer, ...]) -> Region | None:
    """Return the interval of two values in brackets; in round ones only if one is infinite."""
    match items:
        case (Value(low, low_digits), Value(high, high_digits)):
            if kind != "()" or {low, high} & {INFINITY, MINUS_INFINITY}:
                closed = [
                    bracket in "[]" and node not in (INFINITY, MINUS_INFINITY)
                    for bracket, node in zip(kind, (low, high), strict=True)
                ]
                digits = low_digits, high_digits
                intervals = normal([Interval(low, high, closed[0], closed[1], digits)])
                if not intervals:
                    raise ParseError("an interval from high to low")
                return Region(intervals)
    return None


def _set(inner: list[Token]) -> Answer:
    r"""Return ``\{1, 2\}``, or the region that ``\{x : x > 3\}`` is."""
    if not inner:
        return EMPTY
    if len(inner) > 2 and inner[0].kind == "letters" and inner[1].text in ("|", ":"):
        return _condition(inner[2:])
    if len(inner) > 4 and inner[1].text == "in" and inner[3].text in ("|", ":"):
        if inner[2].text != "reals":
            raise ParseError("a set of other numbers than the real ones")
        return _condition(inner[4:])
    parts, _ = split(inner, {",", ";"})
    if not all(parts):
        raise ParseError("nothing stands beside a comma")
    return Collection("set", _flat([_structured(part) for part in parts]))


def _condition(sequence: list[Token]) -> Answer:
    """Return the region that the condition of a set is.

    Raises:
        ParseError: it is no inequality.
    """
    answer = _structured(sequence)
    if not isinstance(answer, Region):
        raise ParseError("a set whose condition is no inequality")
    return answer


def _nested(items: tuple[Answer, ...]) -> Answer:
    """Return the matrix that a list of equally long lists is, or else a tuple."""
    if all(isinstance(item, Collection) and item.kind == "tuple" for item in items):
        rows = tuple(item.items for item in items if isinstance(item, Collection))
        if len({len(row) for row in rows}) == 1:
            return Matrix(rows)
    return Collection("tuple", items)


def _matrix(sequence: list[Token], factor: list[Token]) -> Answer:
    """Return a matrix, each cell times the number that stands before it."""
    name = sequence[0].text
    rows = rows_of(sequence)
    if name in _ALIGNED or (name == "cases" and {len(row) for row in rows} == {1}):
        lines = [_structured([token for cell in row for token in cell]) for row in rows]
        return lines[0] if len(lines) == 1 else Collection("list", _flat(lines))
    if len({len(row) for row in rows}) != 1:
        raise ParseError("a matrix whose rows differ in length")
    read_rows = tuple(tuple(_structured(cell) for cell in row) for row in rows)
    if factor:
        factor = [*factor, Token("number", "1")] if factor[-1].text in ("-", "cdot") else factor
        scale = expression(factor)
        read_rows = tuple(tuple(_scaled(cell, scale) for cell in row) for row in read_rows)
    return Matrix(read_rows, "cases" if name == "cases" else "matrix")


def _scaled(cell: Answer, scale: Node) -> Value:
    if not isinstance(cell, Value):
        raise ParseError("a number times what is no number")
    return cell._replace(node=Node("*", (scale, cell.node)), digits=0)


def _signed_values(found: Value) -> Answer:
    r"""Return both values of one with ``\pm`` in it."""
    if not any(part.head in ("pm", "mp") for part in walk(found.node)):
        return found
    both = tuple(found._replace(node=_with_sign(found.node, plus)) for plus in (True, False))
    return Collection("list", both)


def _with_sign(node: Node, plus: bool) -> Node:
    args = tuple(_with_sign(part, plus) for part in node.args)
    if node.head in ("pm", "mp"):
        return args[0] if plus == (node.head == "pm") else Node("-", args)
    return node._replace(args=args)
