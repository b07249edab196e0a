"""Environments made of functions: one that makes items, and those that judge replies."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from bakeoff.envs.rows import Rows, placed_rows
from bakeoff.envs.text_env import SPLITS, TextEnv, checked_split, split_of
from bakeoff.errors import UsageError, unknown
from bakeoff.rewards import RewardFunction
from bakeoff.streams import stream
from bakeoff.types import Item

_SETTINGS = ("sizes", "rows", "ranges", "deadline_s")
MAX_DRAWS = 1_000  # to find a prompt of the split that is asked for


class Definition(NamedTuple):
    """What `bakeoff.envs.register` was given, checked; its docstring says what each field is."""

    id: str
    make_item: Callable[..., Item]
    rewards: Mapping[str, tuple[float, RewardFunction]]
    reply_tokens: int
    ranges: Mapping[str, tuple[float, float]]
    deadline_s: float | None
    sizes: Mapping[str, int]
    rows: Mapping[str, Rows]


class _OwnEnv(TextEnv):
    """What environments made of functions have in common."""

    def __init__(self, definition: Definition, split: str, render_mode: str | None) -> None:
        self.id = definition.id
        super().__init__(split=split, render_mode=render_mode)
        self.rewards, self.ranges = definition.rewards, definition.ranges
        self.reply_tokens, self.deadline_s = definition.reply_tokens, definition.deadline_s
        self._definition = definition


class FunctionEnv(_OwnEnv):
    """An environment that `bakeoff.envs.register` made of a function that generates items.

    Args:
        definition: what it was made of.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".
        arguments: further arguments of ``make_item``.
    """

    def __init__(
        self,
        *,
        definition: Definition,
        split: str = "train",
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(definition, split, render_mode)
        self._arguments = arguments

    def size(self, split: str) -> int:
        """Return how many items the split has."""
        return self._definition.sizes[checked_split(split)]

    def item(self, index: int, split: str = "train") -> Item:
        """Return one item: the first of its own random stream whose prompt is of the split.

        Raises:
            UsageError: no prompt of the split came up, or the function returned no item.
        """
        rng = stream(self.id, split, self._checked_index(index, split))
        for _ in range(MAX_DRAWS):
            item = self._definition.make_item(rng, **self._arguments)
            if not isinstance(item, Item):
                raise UsageError(f"{self.id}: make_item returned {type(item).__name__}, no Item")
            if split_of(self.id, item.prompt) == split:
                return replace(item, id=f"{self.id}/{split}/{index}")
        raise UsageError(
            f"{self.id}: none of {MAX_DRAWS} prompts is of split '{split}'; it has too few of them"
        )


class RowsEnv(_OwnEnv):
    """An environment that `bakeoff.envs.register` made of the rows of a data set.

    Args:
        definition: what it was made of.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".
        arguments: further arguments of ``make_item``.

    Raises:
        UsageError: the rows cannot be read, or ``make_item`` cannot make an item of one.
    """

    def __init__(
        self,
        *,
        definition: Definition,
        split: str = "train",
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(definition, split, render_mode)
        self._items: dict[str, list[Item]] = {name: [] for name in SPLITS}
        for name, source in definition.rows.items():
            for place, row in placed_rows(source):
                item = self._made(row, place, arguments)
                self._items[name or split_of(self.id, item.prompt)].append(item)

    def _made(self, row: Any, place: str, arguments: Mapping[str, Any]) -> Item:
        try:
            item = self._definition.make_item(row, **arguments)
        except Exception as error:  # make_item is the user's
            raise UsageError(f"{self.id}: {place}: {type(error).__name__}: {error}") from error
        if not isinstance(item, Item):
            raise UsageError(f"{self.id}: make_item returned {type(item).__name__}, no Item")
        return item

    def size(self, split: str) -> int:
        """Return how many rows the split has."""
        return len(self._items[checked_split(split)])

    def item(self, index: int, split: str = "train") -> Item:
        """Return the item of one row."""
        item = self._items[split][self._checked_index(index, split)]
        return replace(item, id=f"{self.id}/{split}/{index}")


def checked_definition(
    id: str,
    make_item: Callable[..., Item],
    rewards: Mapping[str, tuple[float, RewardFunction]] | None,
    reply_tokens: int,
    settings: Mapping[str, Any],
) -> Definition:
    """Return a definition, checked.

    Raises:
        UsageError: something is missing or out of its range.
    """
    for name in settings:
        if name not in _SETTINGS:
            raise unknown("argument of register", name, _SETTINGS)
    sizes, rows = settings.get("sizes"), settings.get("rows")
    ranges, deadline_s = settings.get("ranges", {}), settings.get("deadline_s")
    if (sizes is None) == (rows is None):
        raise UsageError(f"{id}: give either sizes= for generated items or rows= for given ones")
    if isinstance(rows, Mapping) and not (rows and set(rows) <= set(SPLITS)):
        raise UsageError(f"{id}: rows must be like {{'train': ..., 'eval': ...}}, or a data set")
    if sizes is not None and not (set(sizes) == set(SPLITS) and min(sizes.values()) >= 1):
        raise UsageError(f"{id}: sizes must be like {{'train': 1000, 'eval': 100}}, not {sizes}")
    _check_names(id, make_item)
    checked = _checked_rewards(id, rewards)
    if reply_tokens < 1:
        raise UsageError(f"{id}: reply_tokens must be at least 1, not {reply_tokens}")
    if deadline_s is not None and not deadline_s > 0:
        raise UsageError(f"{id}: deadline_s must be above 0, not {deadline_s}")
    for name in ranges:
        if name not in checked:
            raise unknown(f"reward of {id} in ranges", name, checked)
    sources = {} if rows is None else rows if isinstance(rows, Mapping) else {"": rows}
    return Definition(
        id, make_item, checked, reply_tokens, dict(ranges), deadline_s, dict(sizes or {}), sources
    )


def _check_names(id: str, make_item: Callable[..., Item]) -> None:
    taken = {"definition", "split", "render_mode"}
    for name in taken.intersection(list(inspect.signature(make_item).parameters)[1:]):
        raise UsageError(f"{id}: make_item cannot take '{name}', which every environment has")


def _checked_rewards(
    id: str, rewards: Mapping[str, tuple[float, RewardFunction]] | None
) -> Mapping[str, tuple[float, RewardFunction]]:
    if not rewards:
        raise UsageError(f"{id}: rewards must be like {{'correct': (1.0, function)}}")
    for name, pair in rewards.items():
        if not (isinstance(pair, tuple) and len(pair) == 2 and callable(pair[1])):
            raise UsageError(f"{id}: the reward '{name}' must be (weight, function), not {pair!r}")
        if not (isinstance(pair[0], (int, float)) and math.isfinite(pair[0])):
            raise UsageError(f"{id}: the weight of '{name}' must be a number, not {pair[0]!r}")
    return dict(rewards)
