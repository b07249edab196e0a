"""What may change no algorithm: padding, the order of rows, and the split into micro-batches."""

from __future__ import annotations

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from math_batch import (
    PRESETS,
    moved,
    policy_gradient,
    random_batch,
    step_of,
    value_gradient,
)

from bakeoff.algorithms import make
from bakeoff.algorithms.stages import kept_rows
from bakeoff.types import Batch

few = settings(max_examples=5, derandomize=True, deadline=None)
seeds = st.integers(0, 2**31)
near = functools.partial(torch.testing.assert_close, rtol=1e-9, atol=1e-12)


def padded(batch: Batch, width: int, fill: float) -> Batch:
    """The batch with further columns of padding: garbage where nothing counts."""
    names = ["mask_BT", "token_BT", "logp_old_BT", "value_BT", "logp_ref_BT"]
    wide = {}
    for name in names:
        value_BT = getattr(batch, name)
        more_BT = torch.full((len(value_BT), width), 0 if name == "mask_BT" else fill)
        wide[name] = torch.cat([value_BT, more_BT.to(value_BT.dtype)], 1)
    return batch._replace(**wide)


@pytest.mark.parametrize("name", PRESETS)
@few
@given(seeds)
def test_padding_changes_no_advantage_and_no_gradient(name: str, seed: int) -> None:
    algorithm, batch = make(name), random_batch(seed)
    wide = padded(batch, 2, fill=7.0)

    near(algorithm.advantages(wide).adv_BT[:, :5], algorithm.advantages(batch).adv_BT)
    loss, grad_BT = policy_gradient(algorithm, batch, moved(batch))
    wide_logp_BT = torch.cat([moved(batch), torch.full((6, 2), 3.0).double()], 1)
    wide_loss, wide_grad_BT = policy_gradient(algorithm, wide, wide_logp_BT)

    near(wide_loss, loss)
    near(wide_grad_BT, torch.nn.functional.pad(grad_BT, (0, 2)))


@pytest.mark.parametrize("name", PRESETS)
@few
@given(seeds, st.permutations(range(6)))
def test_the_order_of_rows_changes_no_advantage_and_no_gradient(
    name: str, seed: int, order: list[int]
) -> None:
    algorithm, batch, order_B = make(name), random_batch(seed), torch.tensor(order)

    near(
        algorithm.advantages(batch.rows(order_B)).adv_BT,
        algorithm.advantages(batch).adv_BT[order_B],
    )
    loss, grad_BT = policy_gradient(algorithm, batch, moved(batch))
    shuffled_loss, shuffled_BT = policy_gradient(
        algorithm, batch.rows(order_B), moved(batch)[order_B]
    )

    near(shuffled_loss, loss)
    near(shuffled_BT, grad_BT[order_B])


@pytest.mark.parametrize("name", PRESETS)
@few
@given(seeds, st.integers(1, 5))
def test_gradients_of_micro_batches_add_up_to_that_of_the_step(
    name: str, seed: int, size: int
) -> None:
    algorithm, batch = make(name), random_batch(seed)
    rows_B = kept_rows(algorithm, batch)
    step, logp_BT = step_of(algorithm, batch.rows(rows_B)), moved(batch)[rows_B]
    leaf_BT = logp_BT.clone().requires_grad_()

    total = torch.zeros((), dtype=torch.float64)
    for piece_B in torch.arange(len(rows_B)).split(size):
        loss, _ = algorithm.policy_loss(step.rows(piece_B), leaf_BT[piece_B])
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.detach()

    whole, grad_BT = policy_gradient(algorithm, batch, moved(batch))
    near(total, whole)
    near(leaf_BT.grad, grad_BT[rows_B])


@pytest.mark.parametrize("name", [name for name in PRESETS if make(name).critic is not None])
@few
@given(seeds, st.permutations(range(6)))
def test_padding_and_row_order_change_no_gradient_of_the_critic(
    name: str, seed: int, order: list[int]
) -> None:
    algorithm, batch, order_B = make(name), random_batch(seed), torch.tensor(order)
    new_BT = torch.linspace(-1, 1, 30).double().reshape(6, 5)
    wide = padded(batch.rows(order_B), 2, fill=7.0)

    loss, grad_BT = value_gradient(algorithm, batch, new_BT)
    wide_new_BT = torch.nn.functional.pad(new_BT[order_B], (0, 2), value=3.0)
    wide_loss, wide_grad_BT = value_gradient(algorithm, wide, wide_new_BT)

    near(wide_loss, loss)
    near(wide_grad_BT, torch.nn.functional.pad(grad_BT[order_B], (0, 2)))
