"""Levels of difficulty: one, or a range of them, ``level=1-3``, in one environment."""

from __future__ import annotations

import re
from collections.abc import Collection

from bakeoff.errors import UsageError
from bakeoff.streams import stream


def levels_of(level: int | str, known: Collection[int]) -> tuple[int, ...]:
    """Return the levels that an argument means: ``2``, or ``"1-3"`` for 1, 2 and 3.

    Raises:
        UsageError: there is no such level.

    Example:
        >>> levels_of(2, (1, 2, 3)), levels_of("1-3", (1, 2, 3))
        ((2,), (1, 2, 3))
    """
    found = re.fullmatch(r"([0-9]{1,3})-([0-9]{1,3})", str(level))
    first, last = (int(found[1]), int(found[2])) if found else (level, level)
    if type(first) is not int or type(last) is not int or not {first, last} <= set(known):
        names = ", ".join(map(str, known))
        raise UsageError(f"level must be one of {names}, not {level!r} (1-2 mixes 1 and 2)")
    if first > last:
        raise UsageError(f"level must be a range from low to high, not {level!r}")
    return tuple(n for n in known if first <= n <= last)


def level_at(levels: tuple[int, ...], id: str, split: str, index: int) -> int:
    """Return the level of the item with an index: any of ``levels``, equally often.

    Example:
        >>> [level_at((1, 2, 3), "me/Game-v0", "train", index) for index in range(8)]
        [1, 1, 3, 2, 2, 3, 2, 3]
    """
    return levels[0] if len(levels) == 1 else stream("level", id, split, index).choice(levels)


def level_data(levels: tuple[int, ...], level: int) -> dict[str, object]:
    """Return what an item's data says of its level: nothing if there is only one.

    The loop makes a metric of each level that items name, and the curriculum chooses among them.
    """
    return {"level": level} if len(levels) > 1 else {}
