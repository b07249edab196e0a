"""Algorithms that are GRPO with something planted: a slow-down, or memory that is held."""

import time

import torch

from bakeoff.algorithms.grpo import grpo
from bakeoff.types import Algorithm, Batch, Credit


def plain() -> Algorithm:
    """GRPO as it ships."""
    return grpo()


def slow(*, share: float = 0.2) -> Algorithm:
    """Takes a share longer for each update than the update before it took."""
    inner, awake = grpo(), [0.0]

    def advantages(batch: Batch) -> Credit:
        if awake[0]:
            time.sleep(share * (time.perf_counter() - awake[0]))
        awake[0] = time.perf_counter()
        return inner.advantages(batch)

    return inner._replace(advantages=advantages)


def heavy(*, megabytes: int = 50) -> Algorithm:
    """Holds a buffer from its first update on."""
    inner, held = grpo(), []

    def advantages(batch: Batch) -> Credit:
        if not held:
            held.append(torch.ones(megabytes * 250_000))
        return inner.advantages(batch)

    return inner._replace(advantages=advantages)
