"""Budgets in a comparison: what every run may use up, as its settings say it.

A run has one budget, ``--budget KIND=VALUE``. What ends the runs is the loop's part
(``bakeoff.training.budget``); what is made of ``memory=SIZE``, a group as large as each algorithm
can afford, is done before the first run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bakeoff.errors import UsageError
from bakeoff.training.budget import COUNTERS, Budget, parse

CHOSEN = ("group_size", "micro_batch", "sample_batch")
"""Settings of each algorithm that a budget of memory chooses."""


def budget_of(config: Mapping[str, Any]) -> Budget:
    """Return the budget of the runs that have these settings: ``updates``, if they name no other.

    Args:
        config: knobs by name, as in ``config_json``.

    Example:
        >>> budget_of({"updates": 40})
        Budget(kind='updates', value=40)
    """
    text = config.get("budget")
    return parse(text) if text else Budget("updates", config["updates"])


def ends_runs(budget: Budget) -> bool:
    """Tell whether a budget other than ``updates`` ends the runs that have it."""
    return budget.kind in COUNTERS and budget.kind != "updates"


def check_chosen(settings: Mapping[str, Any]) -> None:
    """Accept settings as they were given, of which a budget of memory would override none.

    Args:
        settings: by name, without the defaults.

    Raises:
        UsageError: it would override one; the text names it.

    Example:
        >>> check_chosen({"budget": "memory=6GiB", "group_size": 8})
        Traceback (most recent call last):
        bakeoff.errors.UsageError: budget memory=6GiB chooses group_size for each algorithm: leave \
group_size out, or the budget
    """
    text = settings.get("budget")
    if not isinstance(text, str) or (budget := parse(text)).kind != "memory":
        return
    for name in CHOSEN:
        if name in settings:
            raise UsageError(
                f"budget {budget} chooses {name} for each algorithm: leave {name} out, or the "
                "budget"
            )


def check_tokens(budget: Budget, algorithms: Iterable[str]) -> None:
    """Accept a budget, of tokens too, for algorithms that write some.

    Args:
        budget: of every run.
        algorithms: those of them that learn from gold replies, and write nothing.

    Raises:
        UsageError: one of them would never reach it.
    """
    names = ", ".join(algorithms)
    if names and budget.kind == "completion_tokens":
        raise UsageError(
            f"budget {budget} never ends a run of {names}, which learns from gold replies and "
            "writes no tokens; leave it out, or use flops or train_s"
        )
