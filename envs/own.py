"""An environment made of functions: one that generates items, and those that judge replies."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bakeoff.envs.text_env import SPLITS, TextEnv, checked_split, split_of
from bakeoff.errors import UsageError
from bakeoff.rewards import RewardFunction
from bakeoff.streams import stream
from bakeoff.types import Item

MAX_DRAWS = 1_000  # to find a prompt of the split that is asked for


class FunctionEnv(TextEnv):
    """An environment that `bakeoff.envs.register` made of a function.

    Args:
        id, make_item, sizes, rewards, reply_tokens: as in `bakeoff.envs.register`.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".
        arguments: further arguments of ``make_item``.
    """

    def __init__(
        self,
        *,
        id: str,
        make_item: Callable[..., Item],
        sizes: Mapping[str, int],
        rewards: Mapping[str, tuple[float, RewardFunction]],
        reply_tokens: int,
        split: str = "train",
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(split=split, render_mode=render_mode)
        self.id = id
        self.rewards = rewards
        self.reply_tokens = reply_tokens
        self._make_item = make_item
        self._sizes = sizes
        self._arguments = arguments

    def size(self, split: str) -> int:
        """Return how many items the split has."""
        return self._sizes[checked_split(split)]

    def item(self, index: int, split: str = "train") -> Item:
        """Return one item: the first of its own random stream whose prompt is of the split.

        Raises:
            UsageError: no prompt of the split came up, or the function returned no item.
        """
        rng = stream(self.id, split, self._checked_index(index, split))
        for _ in range(MAX_DRAWS):
            item = self._make_item(rng, **self._arguments)
            if not isinstance(item, Item):
                raise UsageError(f"{self.id}: make_item returned {type(item).__name__}, no Item")
            if split_of(self.id, item.prompt) == split:
                return replace(item, id=f"{self.id}/{split}/{index}")
        raise UsageError(
            f"{self.id}: none of {MAX_DRAWS} prompts is of split '{split}'; it has too few of them"
        )


def checked_definition(
    id: str,
    make_item: Callable[..., Item],
    sizes: Mapping[str, int] | None,
    rewards: Mapping[str, tuple[float, RewardFunction]] | None,
    reply_tokens: int,
) -> dict[str, Any]:
    """Return the arguments of ``FunctionEnv``, checked.

    Raises:
        UsageError: something is missing or out of its range.
    """
    if sizes is None or set(sizes) != set(SPLITS) or not all(n >= 1 for n in sizes.values()):
        raise UsageError(f"{id}: sizes must be like {{'train': 1000, 'eval': 100}}, not {sizes}")
    taken = {"split", "render_mode", "id", "make_item", "sizes", "rewards", "reply_tokens"}
    for name in taken.intersection(inspect.signature(make_item).parameters):
        raise UsageError(f"{id}: make_item cannot take '{name}', which every environment has")
    if not rewards:
        raise UsageError(f"{id}: rewards must be like {{'correct': (1.0, function)}}")
    for name, pair in rewards.items():
        if not (isinstance(pair, tuple) and len(pair) == 2 and callable(pair[1])):
            raise UsageError(f"{id}: the reward '{name}' must be (weight, function), not {pair!r}")
        if not (isinstance(pair[0], (int, float)) and math.isfinite(pair[0])):
            raise UsageError(f"{id}: the weight of '{name}' must be a number, not {pair[0]!r}")
    if reply_tokens < 1:
        raise UsageError(f"{id}: reply_tokens must be at least 1, not {reply_tokens}")
    return {
        "id": id,
        "make_item": make_item,
        "sizes": dict(sizes),
        "rewards": dict(rewards),
        "reply_tokens": reply_tokens,
    }
