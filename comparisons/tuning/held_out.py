"""Held-out items for tuning: others than the comparison's, as far as an environment has others."""

from __future__ import annotations

from bakeoff.comparisons.running.checks import held_out_items
from bakeoff.errors import UsageError


def check_items(environment: str, items: int, offset: int) -> None:
    """Accept an environment that has held-out items for a comparison and for its tuning.

    Args:
        environment: its spec.
        items: of one evaluation.
        offset: the first one that trials are judged on.

    Raises:
        UsageError: it has not; the text says how many both may take.
    """
    size = held_out_items(environment)
    if size < offset + items:
        raise UsageError(
            f"environment '{environment}' has {size} held-out items, and tuning is judged on "
            f"others than the comparison: set eval_items to at most {size // 2} in both"
        )


def asked_in_both(environment: str, items: int, offset: int) -> int:
    """Return how many items of a trial's evaluation have a prompt of the comparison's.

    An environment that generates its items may ask the same under two indices, and must where it
    has few questions: of additions of two digits there are not many.

    Args:
        environment: its spec.
        items: of one evaluation.
        offset: the first one that trials are judged on.

    Example:
        >>> asked_in_both("bakeoff/Arithmetic-v0:level=1", 128, 128)
        128
    """
    from bakeoff import envs

    built = envs.make(environment)
    compared = {built.item(index, "eval").prompt for index in range(items)}
    tuned = [built.item(index, "eval").prompt for index in range(offset, offset + items)]
    built.close()
    return sum(prompt in compared for prompt in tuned)
