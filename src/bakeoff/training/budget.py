"""Budgets: what ends a run other than a number of updates, and how much of it is used up.

A run stops after the first update at which its counter has reached the budget, so it spends the
budget and less than one update more. A budget of memory ends nothing: it is what the sizes of a run
were chosen for. No torch is imported here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from bakeoff.errors import UsageError, unknown

COUNTERS = {
    "updates": "updates",
    "completion_tokens": "completion_tokens",
    "train_s": "train_s",
    "flops": "train_flops",
}
"""Kinds of budgets that end a run, and which of ``bakeoff.training.reports.Counters`` does it."""

KINDS = (*COUNTERS, "memory")

CEILING = 1_000_000
"""The updates of a run that has another budget and was given no number of them."""

UNITS = {"B": 1} | {
    f"{letter}{middle}B": base**power
    for power, letter in enumerate("KMGT", start=1)
    for middle, base in (("", 1000), ("i", 1024))
}


class Budget(NamedTuple):
    """What a run may use up.

    Attributes:
        kind: one of ``KINDS``.
        value: how much of it: seconds of training, bytes of memory, or a number; a whole one but
            for seconds.
    """

    kind: str
    value: float

    def __str__(self) -> str:
        """Return the text that ``parse`` reads it from.

        Example:
            >>> str(Budget("train_s", 60.0)), str(Budget("memory", 6 * 2**30))
            ('train_s=60', 'memory=6GiB')
        """
        if self.kind == "memory":
            return f"memory={size_text(int(self.value))}"
        return f"{self.kind}={str(self.value).removesuffix('.0')}"


def parse(text: str) -> Budget:
    """Return the budget that ``KIND=VALUE`` names.

    Raises:
        UsageError: it has another form, an unknown kind, or a value that is no amount of it.

    Example:
        >>> parse("completion_tokens=2e5"), parse("memory=6GiB").value == 6 * 2**30
        (Budget(kind='completion_tokens', value=200000), True)
    """
    kind, equals, amount = (part.strip() for part in text.partition("="))
    if not equals:
        raise UsageError(f"a budget is KIND=VALUE, completion_tokens=200000, not '{text}'")
    if kind not in KINDS:
        raise unknown("budget", kind, KINDS)
    value = size(amount) if kind == "memory" else _number(kind, amount)
    if not 0 < value < math.inf:
        raise UsageError(f"a budget of {kind} must be above 0, not {amount}")
    if kind == "train_s":
        return Budget(kind, value)
    if value != int(value):
        raise UsageError(f"a budget of {kind} must be a whole number, not {amount}")
    return Budget(kind, int(value))


def _number(kind: str, amount: str) -> float:
    try:
        return float(amount)
    except ValueError:
        raise UsageError(f"a budget of {kind} is a number, not '{amount}'") from None


def with_budget(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return knobs with their ``budget`` in its one text form, and the ``updates`` it implies.

    ``updates=40`` becomes the knob of that name. Where something else ends the run, ``updates`` is
    a ceiling, and a high one if none was given.

    Raises:
        UsageError: the budget cannot be read, or gives other updates than ``updates`` does.

    Example:
        >>> with_budget({"budget": "updates=40"})
        {'budget': None, 'updates': 40}
        >>> with_budget({"budget": "flops=1e12"})
        {'updates': 1000000, 'budget': 'flops=1000000000000'}
    """
    if values.get("budget") is None:
        return dict(values)
    budget = parse(values["budget"])
    if budget.kind == "updates":
        if values.get("updates", budget.value) != budget.value:
            raise UsageError(
                f"budget {budget} and updates {values['updates']} contradict each other; leave one "
                "of them out"
            )
        return {**values, "budget": None, "updates": budget.value}
    ceiling = {"updates": CEILING} if budget.kind in COUNTERS else {}
    return {**ceiling, **values, "budget": str(budget)}


def spent_frac(budget: Budget | None, counters: Mapping[str, float]) -> float:
    """Return how much of a budget is used up; 1 or more is all of it.

    Args:
        budget: None, and one of memory, are never used up: 0.
        counters: of the run, by their names.

    Example:
        >>> spent_frac(Budget("train_s", 60.0), {"train_s": 15.0})
        0.25
    """
    if budget is None or budget.kind not in COUNTERS:
        return 0.0
    return counters[COUNTERS[budget.kind]] / budget.value


def size(value: object) -> int:
    """Return a number of bytes, written with its unit.

    Raises:
        UsageError: it has no known unit, or is no number.

    Example:
        >>> size("8GiB"), size("1.5 MB")
        (8589934592, 1500000)
    """
    units = {unit.lower(): factor for unit, factor in UNITS.items()}
    found = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) *([A-Za-z]{1,3})", str(value).strip())
    if found is None or found[2].lower() not in units:
        known = ", ".join(UNITS)
        raise UsageError(f"a memory limit is a number with a unit, 8GiB, not '{value}' ({known})")
    return int(float(found[1]) * units[found[2].lower()])


def size_text(count: int) -> str:
    """Return a number of bytes in the largest unit that gives it exactly.

    Example:
        >>> size_text(8 * 2**30), size_text(1500)
        ('8GiB', '1500B')
    """
    units = [unit for unit in ("TiB", "GiB", "MiB", "KiB") if count % UNITS[unit] == 0]
    return f"{count // UNITS[units[0]]}{units[0]}" if units else f"{count}B"
