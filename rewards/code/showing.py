"""What programs answered, as a short text for people."""

from __future__ import annotations

import reprlib
from typing import Any

from bakeoff.rewards.code.jail.plain import Malformed, decode

_SHOWN = 200
_SMALL = 2_000  # parts of an answer with which anything may be done here


def is_small(data: Any) -> bool:
    """Tell whether encoded data has few parts, and ranges and texts are short."""
    waiting, parts = [data], 0
    while waiting:
        one = waiting.pop()
        parts += len(one) if type(one) in (list, dict, str) else 1
        if parts > _SMALL:
            return False
        if type(one) is list:
            waiting += one
        elif type(one) is dict:
            if "r" in one:  # the one thing whose length is not that of its data
                return False
            waiting += one.values()
    return True


def shown(data: Any) -> str:
    """Return encoded data as a short text for people."""
    if not is_small(data):
        return "a long answer"
    try:
        return shortened(short_repr(decode(data)))
    except Malformed:
        return "something that is no plain data"


class _Repr(reprlib.Repr):
    def repr_int(self, value: int, level: int) -> str:
        if value.bit_length() > 1000:  # decimal digits of a long one take quadratic time
            return f"<an integer of {value.bit_length()} bits>"
        return repr(value)


_REPR = _Repr()
_REPR.maxstring = _REPR.maxother = _SHOWN
_REPR.maxlist = _REPR.maxtuple = _REPR.maxset = _REPR.maxfrozenset = _REPR.maxdict = 12
short_repr = _REPR.repr


def shortened(text: str) -> str:
    """Return a text, cut if it is long, that can be printed."""
    text = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    return text.encode(errors="backslashreplace").decode()
