"""fp32 master weights of a model in bf16: what an optimiser moves, and what gradients add up in.

bf16 has 8 significant bits: a step below ``2**-9`` of a weight is rounded away, and steps of
reinforcement learning are mostly smaller. So the optimiser moves a copy in fp32, and the model has
it rounded to the nearest (mixed precision training, https://arxiv.org/abs/1710.03740, section 3.1).
Gradients are made in bf16, one micro-batch at a time, and added up in fp32 as each of them is
finished; no weight ever holds a bf16 gradient for longer than that.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, MutableMapping

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakIdKeyDictionary

_taking: MutableMapping[nn.Parameter, RemovableHandle] = WeakIdKeyDictionary()
"""Who takes a weight's gradient: the last master that was made of it."""


class Master(nn.Parameter):
    """An fp32 weight in the place of one of fewer bits.

    Attributes:
        rounded: the model's own parameter.

    Example:
        >>> weight = nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
        >>> (master,) = masters([weight])
        >>> weight.sum().backward()
        >>> weight.grad, master.grad
        (None, tensor([1., 1.]))
    """

    rounded: nn.Parameter

    @classmethod
    def of(cls, weight: nn.Parameter) -> Master:
        """Return a weight's master, which has its gradient from now on, in the place of others."""
        master = cls(weight.detach().float())
        master.rounded = weight

        kept = weakref.ref(master)  # a strong one would keep model and master alive for ever

        def take(ready: torch.Tensor) -> None:
            own = kept()
            if own is None or ready.grad is None:
                return
            if own.grad is None:
                own.grad = ready.grad.float()
            else:
                own.grad += ready.grad
            ready.grad = None

        if (earlier := _taking.pop(weight, None)) is not None:
            earlier.remove()
        _taking[weight] = weight.register_post_accumulate_grad_hook(take)  # type: ignore[no-untyped-call]
        return master


def masters(weights: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Return what an optimiser is to move: masters of the weights below fp32, the others as are."""
    return [Master.of(weight) if weight.dtype.itemsize < 4 else weight for weight in weights]


def rounded(weight: nn.Parameter) -> nn.Parameter:
    """Return the model's own parameter behind one that an optimiser moves."""
    return weight.rounded if isinstance(weight, Master) else weight


@torch.no_grad()
def publish(weights: Iterable[nn.Parameter]) -> None:
    """Round masters into the model, after they were moved; other weights are there already.

    Example:
        >>> weight = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
        >>> (master,) = masters([weight])
        >>> for _ in range(4):  # 1 + 2**-9 is 1 in bf16, and 1 + 2**-7 is the next number
        ...     with torch.no_grad():
        ...         master += 2**-9
        ...     publish([master])
        ...     print(weight.item())
        1.0
        1.0
        1.0078125
        1.0078125
    """
    for weight in weights:
        if isinstance(weight, Master):
            weight.rounded.copy_(weight)


def master_bytes(weights: Iterable[nn.Parameter]) -> int:
    """Return the bytes of the masters among some weights."""
    return sum(weight.nbytes for weight in weights if isinstance(weight, Master))
