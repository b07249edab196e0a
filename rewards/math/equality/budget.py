"""How much work one check may take, counted and not timed: the same text has the same verdict.

A unit is about five microseconds. The budget belongs to a check as a whole, so a list of a hundred
costly values does not take a hundred times as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from bakeoff.rewards.math.expressions.tree import OverBudget

UNITS = 100_000


class BudgetSpent(OverBudget):
    """The budget of the check is spent; nothing else is to be tried."""


class _Budget:
    def __init__(self) -> None:
        self.left = UNITS


_current: ContextVar[_Budget | None] = ContextVar("budget", default=None)


@contextmanager
def one_budget() -> Iterator[None]:
    """Let everything in the block share one budget; a block in a block shares the outer one."""
    if _current.get() is not None:
        yield
        return
    token = _current.set(_Budget())
    try:
        yield
    finally:
        _current.reset(token)


def spend(units: int) -> None:
    """Take units from the budget, if there is one.

    Raises:
        BudgetSpent: there are none left.
    """
    budget = _current.get()
    if budget is not None:
        budget.left -= units
        if budget.left < 0:
            raise BudgetSpent("takes too long to work out")
