"""The operations a second of this machine's matrix products: what utilisation is a share of."""

from __future__ import annotations

import time

import torch

from bakeoff.training.packing.products import product

SIDES = {"cpu": 1024, "cuda": 8192}
"""The side of the squares that are multiplied: large enough to reach the rate, and quick."""

TIMES = 8


def matmul_rate(device: str, dtype: torch.dtype) -> float:
    """Return the FLOP/s of products of two square matrices, the best of several.

    On a CPU they are by torch's default and by oneDNN, which training uses (see
    ``bakeoff.training.packing.products``): the faster counts. The threads are torch's at the time.
    """
    side = SIDES.get(device, SIDES["cpu"])
    one, other = (torch.ones(side, side, device=device).to(dtype) for _ in range(2))
    seconds = []
    with torch.no_grad():
        for multiply in (torch.mm, product):
            multiply(one, other)
            for _ in range(TIMES):
                _wait(device)
                start = time.perf_counter()
                multiply(one, other)
                _wait(device)
                seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
