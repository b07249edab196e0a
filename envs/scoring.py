"""Scores from reward functions: plain, async or batched ones, each timed, none of them trusted.

A function that raises, or returns what is no finite number, makes its replies *not scored*, with
its name and the error as the reason; it is never a silent 0. One that raises ``Malformed`` says
that the reply is badly formatted: its part is 0, and the score says why.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import time
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bakeoff.rewards import Malformed, RewardFunction
from bakeoff.types import Item, Score

Rewards = Mapping[str, tuple[float, RewardFunction]]
Outcome = tuple[object, float]  # what a function returned or raised, and how long it took


def judged(rewards: Rewards, items: Sequence[Item], replies: Sequence[Any]) -> list[Score]:
    """Return the score of each reply: the weighted sum of its parts, or none if a part fails.

    Args:
        rewards: ``{name: (weight, function)}``.
        items: what was asked.
        replies: one for each item.

    Example:
        >>> def exact(reply, item):
        ...     return reply == item.answer
        >>> judged({"exact": (0.5, exact)}, [Item("", "1 + 1?", "2")], ["2"])
        [Score(value=0.5, parts={'exact': 1.0}, reason='', malformed='')]
    """
    outcomes = {name: _outcomes(function, items, replies)
                for name, (_, function) in rewards.items()}  # fmt: skip
    return [
        _score(rewards, {name: found[n] for name, found in outcomes.items()})
        for n in range(len(items))
    ]


def may_overlap(function: RewardFunction) -> bool:
    """Tell whether a function may judge some replies while others are still being sampled."""
    if getattr(function, "overlapping", False):
        return True
    return inspect.iscoroutinefunction(function) and not getattr(function, "batched", False)


def _score(rewards: Rewards, outcomes: Mapping[str, Outcome]) -> Score:
    parts: dict[str, float] = {}
    failures, malformed = [], []
    for name, (value, _) in outcomes.items():
        if isinstance(value, Malformed):
            parts[name] = 0.0
            malformed.append(f"{name}: {value}")
        elif isinstance(value, BaseException):
            failures.append(f"{name}: {type(value).__name__}: {value}")
        else:
            number = _number(value)
            if number is None:
                failures.append(f"{name}: returned {value!r:.100}")
            else:
                parts[name] = number
    seconds = {name: taken for name, (_, taken) in outcomes.items()}
    wrong = "; ".join(malformed)
    if failures:
        return Score(None, parts, "; ".join(failures), wrong, seconds)
    value = math.fsum(rewards[name][0] * part for name, part in parts.items())
    return Score(value, parts, "", wrong, seconds)


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and not isinstance(value, str) else None


def _outcomes(
    function: RewardFunction, items: Sequence[Item], replies: Sequence[Any]
) -> list[Outcome]:
    if getattr(function, "batched", False):
        return _of_batch(function, items, replies)
    if inspect.iscoroutinefunction(function):
        found: list[Outcome] = finished(_of_all(function, items, replies))
        return found
    return [_timed(function, item, reply) for item, reply in zip(items, replies, strict=True)]


def _timed(function: RewardFunction, item: Item, reply: Any) -> Outcome:
    started = time.perf_counter()
    try:
        value: object = function(reply, item)
    except (Exception, SystemExit) as error:  # a reward function of the user's may raise anything
        value = error
    return value, time.perf_counter() - started


def _of_batch(
    function: RewardFunction, items: Sequence[Item], replies: Sequence[Any]
) -> list[Outcome]:
    started = time.perf_counter()
    try:
        found = function(list(replies), list(items))
        values: list[object] = list(finished(found) if inspect.isawaitable(found) else found)
        if len(values) != len(items):
            raise ValueError(f"{len(values)} numbers for {len(items)} replies")
    except (Exception, SystemExit) as error:
        values = [error] * len(items)
    taken = (time.perf_counter() - started) / max(1, len(items))
    return [(value, taken) for value in values]


async def _of_all(
    function: RewardFunction, items: Sequence[Item], replies: Sequence[Any]
) -> list[Outcome]:
    async def one(item: Item, reply: Any) -> Outcome:
        started = time.perf_counter()
        try:
            value: object = await function(reply, item)
        except (Exception, SystemExit) as error:
            value = error
        return value, time.perf_counter() - started

    return list(await asyncio.gather(*map(one, items, replies)))


def finished(awaitable: Awaitable[Any]) -> Any:
    """Return the result of something to await, in whatever thread this is, event loop or none."""

    async def main() -> Any:
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main())
    with ThreadPoolExecutor(1, "bakeoff-rewards") as thread:  # the loop of this one is busy with us
        return thread.submit(asyncio.run, main()).result()
