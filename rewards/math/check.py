"""Is a reply's final answer equal to the right one? Three-valued, typed, and in bounded time.

Tiers, cheapest first: no final answer, equal as written, exact numbers, types, rational functions
modulo a prime, values to as many digits as it takes, and sympy in a process of its own. A reply
that cannot be read, or takes more than the budget to work out, is wrong; ``None`` is kept for what
could not be compared although both sides have a value.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from bakeoff.rewards.math.answers.kinds import Answer, Choice, Value, Words
from bakeoff.rewards.math.answers.reading import read
from bakeoff.rewards.math.answers.words import NUMBER_SETS, chosen, is_plain, words
from bakeoff.rewards.math.comparing import ROUNDED, Comparison, compared
from bakeoff.rewards.math.defined import has_value
from bakeoff.rewards.math.equality.budget import one_budget
from bakeoff.rewards.math.expressions.tree import ExpressionError, Node, OverBudget
from bakeoff.rewards.math.extraction import MAX_ANSWER, extracted
from bakeoff.rewards.math.forms import FORMS, has_form


@dataclass(frozen=True, slots=True)
class Gold:
    """A right answer, read once.

    Attributes:
        text: as it was given.
        form: what a reply must be besides equal: "value", "result" or "expanded".
        bare: whether a reply may give its answer without a box or a marker.
        answer: what was read.
        too_large: whether its value takes too long to work out. It equals itself as written, and
            what it cannot be told from is not scored.
    """

    text: str
    form: str
    bare: bool
    answer: Answer = field(compare=False)
    too_large: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reply's answer was found to be.

    Attributes:
        correct: true or false, or ``None`` if it cannot be told.
        reason: why, in a few words.
        tier: which comparison said so: "extraction", "text", "exact", "type", "parse", "form",
            "modular", "numeric" or "symbolic".
        seconds: how long it took, wall time.
    """

    correct: bool | None
    reason: str
    tier: str
    seconds: float = field(default=0.0, compare=False)


MAX_REMEMBERED = 200  # characters


class _Unclear(Exception):
    """A comparison that could not be made; it is not remembered."""


