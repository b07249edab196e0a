"""Plain data as JSON: what arguments and results are when they pass between processes.

Plain are None, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset, range,
Decimal and Fraction. A subclass, such as a Counter or a namedtuple, is reduced to its base by the
base's own methods: nothing that a program defines, such as an ``__eq__``, ever leaves its process.
Anything else is *opaque*, and equal to nothing.

A scalar and a list stand for themselves; everything else is an object with one tagged member, such
as ``{"t": [1, 2]}`` for a tuple. Floats survive exactly (JSON has their shortest repr), integers of
more than 63 bits are in hexadecimal, so that no quadratic conversion is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

DEPTH = 150
NODES = 2_000_000
_SMALL = 2**63
_DIGITS = 10_000  # of a Decimal
_EXPONENT = 10_000
_BITS = 2**14  # of a part of a Fraction, a complex or a range

Special = Callable[[Any], Any]


class Malformed(ValueError):
    """What came from another process is not plain data."""


class Opaque:
    """Something that is not plain data; equal to nothing but itself."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}>"


def encode(value: object, special: Special | None = None) -> Any:
    """Return a value as JSON-able data.

    Args:
        value: anything.
        special: what to make of a value that is not plain; by default it is opaque.

    Raises:
        Malformed: it is nested too deeply, cyclic or too large.

    Example:
        >>> encode([1, (2.5, "x"), {3}])
        [1, {'t': [2.5, 'x']}, {'s': [3]}]
    """
    return _encode(value, 0, [NODES], special)


def _encode(value: Any, depth: int, room: list[int], special: Special | None) -> Any:
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return value
    if kind is int:
        return value if -_SMALL < value < _SMALL else {"i": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"f": repr(value)}
    room[0] -= 1
    if depth > DEPTH or room[0] < 0:
        raise Malformed("the value is nested too deeply, or too large")
    if kind is list:
        return _all(value, depth, room, special)
    if kind is tuple:
        return {"t": _all(value, depth, room, special)}
    if kind is dict:
        keys, values = _all(value, depth, room, special), _all(value.values(), depth, room, special)
        return {"d": list(zip(keys, values, strict=True))}
    if kind is set or kind is frozenset:
        return {"s" if kind is set else "z": _all(value, depth, room, special)}
    if kind is bytes or kind is bytearray:
        return {"b": value.hex()}
    if kind is complex:
        return {"c": [_encode(part, depth, room, None) for part in (value.real, value.imag)]}
    if kind is range:
        return {"r": [_encode(part, depth, room, None)
                      for part in (value.start, value.stop, value.step)]}  # fmt: skip
    return _unusual(value, kind, depth, room, special)


def _all(values: Any, depth: int, room: list[int], special: Special | None) -> list[Any]:
    room[0] -= len(values)
    if room[0] < 0:
        raise Malformed("the value is too large")
    return [_encode(one, depth + 1, room, special) for one in values]


_BASES: dict[type, Callable[[Any], Any]] = {
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    bytes: bytes.__bytes__,
    complex: complex.__complex__,
    list: lambda value: list(list.__iter__(value)),
    tuple: lambda value: tuple(tuple.__iter__(value)),
    dict: lambda value: dict(dict.items(value)),
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
}


def _unusual(value: Any, kind: type, depth: int, room: list[int], special: Special | None) -> Any:
    for base in type.mro(kind) if type(kind) is type else type.__dict__["__mro__"].__get__(kind):
        if base in _BASES:
            return _encode(_BASES[base](value), depth, room, special)
    name = f"{kind.__module__}.{kind.__name__}"
    if name == "decimal.Decimal":
        return {"D": str(value)}
    if name == "fractions.Fraction":
        parts = (value.numerator, value.denominator)
        return {"F": [_encode(part, depth, room, None) for part in parts]}
    return {"o": name[:100]} if special is None else special(value)


def decode(data: Any, special: Special | None = None, *, room: int = NODES) -> Any:
    """Return the value of JSON data that ``encode`` made, or that somebody forged.

    Args:
        data: what ``json.loads`` returned.
        special: what to make of an object with another tag; by default it is malformed.
        room: how many elements the sets and dicts may have together.

    Raises:
        Malformed: it is no plain data.

    Example:
        >>> decode([1, {"t": [2.5, "x"]}, {"s": [3]}])
        [1, (2.5, 'x'), {3}]
    """
    try:
        return _decode(data, [room], special)
    except (TypeError, ValueError, OverflowError, ArithmeticError, RecursionError) as error:
        raise Malformed(f"not plain data: {error}") from None


def _decode(data: Any, room: list[int], special: Special | None) -> Any:
    kind = type(data)
    if kind is list:
        return [_decode(one, room, special) for one in data]
    if kind is not dict:
        return data
    if len(data) != 1:
        raise Malformed("a tagged value has one member")
    ((tag, content),) = data.items()
    if tag in _SCALARS:
        return _SCALARS[tag](content)
    if tag == "t":
        return tuple([_decode(one, room, special) for one in _listed(content)])
    if tag in ("s", "z", "d"):
        room[0] -= len(_listed(content))
        if room[0] < 0:
            raise Malformed("the value is too large")
        if tag == "d":
            return {_decode(key, room, special): _decode(one, room, special)
                    for key, one in content}  # fmt: skip
        found = [_decode(one, room, special) for one in content]
        return set(found) if tag == "s" else frozenset(found)
    if tag == "o" and type(content) is str:
        return Opaque(content)
    if special is None:
        raise Malformed(f"no tag '{tag}'")
    return special(data)


def _listed(content: Any) -> list[Any]:
    if type(content) is not list:
        raise Malformed("not a list")
    return content


def _float(text: str) -> float:
    if text not in ("nan", "inf", "-inf"):
        raise Malformed("not a float that JSON lacks")
    return float(text)


def _number(data: Any) -> Any:
    found = _decode(data, [0], None)
    if type(found) not in (int, float):
        raise Malformed("not a number")
    if type(found) is int and found.bit_length() > _BITS:  # a gcd or a division is quadratic
        raise Malformed("a part of a number that is too long")
    return found


def _decimal(text: str) -> Any:
    from decimal import Context

    if type(text) is not str or len(text) > _DIGITS:
        raise Malformed("not a number of a bearable length")
    found = Context(prec=_DIGITS).create_decimal(text)
    if found.is_finite() and abs(found.adjusted()) > _EXPONENT:
        raise Malformed("an exponent that is out of range")
    return found


def _fraction(parts: Any) -> Any:
    from fractions import Fraction

    return Fraction(*(_number(part) for part in parts))


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "i": lambda text: int(text, 16),
    "f": _float,
    "b": bytes.fromhex,
    "c": lambda parts: complex(*(float(_number(part)) for part in parts)),
    "r": lambda parts: range(*(_number(part) for part in parts)),
    "D": _decimal,
    "F": _fraction,
}

SCALAR_TAGS = _SCALARS.keys()
