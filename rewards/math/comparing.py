"""Is a reply's answer equal to the right one? By the types of both first, then by value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bakeoff.rewards.math.answers.angles import are_angles, in_radians
from bakeoff.rewards.math.answers.kinds import (
    Answer,
    Choice,
    Collection,
    Interval,
    Matrix,
    Region,
    Relation,
    Value,
    Words,
)
from bakeoff.rewards.math.answers.regions import as_region
from bakeoff.rewards.math.answers.units import compatible, is_countable
from bakeoff.rewards.math.answers.zeros import same_zeros
from bakeoff.rewards.math.equality.rounding import rounds_to
from bakeoff.rewards.math.equality.values import Equality, same_value
from bakeoff.rewards.math.expressions.tree import (
    ExpressionError,
    Node,
    OverBudget,
    is_infinite_sign,
    substituted,
    symbol,
    variables,
)

MAX_ITEMS = 200
ROUNDED = "equal, rounded"


class Comparison(NamedTuple):
    """Whether two answers are equal (``None``: cannot tell), why, and which tier said so."""

    equal: bool | None
    reason: str
    tier: str


def compared(gold: Answer, answer: Answer) -> Comparison:
    """Compare an answer with the right one.

    Raises:
        ExpressionError: the answer has no value.
        OverBudget: a value takes too long to work out.

    Example:
        >>> from bakeoff.rewards.math.answers.reading import read
        >>> compared(read("[1, 2]"), read("1 <= x <= 2")).equal
        True
        >>> compared(read("3"), read("3 or 4"))
        Comparison(equal=False, reason='a list, not a value', tier='type')
    """
    return _compared(_single(gold), _single(answer))


def _compared(gold: Answer, answer: Answer) -> Comparison:
    match gold, answer:
        case Value(), Value():
            return _values(gold, answer)
        case Words(), Words():
            return _said(gold.text == answer.text, "text")
        case Choice(), Choice():
            return _said(gold.letter == answer.letter, "text")
        case Choice(letter), Value(node) if node == symbol(letter):
            return _said(True, "text")
        case Value(node), Choice(letter) if node == symbol(letter):
            return _said(True, "text")
        case Collection("tuple"), Collection("tuple"):
            return _ordered(gold.items, answer.items)
        case Matrix(), Matrix():
            return _matrices(gold, answer)
    for one, other in ((gold, answer), (answer, gold)):
        if isinstance(one, Matrix) and isinstance(other, Collection) and other.kind == "tuple":
            column = tuple(row[0] for row in one.rows if len(row) == 1)
            return _ordered(column, other.items) if column else _differ(gold, answer)
    if isinstance(gold, Collection) and isinstance(answer, Collection):
        return _collections(gold, answer)
    if isinstance(gold, Region) or isinstance(answer, Region):
        one_region, other_region = as_region(gold), as_region(answer)
        if one_region is not None and other_region is not None:
            return _regions(one_region, other_region)
    return _curves(gold, answer) or _differ(gold, answer)


def _differ(gold: Answer, answer: Answer) -> Comparison:
    names = [
        found.kind if isinstance(found, Collection) else type(found).__name__.lower()
        for found in (answer, gold)
    ]
    return Comparison(False, f"a {names[0]}, not a {names[1]}", "type")


def _said(equal: bool | None, tier: str) -> Comparison:
    reasons = {True: "equal", False: "different", None: "too close to tell"}
    return Comparison(equal, reasons[equal], tier)


def _single(answer: Answer) -> Answer:
    """Return the one member of a set, or the point that a region is, as a value."""
    match answer:
        case Collection("set", (Value() as item,)):
            return item
        case Region((Interval(low, high, True, True),), name) if low == high:
            return Value(low, name=name)
    return answer


def _values(gold: Value, answer: Value) -> Comparison:
    if gold.name and answer.name and not _same_name(gold.name, answer.name):
        return _curves(gold, answer) or Comparison(False, "another variable", "type")
    one, other = gold.node, answer.node
    if gold.unit is None and answer.unit is not None and not is_countable(answer.unit):
        return Comparison(False, "words that are no unit", "type")
    if gold.unit is not None and answer.unit is not None:
        if not compatible(gold.unit, answer.unit) and not are_angles(gold, answer):
            return Comparison(False, "another unit", "type")
        if gold.unit.base == answer.unit.base and gold.unit.factor != answer.unit.factor:
            one, other = (Node("*", (v.node, v.unit.factor)) for v in (gold, answer) if v.unit)
    if are_angles(gold, answer):
        one, other = (in_radians(side) for side in (gold, answer))
    if one == other:
        return _said(True, "text")
    infinite = is_infinite_sign(one), is_infinite_sign(other)
    if any(infinite):
        return _said(infinite[0] == infinite[1], "text")
    equality = _same(one, other)
    if equality.equal is False and _rounded(gold, answer, one, other):
        return Comparison(True, ROUNDED, "numeric")
    return _said(*equality)


def _same_name(left: str, right: str) -> bool:
    """Tell whether two names may stand for one value: a function's or a word for any."""
    loose = [name.endswith("()") or (len(name) > 2 and name.isalpha()) for name in (left, right)]
    return left == right or loose[0] != loose[1]


def _same(gold: Node, answer: Node) -> Equality:
    """Compare two expressions; the constant of integration may have another name."""
    if not gold.head == answer.head == "+":
        return same_value(gold, answer)
    extra = variables(answer) - variables(gold)
    missing = variables(gold) - variables(answer)
    others = any(name.isupper() for name in variables(gold) - {"C"})
    if missing == {"C"} and len(extra) == 1 and not others:
        name = next(iter(extra))
        if name[0] in "CKck" and symbol(name) in answer.args and symbol("C") in gold.args:
            answer = substituted(answer, {name: symbol("C")})
    return same_value(gold, answer)


