"""Comparison of what a program answered with what is expected, outside of the program's process.

The answer is compared as it came, as encoded data, and the *expected* value says where to look: a
set is built only if it has as many elements as the expected one. So the work is bounded by the
size of the expected value, whatever was sent.
"""

from __future__ import annotations

import cmath
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from bakeoff.rewards.code.jail.plain import SCALAR_TAGS, Malformed, Opaque, decode
from bakeoff.rewards.code.kinds import Close
from bakeoff.rewards.code.showing import is_small, short_repr, shortened
from bakeoff.rewards.code.verdicts import NoVerdict

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?|[+-]?(?:inf|nan)", re.ASCII)
_NUMBER_CHARS = 400

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "set": set, "sorted": sorted, "tuple": tuple, "list": list, "len": len, "abs": abs,
    "round": round,
}  # fmt: skip


class Undecided(NoVerdict):
    """The answer is no plain data, or too large to be worked on outside of the sandbox."""


class Equal(NamedTuple):
    """The answer equals a value.

    Attributes:
        value: plain data.
        close: how numbers are compared.
        functions: what is applied to the answer first: names in ``FUNCTIONS``, with arguments.
    """

    value: Any
    close: Close | None = None
    functions: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    def holds(self, data: Any) -> bool:
        """Tell whether encoded data fulfils this.

        Raises:
            Undecided: a function would have to be applied to a large answer, or to an object.
        """
        if not self.functions:
            return same(data, self.value, self.close)
        if not is_small(data):
            raise Undecided
        try:
            answer = decode(data)
            if isinstance(answer, Opaque):  # a generator, for one, can be sorted
                raise Undecided
            for name, arguments in self.functions:
                answer = FUNCTIONS[name](answer, *arguments)
            return bool(answer == self.value)
        except (Malformed, TypeError, ValueError, ArithmeticError, RecursionError):
            return False

    def __str__(self) -> str:
        return shortened(short_repr(self.value))


class Is(NamedTuple):
    """The answer is None, True or False."""

    value: bool | None

    def holds(self, data: Any) -> bool:
        """Tell whether encoded data fulfils this."""
        return data is self.value

    def __str__(self) -> str:
        return repr(self.value)


class Truth(NamedTuple):
    """The answer counts as true, or as false."""

    wanted: bool

    def holds(self, data: Any) -> bool:
        """Tell whether encoded data fulfils this.

        Raises:
            Undecided: the answer is an object with a truth of its own, or large.
        """
        if not is_small(data):
            raise Undecided
        try:
            answer = decode(data)
        except Malformed:
            return False
        if isinstance(answer, Opaque):
            raise Undecided
        return bool(answer) is self.wanted

    def __str__(self) -> str:
        return "a true value" if self.wanted else "a false value"


class Near(NamedTuple):
    """The answer lies around a number: ``|answer - centre| < radius``, or ``<=``."""

    centre: Any
    radius: float
    closed: bool

    def holds(self, data: Any) -> bool:
        """Tell whether encoded data fulfils this."""
        if type(data) is list or (type(data) is dict and not data.keys() <= SCALAR_TAGS):
            return False
        try:
            distance = abs(decode(data, room=0) - self.centre)
            return bool(distance <= self.radius if self.closed else distance < self.radius)
        except (Malformed, TypeError, ValueError, ArithmeticError):
            return False

    def __str__(self) -> str:
        return f"{self.centre} within {self.radius}"


Expectation = Equal | Is | Truth | Near


def same(data: Any, expected: Any, close: Close | None = None) -> bool:
    """Tell whether encoded data is the expected value.

    Args:
        data: what came from a program, or was forged there.
        expected: plain data.
        close: how numbers are compared; by ``==`` if ``None``.

    Example:
        >>> same({"t": [1, 2]}, (1, 2)), same([1, 2], (1, 2)), same(1, True), same(0.5, 1)
        (True, False, True, False)
    """
    kind = type(expected)
    if kind is list:
        return type(data) is list and _all_same(data, expected, close)
    if kind not in (tuple, dict, set, frozenset):
        return _same_scalar(data, expected, close)
    content = None
    if type(data) is dict and len(data) == 1:
        ((tag, content),) = data.items()
        if tag not in _TAGS[kind]:
            return False
    if type(content) is not list or len(content) != len(expected):
        return False
    if kind is tuple:
        return _all_same(content, list(expected), close)
    try:
        pairs = content if kind is dict else [(one, None) for one in content]
        if not all(is_small(key) for key, _ in pairs):
            return False
        found = {}
        for one, value in pairs:
            key = decode(one)
            if key not in expected:  # otherwise forged keys with equal hashes take quadratic time
                return False
            found[key] = value
        if len(found) != len(expected) or kind is not dict:
            return len(found) == len(expected)
        return all(same(found[key], value, close) for key, value in expected.items())
    except (Malformed, TypeError, ValueError):
        return False


_TAGS: dict[type, tuple[str, ...]] = {
    tuple: ("t",),
    dict: ("d",),
    set: ("s", "z"),
    frozenset: ("s", "z"),
}


def _all_same(data: list[Any], expected: list[Any], close: Close | None) -> bool:
    return len(data) == len(expected) and all(
        same(one, other, close) for one, other in zip(data, expected, strict=True)
    )


def _same_scalar(data: Any, expected: Any, close: Close | None) -> bool:
    if type(data) is list:
        return False
    if type(data) is dict:
        if not data.keys() <= SCALAR_TAGS:
            return False
        try:
            data = decode(data, room=0)
        except Malformed:
            return False
    if close is not None and _is_inexact(data, expected):
        return near(data, expected, close)
    try:
        return bool(data == expected)
    except (TypeError, ValueError, ArithmeticError):
        return False


def _is_inexact(one: Any, other: Any) -> bool:
    kinds = {type(one), type(other)}
    return kinds <= {int, float, complex} and kinds != {int}


def near(got: complex, expected: complex, close: Close) -> bool:
    """Tell whether a number is within the tolerance, which is relative to the expected one.

    Example:
        >>> near(0.1 + 0.2, 0.3, Close()), near(float("nan"), 1.0, Close(atol=1e9))
        (True, False)
    """
    try:
        if cmath.isnan(expected):
            return cmath.isnan(got)
        if cmath.isinf(expected) or not cmath.isfinite(got):
            return got == expected
        return abs(got - expected) <= close.atol + close.rtol * abs(expected)
    except OverflowError:  # an int that no float can hold
        return False


def same_output(got: str, expected: str, close: Close | None = None) -> bool:
    r"""Tell whether two outputs have the same lines, but for blanks and blank lines at their ends.

    Example:
        >>> same_output("1 \n2\n\n", "1\n2"), same_output("1 2", "1\n2")
        (True, False)
        >>> same_output("0.30000000000000004 x", "0.3 x", Close())
        True
    """
    got, expected = got.rstrip(), expected.rstrip()
    if got.count("\n") != expected.count("\n"):
        return False
    lines, wanted = ([line.rstrip() for line in text.split("\n")] for text in (got, expected))
    return all(
        one == other or (close is not None and _same_words(one.split(), other.split(), close))
        for one, other in zip(lines, wanted, strict=True)
    )


def _same_words(words: list[str], wanted: list[str], close: Close) -> bool:
    return len(words) == len(wanted) and all(
        one == other or (_is_number(one) and _is_number(other)
                         and near(float(one), float(other), close))
        for one, other in zip(words, wanted, strict=True)
    )  # fmt: skip


def _is_number(word: str) -> bool:
    return len(word) <= _NUMBER_CHARS and _NUMBER.fullmatch(word) is not None
