"""The numbers of any precision that values are worked out in: mpmath's, in a context of our own.

mpmath keeps its precision in a context, and its constants in caches that are not thread-safe, so
all work with them is done under one lock.
"""

from __future__ import annotations

import os
import threading
from fractions import Fraction
from types import TracebackType
from typing import Any

import mpmath

from bakeoff.rewards.math.expressions.tree import ExpressionError

NOTHING = -(1 << 40)  # the binary exponent of 0
CONTEXT: Any = mpmath.MPContext()


class _Lock:
    """A reentrant lock that a forked child finds open, whatever the other threads were doing."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.lock = threading.RLock()

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.lock.release()


LOCK = _Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LOCK.renew)


def magnitude(value: Any) -> int:
    """Return the binary exponent of a number, ``NOTHING`` for 0.

    Raises:
        ExpressionError: it is not finite.
    """
    if value == 0:
        return NOTHING
    found = CONTEXT.mag(value)
    if found != found or found in (CONTEXT.inf, -CONTEXT.inf):
        raise ExpressionError("has no finite value")
    return int(found)


def is_real(value: Any, bits: int) -> bool:
    """Tell whether a number has no imaginary part, as far as the precision shows."""
    with LOCK:
        if not hasattr(value, "imag") or value.imag == 0:
            return True
        return magnitude(value.imag) < magnitude(value.real) - bits // 2


def gap(first: Any, second: Any) -> int:
    """Return the binary exponent of the difference of two numbers."""
    with LOCK:
        return magnitude(first - second)


def from_fraction(value: Fraction) -> Any:
    """Return a fraction at the precision of the moment."""
    return CONTEXT.mpf(value.numerator) / value.denominator
