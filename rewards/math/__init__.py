"""Math answers: extraction, an own parser, and exact equality.

``final_answer`` finds the one answer that a reply ends with, ``check`` compares it with the right
one, and ``correct`` and ``wellformed`` are the two as reward functions.
"""

from bakeoff.rewards.math.check import Gold, Verdict, check, compile_gold
from bakeoff.rewards.math.extraction import final_answer
from bakeoff.rewards.math.parts import CannotTell, correct, wellformed

__all__ = [
    "CannotTell",
    "Gold",
    "Verdict",
    "check",
    "compile_gold",
    "correct",
    "final_answer",
    "wellformed",
]
