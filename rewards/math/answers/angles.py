"""Angles: a value in degrees and one in radians may be the same."""

from __future__ import annotations

from bakeoff.rewards.math.answers.kinds import Value
from bakeoff.rewards.math.expressions.tree import Node, number, symbol, walk

_DEGREES = (("degree", 1),)


def are_angles(gold: Value, answer: Value) -> bool:
    """Tell whether one value is in degrees and the other one in radians, said or by its pi.

    Example:
        >>> from bakeoff.rewards.math.answers.reading import read
        >>> are_angles(read("60°"), read("pi/3")), are_angles(read("60°"), read("60"))
        (True, False)
    """
    units = [side.unit.base if side.unit else () for side in (gold, answer)]
    if _DEGREES not in units or units[0] == units[1]:
        return False
    other = answer if units[0] == _DEGREES else gold
    said = other.unit is not None and other.unit.base == (("radian", 1),)
    return said or (other.unit is None and symbol("pi") in walk(other.node))


def in_radians(side: Value) -> Node:
    """Return the number of radians that a value in degrees, or a bare one, is."""
    if side.unit is None or side.unit.base != _DEGREES:
        return side.node
    return Node("*", (side.node, Node("/", (symbol("pi"), number(180)))))
