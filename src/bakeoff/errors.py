"""Errors that a person can act on, in one line each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """A mistake in what was asked for. The command line prints its text and exits with code 2."""


def unknown(kind: str, name: str, choices: Iterable[str]) -> UsageError:
    """Return the error for a name that is not one of ``choices``, naming the nearest one.

    Example:
        >>> str(unknown("algorithm", "grop", ["grpo", "ppo"]))
        "unknown algorithm 'grop'; did you mean 'grpo'? (known: grpo, ppo)"
    """
    known = sorted(choices)
    by_lower_case = {choice.lower(): choice for choice in known}
    near = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.5)
    hint = f"; did you mean '{by_lower_case[near[0]]}'?" if near else ""
    return UsageError(f"unknown {kind} '{name}'{hint} (known: {', '.join(known)})")
