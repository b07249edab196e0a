r"""Math checking as reward functions, for items whose ``answer`` is the right answer, bare.

``correct``, ``same_value`` and ``expanded`` differ in the form they ask for. Which one an
environment needs follows from its questions: none may be answered by copying the question.
"""

from __future__ import annotations

from bakeoff.rewards.math.answers.kinds import Answer, Value, Words
from bakeoff.rewards.math.answers.reading import read
from bakeoff.rewards.math.check import check, compile_gold
from bakeoff.rewards.math.equality.budget import one_budget
from bakeoff.rewards.math.expressions.tree import ExpressionError
from bakeoff.rewards.math.extraction import extracted
from bakeoff.rewards.math.forms import has_form
from bakeoff.types import Item


class CannotTell(Exception):
    """A reply could not be compared with the right answer; it is then not scored."""


def correct(reply: str, item: Item) -> float:
    """Return 1 if the reply ends with the item's answer, written out, else 0.

    Raises:
        CannotTell: the comparison could not be made.
        ValueError: the item's answer is not a result written out: an error in the data.

    Example:
        >>> correct("47 + 38 = 85", Item("me/1", "What is 47 + 38?", answer="85"))
        1.0
        >>> correct("47 + 38", Item("me/1", "What is 47 + 38?", answer="85"))
        0.0
    """
    return _scored(reply, item, "result")


def same_value(reply: str, item: Item) -> float:
    r"""Return 1 if the reply ends with an answer of the same value, in whatever form, else 0.

    Raises:
        CannotTell: the comparison could not be made.
        ValueError: the item's answer cannot be read: an error in the data.

    Example:
        >>> same_value(r"\boxed{2\sqrt{2}}", Item("me/1", "How long is it?", answer="\\sqrt{8}"))
        1.0
    """
    return _scored(reply, item, "value")


def expanded(reply: str, item: Item) -> float:
    """Return 1 if the reply ends with the item's answer as a sum of monomials, else 0.

    Raises:
        CannotTell: the comparison could not be made.
        ValueError: the item's answer is not such a sum: an error in the data.

    Example:
        >>> item = Item("me/1", "Expand (x+1)^2.", answer="x^2 + 2x + 1")
        >>> expanded("1 + 2x + x^2", item), expanded("(x+1)^2", item)
        (1.0, 0.0)
    """
    return _scored(reply, item, "expanded")


def boxed(reply: str, item: Item) -> float:
    r"""Return 1 if the answer stands in a complete box and can be read as mathematics, else 0.

    Example:
        >>> item = Item("me/1", "What is 47 + 38?", answer="85")
        >>> boxed(r"\boxed{86}", item), boxed("86", item), boxed(r"\boxed{no idea}", item)
        (1.0, 0.0, 0.0)
    """
    found = extracted(reply)
    if found is None or found.place != "box":
        return 0.0
    words = isinstance(_read(found.text), Words)
    return float(not words or isinstance(compile_gold(item.answer).answer, Words))


def wellformed(reply: str, item: Item) -> float:
    """Return 1 if the reply ends with a number, written out, whatever number it is.

    Example:
        >>> wellformed("86", Item("me/1", "What is 47 + 38?", answer="85"))
        1.0
    """
    found = extracted(reply)
    answer = _read(found.text) if found else Words("")
    return float(isinstance(answer, Value) and has_form(answer, "result"))


def _read(text: str) -> Answer:
    """Return what an answer is; what cannot be read is words."""
    try:
        with one_budget():
            return read(text)
    except (ExpressionError, RecursionError, MemoryError):
        return Words("")


def _scored(reply: str, item: Item, form: str) -> float:
    verdict = check(compile_gold(item.answer, form=form), reply)
    if verdict.correct is None:
        raise CannotTell(verdict.reason)
    return float(verdict.correct)
