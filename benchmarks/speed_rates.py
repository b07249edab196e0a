"""What this machine can do: matrix products and memory, measured here and now."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from speed_own import Job
from speed_world import endless
from torch import Tensor, nn

SQUARE = {"cpu": 4096, "cuda": 8192}
ROWS = 2048
BUFFER_BYTES = 2**30
TIMES = 5


class Measured(NamedTuple):
    """Operations and bytes in a second, the best of several times.

    Attributes:
        square: products of two big square matrices.
        layers: the model's own products, with as many rows as a pass of an update has.
        rows: the same with one row for each completion, as a step of decoding has them.
        read: of a buffer far larger than any cache.
        copy: of such a buffer into another; bytes read and bytes written both count.
    """

    square: float
    layers: float
    rows: float
    read: float
    copy: float


def measured(job: Job) -> Measured:
    """Measure, with the model's weights in the numbers that the passes of a run are in."""
    torch.set_num_threads(job.threads or len(os.sched_getaffinity(0)))
    dtype = torch.float32 if job.precision == "fp32" else torch.bfloat16
    model = endless(job.model, "fp32", job.device).model.to(dtype)
    weights = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear)]
    read, copy = _memory(job.device)
    with torch.inference_mode():
        return Measured(
            square=_square(SQUARE[job.device], dtype, job.device),
            layers=_products(weights, ROWS),
            rows=_products(weights, job.shape.completions),
            read=read,
            copy=copy,
        )


def _square(side: int, dtype: torch.dtype, device: str) -> float:
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / _best(lambda: one @ other, device)


def _products(weights: Sequence[Tensor], rows: int) -> float:
    """Return operations a second of all of a model's layers, one after the other."""
    device, dtype = weights[0].device.type, weights[0].dtype
    inputs = {
        width: torch.randn(rows, width, device=device).to(dtype)
        for width in {weight.shape[1] for weight in weights}
    }

    def multiply() -> None:
        for weight in weights:
            nn.functional.linear(inputs[weight.shape[1]], weight)

    return 2 * rows * sum(weight.numel() for weight in weights) / _best(multiply, device)


def _memory(device: str) -> tuple[float, float]:
    """Return bytes a second of reading, the best of three ways, and of copying."""
    buffer = torch.ones(BUFFER_BYTES // 4, device=device)
    target, matrix = torch.empty_like(buffer), buffer.view(2**14, -1)
    vector = torch.ones(matrix.shape[1], device=device)
    reads = (buffer.sum, buffer.max, lambda: matrix @ vector)
    read = max(BUFFER_BYTES / _best(one, device) for one in reads)
    return read, 2 * BUFFER_BYTES / _best(lambda: target.copy_(buffer), device)


def _best(work: Callable[[], object], device: str) -> float:
    """Return the least seconds that some work takes, once it has been done before."""
    work()
    seconds = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