def _rounded(gold: Value, answer: Value, one: Node, other: Node) -> bool:
    if answer.digits and rounds_to(one, other, answer.digits, exact_digits=gold.digits):
        return True
    return bool(gold.digits) and rounds_to(other, one, gold.digits, exact_digits=answer.digits)


def _ordered(gold: Sequence[Answer], answer: Sequence[Answer]) -> Comparison:
    if len(gold) != len(answer):
        return Comparison(False, f"{len(answer)} answers, not {len(gold)}", "type")
    worst = _said(True, "text")
    for one, other in zip(gold, answer, strict=True):
        found = _compared(one, other)
        if not found.equal:
            if found.equal is False:
                return found
            worst = found
        elif worst.equal:
            worst = found
    return worst


def _matrices(gold: Matrix, answer: Matrix) -> Comparison:
    if gold.kind != answer.kind or [len(row) for row in gold.rows] != [len(r) for r in answer.rows]:
        return Comparison(False, "another shape", "type")
    if gold.kind == "cases":
        rows = [tuple(Collection("tuple", row) for row in m.rows) for m in (gold, answer)]
        return _unordered(*rows)
    return _ordered(sum(gold.rows, ()), sum(answer.rows, ()))


def _collections(gold: Collection, answer: Collection) -> Comparison:
    kinds = {gold.kind, answer.kind}
    points = _is_point(gold), _is_point(answer)
    if "tuple" in kinds or points[0] != points[1]:
        if not any(points) or "set" in kinds:
            return _differ(gold, answer)
        return _ordered(*(_coordinates(found) for found in (gold, answer)))
    if kinds == {"set"} and len(gold.items) != len(answer.items):
        return _unordered(_distinct(gold.items), _distinct(answer.items))
    return _unordered(gold.items, answer.items)


def _is_point(answer: Collection) -> bool:
    """Tell whether a list gives each of several variables a value, as x = 1, y = 2."""
    named = [item.name for item in answer.items if isinstance(item, Value) and item.name]
    names = [name.partition("_")[0] for name in named]  # x_1 and x_2 are solutions for one x
    return answer.kind == "list" and len(set(names)) == len(answer.items)


def _coordinates(answer: Collection) -> tuple[Answer, ...]:
    """Return the items; those that have names in the order of their names."""
    if not all(isinstance(item, Value) and item.name for item in answer.items):
        return answer.items
    return tuple(
        sorted(answer.items, key=lambda item: item.name if isinstance(item, Value) else "")
    )


def _distinct(items: Sequence[Answer]) -> tuple[Answer, ...]:
    if len(items) > MAX_ITEMS:
        raise OverBudget("too many answers")
    found: list[Answer] = []
    for item in items:
        if not any(_compared(item, other).equal for other in found):
            found.append(item)
    return tuple(found)


def _unordered(gold: Sequence[Answer], answer: Sequence[Answer]) -> Comparison:
    if len(gold) != len(answer):
        return Comparison(False, f"{len(answer)} answers, not {len(gold)}", "type")
    if len(gold) > MAX_ITEMS:
        raise OverBudget("too many answers")
    left, unclear = list(answer), None
    last = _said(True, "text")
    for one in gold:
        for position, other in enumerate(left):
            found = _quietly(one, other)
            unclear = found if found.equal is None else unclear
            if found.equal:
                del left[position]
                last = found
                break
        else:
            return unclear or _said(False, last.tier)
    return last


def _quietly(one: Answer, other: Answer) -> Comparison:
    """Compare one pair of many, where a pair without a common measure is just different."""
    try:
        return _compared(one, other)
    except OverBudget:
        raise
    except ExpressionError as error:
        return Comparison(False, str(error), "type")


def _regions(gold: Region, answer: Region) -> Comparison:
    if gold.name and answer.name and gold.name != answer.name:
        return Comparison(False, "another variable", "type")
    if len(gold.intervals) != len(answer.intervals):
        return Comparison(False, "another set", "type")
    last = "text"
    for one, other in zip(gold.intervals, answer.intervals, strict=True):
        if one[2:4] != other[2:4]:
            return Comparison(False, "other end points", "type")
        found = _ordered(*(tuple(map(Value, side[:2], side.digits)) for side in (one, other)))
        if not found.equal:
            return found
        last = found.tier
    return _said(True, last)


def _curves(gold: Answer, answer: Answer) -> Comparison | None:
    """Compare two equations or inequalities in variables; ``None`` if these are none."""
    one, other = _as_relation(gold), _as_relation(answer)
    return None if one is None or other is None else _said(same_zeros(one, other), "modular")


def _as_relation(answer: Answer) -> Relation | None:
    """Return the relation that an answer can also mean: a curve y = f(x), or y < f(x)."""
    match answer:
        case Relation():
            return answer
        case Value(node, 0, None, name) if name and variables(node):
            return Relation("=", symbol(name.removesuffix("()")), node)
        case Region((Interval(low, high, low_closed, high_closed),), name) if name:
            if is_infinite_sign(low) and variables(high):
                return Relation("le" if high_closed else "<", symbol(name), high)
            if is_infinite_sign(high) and variables(low):
                return Relation("le" if low_closed else "<", low, symbol(name))
    return None
