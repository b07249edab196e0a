"""Bytes of one of several devices: what is there whole, and what each has a share of.

Data parallel (``sharding`` none): each rank has all weights, gradients and averages, samples its
share of the prompts, and makes its share of the backward passes. Fully sharded (``sharding`` full,
torch's FSDP2, https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html): each rank
has a share of every weight in fp32, of its gradient and of its averages, cut along the first
dimension and padded to the largest, as FSDP2 stores them. A pass has whole, in the numbers that it
computes in:

    from its beginning to its end    the embeddings, the last norm and the output layer
    for a moment                     the layer that computes, and the one that is fetched meanwhile
    backward                         gradients of a layer, and of another the fp32 buffer in which
                                     they are added up over ranks; those of embeddings and output
                                     layer until the end, and then their fp32 buffer

The built-in sampler needs all weights of the policy in one place while it samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bakeoff.training.devices.world import BUCKET
from bakeoff.training.memory.sizes import ModelSizes, Weight


@dataclass(frozen=True)
class Spread:
    """Over how many devices a run is spread, and how.

    Attributes:
        ranks: processes, each with a device.
        sharding: ``none`` or ``full``.
    """

    ranks: int = 1
    sharding: str = "none"

    @property
    def sharded(self) -> bool:
        """Whether each rank has a share of the weights only."""
        return self.sharding == "full" and self.ranks > 1

    def share(self, count: int) -> int:
        """Return how many of ``count`` things the rank with the most of them has."""
        return math.ceil(count / self.ranks)

    def held(self, weights: Sequence[Weight]) -> list[Weight]:
        """Return what a rank stores of some weights; they are fp32 where they are sharded.

        Example:
            >>> Spread(2, "full").held([Weight(15, 2, rows=5), Weight(1)])
            [Weight(numbers=9, itemsize=4, rows=3), Weight(numbers=1, itemsize=4, rows=1)]
        """
        if not self.sharded:
            return list(weights)
        return [weight.share(self.ranks) for weight in weights]


class Moments(NamedTuple):
    """Bytes in the moments of a backward pass, one after the other.

    Attributes:
        logits: they are made.
        chosen: their gradient is.
        last: it is the last layer's turn.
        first: it is the first layer's.
        end: the embeddings' gradient is made, and all others are there.
        added: gradients of replicas are added up.
    """

    logits: int = 0
    chosen: int = 0
    last: int = 0
    first: int = 0
    end: int = 0
    added: int = 0


def own_gradients(
    sizes: ModelSizes, total: int, carried: int, *, head: bool, whole: bool
) -> Moments:
    """Return the gradients that stay: of all weights, or of a rank's share of them.

    Args:
        sizes: of the model.
        total: bytes of all gradients.
        carried: those that earlier pieces have left.
        head: whether there is an output layer with a gradient.
        whole: whether all of the embeddings train here.
    """
    embedding = 4 * sizes.embedding if whole else 0
    own = embedding if head else 0
    tied = own if sizes.tied else 0
    first = max(carried, total - embedding) + tied
    return Moments(carried, carried + own, carried + own, first, total + 2 * tied, total)


def gathered_gradients(sizes: ModelSizes, item: int, *, head: bool) -> Moments:
    """Return the gradients that are whole for a moment, and the buffers in which they add up.

    Args:
        sizes: of a model of which each rank has a share.
        item: the bytes of a number in a pass.
        head: whether there is an output layer with a gradient.
    """
    own = item * sizes.embedding if head else 0
    layer = (item + 4) * _numbers(sizes.layer())
    root = 4 * root_numbers(sizes, head=head)
    end = own + item * sizes.embedding + root
    return Moments(chosen=own, last=own + layer, first=own + layer, end=end)


def added_up(weights: Sequence[Weight], ranks: int) -> Moments:
    """Return the buffer in which replicas add up the gradients of what trains."""
    if ranks == 1:
        return Moments()
    largest = max(weight.numbers for weight in weights)
    return Moments(added=4 * max(min(BUCKET, _numbers(weights)), largest))


def gathered(sizes: ModelSizes, item: int, *, head: bool) -> int:
    """Return the bytes of the weights that are whole during a pass.

    Args:
        sizes: of the model.
        item: the bytes of a number in a pass.
        head: whether it has an output layer.

    Example:
        >>> sizes = ModelSizes(layers=9, hidden=2, inner=4, query=2, key=2, heads=1, vocabulary=10)
        >>> gathered(sizes, 2, head=True)  # 2 * (20 + 2 + 2 * (4 * 4 + 3 * 8 + 2 * 2))
        220
    """
    return item * (root_numbers(sizes, head=head) + 2 * _numbers(sizes.layer()))


def root_numbers(sizes: ModelSizes, *, head: bool) -> int:
    """Return the numbers in embeddings, last norm and output layer."""
    own = sizes.embedding if head and not sizes.tied else 0
    return sizes.embedding + sizes.hidden + own


def _numbers(weights: Sequence[Weight]) -> int:
    return sum(weight.numbers for weight in weights)