@functools.lru_cache(maxsize=16_384)
def compile_gold(text: str, *, form: str = "value", bare: bool = True) -> Gold:
    r"""Read a right answer, the bare answer without a box.

    Args:
        text: plain or LaTeX mathematics, or words.
        form: "value" accepts every reply of the same value; "result" only numbers written out and
            fractions in lowest terms, never a calculation or a rounded decimal; "expanded" only
            sums of monomials.
        bare: whether a reply without a box or a marker is taken as an answer.

    Raises:
        ValueError: it cannot be read, has no value, or does not have the form it asks for: an
            error in the data.

    Example:
        >>> compile_gold(r"x \in (0, 1]").answer.intervals[0].high_closed
        True
        >>> compile_gold(r"\frac{1}{0}")
        Traceback (most recent call last):
        ...
        ValueError: cannot read the right answer '\\frac{1}{0}': divides by zero
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, not {form!r}")
    try:
        if len(text) > MAX_ANSWER:
            raise ExpressionError(f"longer than {MAX_ANSWER} characters")
        with one_budget():
            answer = read(text)
            too_large = not _is_worked_out(answer)
        if isinstance(answer, Words) and not (answer in NUMBER_SETS or is_plain(text)):
            raise ExpressionError("neither mathematics that is known here nor words")
    except ExpressionError as error:
        raise ValueError(f"cannot read the right answer {text[:80]!r}: {error}") from None
    except RecursionError:
        raise ValueError(f"cannot read the right answer {text[:80]!r}: too deep") from None
    if not has_form(answer, form):
        raise ValueError(f"the right answer {text[:80]!r} does not have the form '{form}'")
    return Gold(text, form, bare, answer, too_large)


def _is_worked_out(answer: Answer) -> bool:
    try:
        has_value(answer)
    except OverBudget:
        return False
    return True


def check(gold: str | Gold, reply: str) -> Verdict:
    r"""Compare the final answer of a reply, whatever text it is, with the right one.

    Raises:
        ValueError: the right answer cannot be read; never because of the reply.

    Example:
        >>> check("85", "47 + 38 = 85").correct
        True
        >>> check(r"\frac{\sqrt{2}}{2}", r"It is \boxed{1/\sqrt{2}}.").tier
        'numeric'
        >>> check("85", "85 or 86").reason
        'a list, not a value'
    """
    start = time.perf_counter()
    gold = compile_gold(gold) if isinstance(gold, str) else gold
    found = extracted(reply)
    if found is None or (found.place == "bare" and not gold.bare):
        return Verdict(False, "no final answer", "extraction", time.perf_counter() - start)
    try:
        judge = _remembered if len(found.text) <= MAX_REMEMBERED else _judged
        comparison = judge(gold, found.text)
    except _Unclear as unclear:
        comparison = Comparison(None, *unclear.args)
    return Verdict(*comparison, time.perf_counter() - start)


def check_many(pairs: Iterable[tuple[str | Gold, str]]) -> list[Verdict]:
    """Compare many replies with their right answers; equal pairs are compared once.

    Returns:
        A verdict for each pair, in their order.

    Raises:
        ValueError: a right answer cannot be read.

    Example:
        >>> [verdict.correct for verdict in check_many([("4", "4"), ("4", "2 + 2 = 5")])]
        [True, False]
    """
    verdicts: dict[tuple[str | Gold, str], Verdict] = {}
    found = []
    for pair in pairs:
        if pair not in verdicts:
            verdicts[pair] = check(*pair)
        found.append(verdicts[pair])
    return found


def _compared(gold: Gold, text: str) -> Comparison:
    if isinstance(gold.answer, Choice) and (letter := chosen(text)) is not None:
        return compared(gold.answer, Choice(letter))
    answer = read(text)
    if not has_form(answer, gold.form):
        return Comparison(False, "a calculation, or not in the form asked for", "form")
    if _is_said(gold.answer):
        same = words(gold.text) == words(text)
        return Comparison(same, "equal" if same else "other words", "text")
    return compared(gold.answer, answer)


def _is_said(answer: Answer) -> bool:
    """Tell whether an answer is words, or capitals that are a word as well as a name."""
    match answer:
        case Words():
            return True
        case Value(Node("symbol", _, str(name)), 0, None, ""):
            return len(name) > 1 and name.isalpha() and name.isupper()
    return False


@functools.lru_cache(maxsize=65_536)
def _remembered(gold: Gold, text: str) -> Comparison:
    """Compare as ``_judged`` does, once: a group of replies repeats its answers."""
    return _judged(gold, text)


def _judged(gold: Gold, text: str) -> Comparison:
    """Compare an answer's text with the right answer.

    Raises:
        _Unclear: it cannot be told.
    """
    if text.casefold().strip("$\\{} ") == "nan":
        return Comparison(False, "not a number", "type")
    if text == gold.text:
        return Comparison(True, "equal", "text")
    try:
        with one_budget():
            comparison = _compared(gold, text)
    except ExpressionError as error:
        if gold.too_large and isinstance(error, OverBudget):
            raise _Unclear("the right answer is too large to work out", "exact") from None
        return Comparison(False, str(error), "parse")
    except (RecursionError, MemoryError):
        return Comparison(False, "too deep or too large", "parse")
    except Exception as error:  # a reply must not end the run, nor count as wrong
        raise _Unclear(f"not compared: {type(error).__name__}", "parse") from error
    if comparison.reason == ROUNDED and gold.form != "value":
        return Comparison(False, "rounded", comparison.tier)
    if comparison.equal is None:
        raise _Unclear(comparison.reason, comparison.tier)
    return comparison
