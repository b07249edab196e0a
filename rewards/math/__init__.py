"""Math answers: extraction, an own parser, types, and equality that is exact where it can be.

``check`` compares the final answer of a reply with the right one. ``correct``, ``same_value``,
``expanded`` and ``boxed`` are reward functions made of it.
"""

from bakeoff.rewards.math.check import Gold, Verdict, check, check_many, compile_gold
from bakeoff.rewards.math.extraction import final_answer
from bakeoff.rewards.math.parts import (
    CannotTell,
    boxed,
    correct,
    expanded,
    same_value,
    wellformed,
)

__all__ = [
    "CannotTell",
    "Gold",
    "Verdict",
    "boxed",
    "check",
    "check_many",
    "compile_gold",
    "correct",
    "expanded",
    "final_answer",
    "same_value",
    "wellformed",
]
