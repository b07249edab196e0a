"""What all exports have in common: the first items of a split, each with its place."""

from __future__ import annotations

from collections.abc import Iterator

from bakeoff.envs.text_env import TextEnv
from bakeoff.errors import UsageError
from bakeoff.types import Item


def first_items(env: TextEnv, split: str, n: int) -> Iterator[tuple[dict[str, str | int], Item]]:
    """Yield the first ``n`` items of a split, or all if it has fewer, each with its place.

    The place is what finds the item again: the environment's spec, the split and the index.

    Raises:
        UsageError: the environment has several turns, or there is nothing to export.

    Example:
        >>> from bakeoff.envs import make
        >>> [(place, item)] = first_items(make("bakeoff/Arithmetic-v0"), "eval", 1)
        >>> place
        {'env': 'bakeoff/Arithmetic-v0', 'split': 'eval', 'index': 0}
    """
    if env.turns > 1:
        raise UsageError(
            f"{env.id} has up to {env.turns} turns; what is exported is one question and one reply"
        )
    if n < 1:
        raise UsageError(f"n must be at least 1, not {n}")
    size = env.size(split)
    if size < 1:
        raise UsageError(f"{env.id} has no {split} items")
    for index in range(min(n, size)):
        yield {"env": env.spec_text, "split": split, "index": index}, env.item(index, split)
