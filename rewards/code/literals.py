"""Values written as Python expressions: literals, and a little more; never evaluated as code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from bakeoff.rewards.code.jail.plain import Malformed, encode

_CHARS = 2**24
_POWER_BITS = 4096
_CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "set": set, "frozenset": frozenset, "list": list, "tuple": tuple, "dict": dict,
    "float": float, "complex": complex, "bytes": bytes, "range": range,
}  # fmt: skip
_NAMES = {"nan": float("nan"), "inf": float("inf")}
_SEQUENCES = (str, bytes, list, tuple)
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_UNARY: dict[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}


def literal(text: str) -> Any:
    """Return the value of an expression: literals, nan, inf, ``set()`` and such, arithmetic.

    Raises:
        ValueError: it is something else.

    Example:
        >>> literal("[1, -2.5, {3, 4}, set(), 10**3, float('inf')]")
        [1, -2.5, {3, 4}, set(), 1000, inf]
    """
    if len(text) > _CHARS:
        raise ValueError("the expression is too long")
    try:
        return value_of(ast.parse(text.strip(), mode="eval").body)
    except (
        SyntaxError,
        TypeError,
        ArithmeticError,
        LookupError,
        RecursionError,
        MemoryError,
    ) as error:
        raise ValueError(f"not a literal: {text[:80]!r} ({error})") from None


def value_of(node: ast.expr) -> Any:
    """Return the value of a parsed expression.

    Raises:
        ValueError: it is more than a literal.
        TypeError, ArithmeticError: it has no value, such as ``1 / 0``.
    """
    match node:
        case ast.Constant():
            if node.value is ...:
                raise ValueError("not a literal: ...")
            return node.value
        case ast.List():
            return [value_of(one) for one in node.elts]
        case ast.Tuple():
            return tuple([value_of(one) for one in node.elts])
        case ast.Set():
            return {value_of(one) for one in node.elts}
        case ast.Dict():
            if None in node.keys:
                raise ValueError("not a literal: a dict with **")
            keys = [value_of(key) for key in node.keys if key is not None]
            return dict(zip(keys, map(value_of, node.values), strict=True))
        case ast.UnaryOp():
            return _UNARY[type(node.op)](value_of(node.operand))
        case ast.BinOp():
            return _combined(node.op, value_of(node.left), value_of(node.right))
        case ast.Name() if node.id in _NAMES:
            return _NAMES[node.id]
        case ast.Attribute(value=ast.Name(id="math"), attr=name) if name in _NAMES:
            return _NAMES[name]
        case ast.Call(func=ast.Name(id=name)) if name in _CONSTRUCTORS:
            keywords = {key.arg: value_of(key.value) for key in node.keywords if key.arg}
            if len(keywords) < len(node.keywords):
                raise ValueError("not a literal: a call with **")
            return _made(name, [value_of(one) for one in node.args], keywords)
    raise ValueError(f"not a literal: {ast.unparse(node)[:80]!r}")


def _combined(sign: ast.operator, left: Any, right: Any) -> Any:
    if isinstance(sign, ast.Pow):
        numbers = isinstance(left, int) and isinstance(right, int)
        if not numbers or right < 0 or left.bit_length() * right > _POWER_BITS:
            raise ValueError("not a literal: a power that is not of small integers")
        return left**right
    if isinstance(sign, ast.Add) and type(left) is type(right) and type(left) in _SEQUENCES:
        return left + right
    if isinstance(sign, ast.Mult) and not (_is_number(left) and _is_number(right)):
        texts, times = (right, left) if isinstance(left, int) else (left, right)
        if not isinstance(times, int) or len(texts) * times > _CHARS:
            raise ValueError("not a literal: a repetition that is too long")
    if type(sign) not in _OPERATORS or (isinstance(sign, ast.Mod) and not _is_number(left)):
        raise ValueError("not a literal: an operation that is not arithmetic")
    return _OPERATORS[type(sign)](left, right)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, complex))


def _made(name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
    for one in arguments:
        if (isinstance(one, range) and len(one) > _CHARS) or (name == "bytes" and type(one) is int):
            raise ValueError("not a literal: a container that is too long")
    made = _CONSTRUCTORS[name](*arguments, **keywords)
    try:
        encode(made)
    except Malformed as error:
        raise ValueError(f"not a literal: {error}") from None
    return made
