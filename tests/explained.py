"""What ``bakeoff explain`` has found and explained, made once for all tests."""

from __future__ import annotations

import functools

from bakeoff import envs
from bakeoff.comparisons.explain.explanation import Explanation, explain
from bakeoff.comparisons.explain.scene import Scene, found
from bakeoff.models.loading import load

ENVIRONMENT, RATE = "bakeoff/Arithmetic-v0", 2e-4


@functools.cache
def the_scene() -> Scene:
    return found(load("tiny"), envs.make(ENVIRONMENT), 0, reply_tokens=16)


@functools.cache
def the_explanation() -> Explanation:
    return explain(the_scene(), "grpo", environment=ENVIRONMENT, seed=0, rate=RATE)
