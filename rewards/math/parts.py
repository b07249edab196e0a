"""Math checking as reward functions, for items whose ``answer`` is a number."""

from __future__ import annotations

from bakeoff.rewards.math.check import check, compile_gold
from bakeoff.rewards.math.expression import ExpressionError, is_written_out
from bakeoff.rewards.math.extraction import final_answer
from bakeoff.rewards.math.parsing import parse
from bakeoff.types import Item


class CannotTell(Exception):
    """A reply could not be compared with the right answer; it is then not scored."""


def correct(reply: str, item: Item) -> float:
    """Return 1 if the reply ends with the item's answer, written out, else 0.

    Raises:
        CannotTell: the comparison would take too long.
        ValueError: the item's answer is not a number: an error in the data.

    Example:
        >>> correct("47 + 38 = 85", Item("me/1", "What is 47 + 38?", answer="85"))
        1.0
        >>> correct("47 + 38", Item("me/1", "What is 47 + 38?", answer="85"))
        0.0
    """
    verdict = check(compile_gold(item.answer, evaluated=True), reply)
    if verdict.correct is None:
        raise CannotTell(verdict.reason)
    return float(verdict.correct)


def wellformed(reply: str, item: Item) -> float:
    """Return 1 if the reply ends with a number, written out, whatever number it is.

    Example:
        >>> wellformed("86", Item("me/1", "What is 47 + 38?", answer="85"))
        1.0
    """
    answer = final_answer(reply)
    try:
        return float(answer is not None and is_written_out(parse(answer)))
    except ExpressionError:
        return 0.0
