"""Floating-point operations as they are carried out, counted from the shapes of every operation.

The formulas are those of ``torch.utils.flop_counter``, and those that it lacks: products in place
and by oneDNN, and the flash kernel of the CPU, which torch counts as nothing (pytorch issue
195460). Attention that is causal counts the pairs that attend; torch's own formulas, for other
kernels, count all.
Its ``FlopCounterMode`` is not used itself: it hooks modules, and would keep tensors alive that the
accountant beside it is to see go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

Formula = Callable[..., int]


class FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts while it is entered; padding, and what is computed twice, counts as often.

    Attributes:
        flops: so far.

    Example:
        >>> with FlopCounter() as counter:
        ...     product = torch.ones(2, 3) @ torch.ones(3, 5)
        >>> counter.flops  # a product and a sum for each of 2 x 3 x 5
        60
    """

    def __init__(self) -> None:
        """Count from 0."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0
        self._formulas: Mapping[Any, Formula] = {**flop_registry, **_missing_formulas()}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and count it."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        formula = self._formulas.get(getattr(func, "_overloadpacket", None))
        if formula is not None:
            self.flops += int(formula(*args, **kwargs, out_val=result))
        return result


def _missing_formulas() -> dict[Any, Formula]:
    aten = torch.ops.aten
    found: dict[Any, Formula] = {
        aten.addmm_: flop_registry[aten.addmm],
        aten.baddbmm_: flop_registry[aten.baddbmm],
        aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    }
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        found[torch.ops.mkldnn._linear_pointwise] = _linear
    return found


def _linear(x: Any, weight: Any, *rest: Any, **options: Any) -> int:
    return 2 * int(x.numel()) * int(weight.shape[0])


def _attention(
    query: Any,
    key: Any,
    value: Any,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **options: Any,
) -> int:
    return 2 * _pairs(query, key, is_causal) * int(query.shape[-1] + value.shape[-1])


def _attention_backward(
    grad: Any,
    query: Any,
    key: Any,
    value: Any,
    out: Any,
    normaliser: Any,
    dropout_p: float,
    is_causal: bool,
    **options: Any,
) -> int:
    # five products: the scores once more, and the gradients of values, weights, queries and keys
    widths = 3 * int(query.shape[-1]) + 2 * int(value.shape[-1])
    return 2 * _pairs(query, key, is_causal) * widths


def _pairs(query: Any, key: Any, is_causal: bool) -> int:
    """Return how many pairs of a query and a key attend, in all places and heads."""
    queries, keys = query.shape[-2], key.shape[-2]
    seen = sum(min(1 + at, keys) for at in range(queries)) if is_causal else queries * keys
    return int(prod(query.shape[:-2])) * int(seen)
