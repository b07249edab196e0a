"""Rewards: how one reply is scored. Plain functions from (reply, item) to a number in [0, 1].

A reward function is total: any text comes in, a number comes out, in bounded time. One that cannot
tell raises, and the reply then counts as *not scored*; it is never a silent 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bakeoff.types import Item

# of a reply, which is a text, or in an environment of several turns the tuple of all replies
RewardFunction = Callable[[Any, Item], float]
