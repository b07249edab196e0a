"""Is a reply's final answer equal to the right one? Three-valued, exact, and in bounded time.

Tiers, cheapest first: no readable answer (wrong), equal as written, exact rational arithmetic, and
for roots and pi a symbolic comparison. There is no tolerance: 0.333 is not 1/3.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction

from bakeoff.rewards.math.expression import (
    ExpressionError,
    Node,
    OverBudget,
    is_written_out,
    rational,
)
from bakeoff.rewards.math.extraction import final_answer
from bakeoff.rewards.math.parsing import parse
from bakeoff.rewards.math.symbolic import same_value


@dataclass(frozen=True)
class Gold:
    """A right answer, read once.

    Attributes:
        text: as it was given.
        tree: what was read.
        value: the exact value, or ``None`` if it is not rational.
        evaluated: whether a reply must give the result, and not a calculation that comes to it.
    """

    text: str
    tree: Node
    value: Fraction | None
    evaluated: bool


@dataclass(frozen=True)
class Verdict:
    """What a reply's answer was found to be.

    Attributes:
        correct: true or false, or ``None`` if it cannot be told.
        reason: why, in a few words.
        tier: which comparison said so: "extraction", "parse", "text", "exact" or "symbolic".
    """

    correct: bool | None
    reason: str
    tier: str


@functools.lru_cache(maxsize=16_384)
def compile_gold(text: str, *, evaluated: bool = False) -> Gold:
    """Read a right answer.

    Args:
        text: an arithmetic expression, plain or LaTeX.
        evaluated: accept only a result, written out: a number or a fraction in lowest terms.
            Without it "47 + 38" is a right answer to itself.

    Raises:
        ValueError: it cannot be read, has no value, or is not written out although it should be:
            an error in the data.

    Example:
        >>> compile_gold("1,080").value
        Fraction(1080, 1)
    """
    try:
        tree = parse(text)
        value = rational(tree)
    except ExpressionError as error:
        raise ValueError(f"cannot read the right answer {text[:80]!a}: {error}") from None
    if evaluated and not is_written_out(tree):
        raise ValueError(f"the right answer {text[:80]!a} is a calculation, not its result")
    return Gold(text, tree, value, evaluated)


def check(gold: str | Gold, reply: str) -> Verdict:
    r"""Compare the final answer of a reply, whatever text it is, with the right one.

    Raises:
        ValueError: the right answer cannot be read; never because of the reply.

    Example:
        >>> check("85", "47 + 38 = 85").correct
        True
        >>> check(r"\frac{\sqrt{2}}{2}", r"It is \boxed{1/\sqrt{2}}.")
        Verdict(correct=True, reason='equal', tier='symbolic')
        >>> check("85", "85 or 86")
        Verdict(correct=False, reason="cannot read 'or'", tier='parse')
    """
    gold = compile_gold(gold) if isinstance(gold, str) else gold
    answer = final_answer(reply)
    if answer is None:
        return Verdict(False, "no final answer", "extraction")
    if answer == gold.text:
        return Verdict(True, "equal", "text")
    try:
        tree = parse(answer)
        if gold.evaluated and not is_written_out(tree):
            return Verdict(False, "a calculation, or a fraction not in lowest terms", "parse")
        value = rational(tree)
    except OverBudget as error:
        return Verdict(None, str(error), "exact")
    except ExpressionError as error:
        return Verdict(False, str(error), "parse")
    if value is not None and gold.value is not None:
        return _verdict(value == gold.value, "exact")
    return _symbolic(gold.tree, tree)


def _symbolic(gold: Node, tree: Node) -> Verdict:
    try:
        return _verdict(same_value(gold, tree), "symbolic")
    except ExpressionError as error:
        return Verdict(False, str(error), "symbolic")
    except Exception as error:  # sympy's own; a reply must not end the run, nor count as wrong
        return Verdict(None, f"not compared: {type(error).__name__}", "symbolic")


def _verdict(same: bool | None, tier: str) -> Verdict:
    reasons = {True: "equal", False: "different", None: "too large to compare"}
    return Verdict(same, reasons[same], tier)
