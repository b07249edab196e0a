"""The devices on which a vLLM server samples: by tensor parallelism, each has a share of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bakeoff.comparisons.fitting.search import largest
from bakeoff.training.memory import cuda
from bakeoff.training.memory.prediction import Components
from bakeoff.training.memory.workload import Run

WIDEST = 64
"""No server is planned over more devices."""


@dataclass(frozen=True)
class Server:
    """A server over some devices.

    Attributes:
        devices: how many.
        held: bytes by component on one of them, with the cache of one sequence.
        usable: bytes that it may hold.
        running: sequences of full length that its cache has room for.
    """

    devices: int
    held: Components
    usable: int
    running: int

    @property
    def fits(self) -> bool:
        """Whether it holds the weights and the cache of one sequence."""
        return sum(self.held.values()) <= self.usable


def server(run: Run, usable: int) -> Server:
    """Return the server of the fewest devices that holds a run's policy.

    vLLM deals heads to devices, so that their number divides both those of queries and of keys, or
    is a multiple of the latter, which are copied then.

    Args:
        run: whose policy samples.
        usable: bytes of a device that may be used.
    """
    sizes, config = run.sizes, run.config
    kept = sizes.heads * sizes.key // sizes.query
    widths = [n for n in range(1, WIDEST + 1) if _divides(n, sizes.heads, kept)]
    asked = config.prompts_per_update * config.group_size
    for devices in widths:
        found = _held(run, devices, 1)
        if sum(found.values()) <= usable or devices == widths[-1]:
            break
    most = max(asked, config.eval_items)
    running = largest(lambda rows: sum(_held(run, devices, rows).values()) <= usable, most=most)
    return Server(devices, found, usable, running or 0)


def _held(run: Run, devices: int, rows: int) -> Components:
    """Return what one device of a server holds: weights, and the cache of ``rows`` sequences."""
    sizes = run.sizes
    numbers = sum(weight.numbers for weight in sizes.weights())
    tokens = rows * (run.lengths.longest_prompt + run.lengths.completion)
    width = max(sizes.key / devices, sizes.query / sizes.heads)  # a head is on one device
    return {
        "sampler_weights": math.ceil(run.item * numbers / devices),
        "kv_cache": math.ceil(2 * sizes.layers * width * run.item * tokens),
        **cuda.outside_tensors(devices),
    }


def _divides(devices: int, heads: int, kept: int) -> bool:
    return heads % devices == 0 and (kept % devices == 0 or devices % kept == 0)
