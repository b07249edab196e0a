"""The gradient of an algorithm's loss on a recorded batch, and inner products of such gradients.

One batch is one optimiser step here: no minibatches, so the policy is the one that sampled, and
what an algorithm does off-policy (ratios, clips) does not show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from bakeoff.algorithms.stages import corrected, credited, kept_rows, weighted
from bakeoff.streams import stream_seed
from bakeoff.training.batch import micro_batches
from bakeoff.types import Algorithm, Batch

Forward = Callable[[Batch], Tensor]

SKETCH_SIZE = 2**21
"""Numbers that are kept of a gradient; one with no more parameters is kept as it is."""

CHUNK = 2**16


def prepared(algorithm: Algorithm, batch: Batch) -> Batch | None:
    """Return what an algorithm learns from in a batch, with credit and weights; None if nothing.

    The order is that of the training loop: filter, mismatch, credit, weights. Nothing is sampled,
    so dynamic sampling does not refill what it drops.

    Args:
        algorithm: whose credit and weights.
        batch: with ``logp_ref_BT``, the training model's own log-probabilities at recording, and
            whatever else the algorithm asks for.
    """
    rows_B = kept_rows(algorithm, batch)
    if not len(rows_B):
        return None
    batch = batch.rows(rows_B)
    assert batch.logp_ref_BT is not None
    batch = corrected(algorithm, batch, batch.logp_ref_BT)
    return weighted(algorithm, credited(algorithm, batch))


def backward(
    algorithm: Algorithm,
    step: Batch | None,
    forward: Forward,
    parameters: Sequence[nn.Parameter],
    *,
    micro_batch: int,
) -> None:
    """Leave the gradient of the policy loss of one optimiser step in the parameters.

    A critic's loss is not in it, even where critic and policy share their weights.

    Args:
        algorithm: whose loss.
        step: as ``prepared`` returns it; None for a gradient of zero.
        forward: ``batch -> logp_BT``, with gradient.
        parameters: those of the policy; what gradients they have is dropped.
        micro_batch: completions in one backward pass.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    if step is None:
        return
    for micro in micro_batches(step, micro_batch):
        loss, _ = algorithm.policy_loss(micro, forward(micro))
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()}")
        loss.backward()  # type: ignore[no-untyped-call]


def norm(parameters: Iterable[nn.Parameter]) -> float:
    """Return the norm of the gradient that the parameters hold."""
    squares = [float(p.grad.double().square().sum()) for p in parameters if p.grad is not None]
    return math.sqrt(sum(squares))


def sketch(parameters: Sequence[nn.Parameter], *, size: int = SKETCH_SIZE, seed: int = 0) -> Tensor:
    """Return the gradient that the parameters hold in at most ``size`` numbers, on the CPU.

    A larger one is hashed: each coordinate is added, with a random sign, to one of ``size`` sums (a
    count sketch, https://doi.org/10.1016/S0304-3975(03)00400-6). Inner products of sketches with
    the same seed are unbiased, with a standard deviation of at most
    ``sqrt(2 / size) |a| |b|``: a thousandth of the product of the norms. So the gradients of many
    algorithms on many replicates fit in memory.

    Args:
        parameters: all of one model, in one order.
        size: numbers to keep.
        seed: of the hash.
    """
    gradients = [p.grad.detach().flatten() for p in parameters if p.grad is not None]
    if sum(len(g) for g in gradients) <= size:
        return torch.cat(gradients).float().cpu()
    found_K = torch.zeros(size, dtype=torch.float32)
    for index, gradient in enumerate(gradients):
        generator = torch.Generator().manual_seed(stream_seed("sketch", seed, index))
        for part in torch.split(gradient.cpu().float(), 2**22):
            draw = torch.randint(2 * size, (len(part),), generator=generator)
            found_K.index_add_(0, draw >> 1, torch.where((draw & 1) == 1, part, -part))
    return found_K


class Gram:
    """The inner products of all gradients of some algorithms on some replicates."""

    def __init__(self, gradients: dict[str, list[Tensor]]) -> None:
        """Take the gradients of each algorithm, one ``gradient_K`` for each replicate."""
        self.names = list(gradients)
        self.replicates = len(next(iter(gradients.values())))
        every = [one for own in gradients.values() for one in own]
        self._gram_NN = torch.zeros(len(every), len(every), dtype=torch.float64)
        for start in range(0, len(every[0]), CHUNK):  # in float64, without a copy of them all
            part_NC = torch.stack([one[start : start + CHUNK] for one in every]).double()
            self._gram_NN += part_NC @ part_NC.T

    def block(self, a: str, b: str) -> Tensor:
        """Return ``gram_RR``: row r, column s is the product of ``a`` on r and ``b`` on s."""
        n = self.replicates
        rows, columns = self.names.index(a) * n, self.names.index(b) * n
        return self._gram_NN[rows : rows + n, columns : columns + n]
