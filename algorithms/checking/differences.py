"""What two outcomes of an update differ in, in words; nothing, an empty text, if they agree."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bakeoff.algorithms.checking.trials import Outcome
from bakeoff.types import Batch


def shape_of(field: Tensor) -> str:
    """Return a tensor's shape and type, for a message."""
    return f"{list(field.shape)} of {str(field.dtype).removeprefix('torch.')}"


def not_finite(found: Outcome) -> str:
    """Return which number of an outcome is not finite."""
    names = {"grad_BT": "the gradient", "value_grad_BT": "the critic's gradient"}
    for name, field in found.numbers.items():
        if not torch.isfinite(field).all():
            return f"{names.get(name, name)} is not finite"
    return ""


def changed_field(before: Batch, after: Batch) -> str:
    """Return the first field that is not what it was."""
    for name, one, two in zip(before._fields, before, after, strict=True):
        if one is None or two is None:
            continue
        if not torch.allclose(one, two, rtol=0, atol=0, equal_nan=True):
            return name
    return ""


def close(one: Tensor, two: Tensor) -> bool:
    """Return whether two tensors agree but for rounding."""
    return one.shape == two.shape and torch.allclose(one, two, rtol=1e-4, atol=1e-6)


def difference(
    one: Outcome | None,
    two: Outcome | None,
    *,
    exact: bool = False,
    credit: bool = True,
    metrics: bool = True,
) -> str:
    """Return the first part of two outcomes that differs.

    Args:
        one, two: the outcomes; ``None`` of an update in which nothing was kept.
        exact: whether rounding counts.
        credit: whether credit and weights are compared, row by row.
        metrics: whether the metrics are.
    """
    if one is None or two is None:
        return "" if one is two else "keep drops every completion"
    same = torch.equal if exact else close
    parts = {"the loss": (one.loss, two.loss)}
    if credit:
        parts |= {"adv_BT": (one.adv_BT, two.adv_BT), "weight_BT": (one.weight_BT, two.weight_BT)}
    if credit and one.return_BT is not None and two.return_BT is not None:
        parts["return_BT"] = (one.return_BT, two.return_BT)
    parts["the gradient"] = (one.grad_BT, two.grad_BT)
    parts["the critic's gradient"] = (one.value_grad_BT, two.value_grad_BT)
    for name, (first, second) in parts.items():
        if not same(first, second):
            return f"{name} is another"
    if not metrics:
        return ""
    for name in one.sums:
        if not math.isclose(
            one.sums[name], two.sums.get(name, math.nan), rel_tol=1e-3, abs_tol=1e-4
        ):
            return f"the metric '{name}' is another"
    return ""
