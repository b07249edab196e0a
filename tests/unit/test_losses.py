"""Losses: every quadrant by hand, identities between algorithms, and what may not change them."""

import math

import pytest
import torch
from math_batch import credited, example_batch

from bakeoff.algorithms import ALGORITHMS, make
from bakeoff.algorithms.aggregation import sequence_mean, sequence_sum, token_mean
from bakeoff.algorithms.grpo import grpo
from bakeoff.algorithms.losses import clipped_surrogate, clipped_value_loss, k3, log_ratio
from bakeoff.algorithms.ppo import ppo

BATCH = example_batch()


@pytest.mark.parametrize(
    ("ratio", "adv", "expected"),
    [
        (math.e, 1.0, -1.2),  # a gain above the clip is capped at 1 + clip
        (1 / math.e, 1.0, -1 / math.e),  # a loss of probability never is: -min(.37, .8)
        (math.e, -1.0, math.e),  # nor a harmful move: -min(-2.72, -1.2)
        (1 / math.e, -1.0, 0.8),  # a gain below the clip is: -min(-.37, -.8)
    ],
)
def test_clipped_surrogate_in_all_four_quadrants(ratio: float, adv: float, expected: float) -> None:
    value = clipped_surrogate(torch.tensor(ratio), torch.tensor(adv), 0.2)

    assert value.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        (token_mean, (3 + 5) / 4),
        (sequence_mean, (1 + 5) / 2),
        (sequence_sum, (3 + 5) / 2),
    ],
)
def test_aggregations_weigh_length_differently(aggregate, expected: float) -> None:  # type: ignore[no-untyped-def]
    x_BT = torch.tensor([[1.0, 1.0, 1.0], [5.0, 7.0, 7.0]])
    mask_BT = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])

    assert (aggregate(mask_BT) * x_BT).sum().item() == pytest.approx(expected)


@pytest.mark.parametrize("aggregate", [token_mean, sequence_mean, sequence_sum])
def test_an_empty_completion_weighs_nothing_and_is_in_no_denominator(aggregate) -> None:  # type: ignore[no-untyped-def]
    full_BT = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    with_empty_BT = torch.cat([full_BT, torch.zeros(1, 2)])

    weight_BT = aggregate(with_empty_BT)

    torch.testing.assert_close(weight_BT[:2], aggregate(full_BT))
    assert weight_BT[2].tolist() == [0, 0]


def test_value_loss_takes_the_worse_of_plain_and_clipped() -> None:
    # V_old 0, R 1, V .5, clip .2: plain (.5 - 1)^2 = .25, clipped (.2 - 1)^2 = .64; half the worse
    batch = BATCH.rows(torch.tensor([2]))._replace(
        value_BT=torch.zeros(1, 3), return_BT=torch.ones(1, 3), weight_BT=torch.ones(1, 3)
    )

    loss, sums = clipped_value_loss(0.2)(batch, torch.full((1, 3), 0.5))

    assert loss.item() == pytest.approx(0.32)
    assert sums == {"clip_frac/value": 1.0}


def test_k3_is_zero_at_agreement_and_close_to_half_the_square_nearby() -> None:
    # exp(x) - 1 - x = x^2 / 2 + x^3 / 6 + ...
    assert k3(torch.tensor(0.0)).item() == 0
    assert k3(torch.tensor(0.01)).item() == pytest.approx(0.5e-4 + 1e-6 / 6, rel=1e-3)


def test_kl_to_the_reference_is_added_to_the_loss() -> None:
    # every policy probability .5, reference .4: k3 = .4/.5 - 1 - log(.4/.5), the same everywhere
    algorithm = grpo(kl_coef=0.5)
    batch = credited(algorithm, BATCH)
    expected = 0.5 * (0.8 - 1 - math.log(0.8))

    with_kl, sums = algorithm.policy_loss(batch, batch.logp_old_BT)
    without, _ = grpo().policy_loss(batch, batch.logp_old_BT)

    assert (with_kl - without).item() == pytest.approx(expected, rel=1e-5)
    assert sums["kl_ref"] == pytest.approx(9 * expected / 0.5, rel=1e-5)  # 9 counted tokens


@pytest.mark.parametrize("name", ["grpo:aggregate=token_mean", "ppo"])
def test_at_ratio_one_every_surrogate_has_the_policy_gradient(name: str) -> None:
    algorithm = make(name)
    batch = credited(algorithm, BATCH)
    gradients = []
    for loss_fn in (algorithm.policy_loss, make("reinforce").policy_loss):
        logp_BT = batch.logp_old_BT.clone().requires_grad_()
        gradients.append(torch.autograd.grad(loss_fn(batch, logp_BT)[0], logp_BT)[0])

    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_step_raises_the_probability_of_the_better_completion(name: str) -> None:
    algorithm = make(name)
    batch = credited(algorithm, BATCH._replace(value_BT=torch.zeros(4, 3)))
    logp_BT = batch.logp_old_BT.clone().requires_grad_()

    (grad_BT,) = torch.autograd.grad(algorithm.policy_loss(batch, logp_BT)[0], logp_BT)

    assert grad_BT[0, 0] < 0 < grad_BT[1, 0]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_padding_gets_no_credit_and_cannot_leak(name: str) -> None:
    algorithm = make(name)
    pad_BT = BATCH.mask_BT == 0
    clean = credited(algorithm, BATCH)
    dirty = credited(
        algorithm,
        BATCH._replace(
            value_BT=BATCH.value_BT.masked_fill(pad_BT, 1e6),
            logp_old_BT=BATCH.logp_old_BT.masked_fill(pad_BT, -math.inf),
        ),
    )
    logp_BT = BATCH.logp_old_BT + 0.1

    loss, sums = algorithm.policy_loss(clean, logp_BT)
    dirty_loss, dirty_sums = algorithm.policy_loss(dirty, logp_BT.masked_fill(pad_BT, math.inf))

    assert (dirty.adv_BT[pad_BT] == 0).all()
    torch.testing.assert_close(loss, dirty_loss)
    assert sums == dirty_sums
    if algorithm.value_loss is not None:
        value_BT = torch.full((4, 3), 0.5)
        torch.testing.assert_close(
            algorithm.value_loss(clean, value_BT)[0],
            algorithm.value_loss(dirty, value_BT.masked_fill(pad_BT, math.inf))[0],
        )


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("log_ratio_value", [120.0, -120.0])
def test_no_finite_log_ratio_gives_an_infinite_loss_or_gradient(
    name: str, log_ratio_value: float
) -> None:
    algorithm = make(name)
    batch = credited(algorithm, BATCH)
    logp_BT = (batch.logp_old_BT + log_ratio_value).requires_grad_()

    loss, sums = algorithm.policy_loss(batch, logp_BT)
    (grad_BT,) = torch.autograd.grad(loss, logp_BT)

    assert torch.isfinite(loss)
    assert torch.isfinite(grad_BT).all()
    assert all(math.isfinite(value) for value in sums.values())


def test_the_log_ratio_is_bounded_at_twenty() -> None:
    bounded_BT = log_ratio(torch.tensor([[50.0]]), torch.tensor([[0.0]]), torch.ones(1, 1))

    assert bounded_BT.item() == 20


@pytest.mark.parametrize("name", ALGORITHMS)
def test_losses_of_pieces_add_up_to_the_loss_of_the_whole(name: str) -> None:
    """The weights stand in the batch, so how it is split into micro-batches changes nothing."""
    algorithm = make(name)
    batch = credited(algorithm, BATCH)
    logp_BT = batch.logp_old_BT + torch.linspace(-0.5, 0.5, 12).reshape(4, 3)
    whole, whole_sums = algorithm.policy_loss(batch, logp_BT)
    pieces = [torch.tensor([3, 0]), torch.tensor([1]), torch.tensor([2])]

    parts = [algorithm.policy_loss(batch.rows(rows), logp_BT[rows]) for rows in pieces]

    torch.testing.assert_close(sum(loss for loss, _ in parts), whole)
    for key, value in whole_sums.items():
        assert sum(sums[key] for _, sums in parts) == pytest.approx(value, rel=1e-5)


def test_clip_fraction_counts_tokens_beyond_the_clip() -> None:
    # log-ratios .1 (inside) on row 0 and 1.0 (outside) on the other 6 counted tokens
    algorithm = ppo()
    batch = credited(algorithm, BATCH)
    shift_B1 = torch.tensor([[0.1], [1.0], [1.0], [1.0]])

    _, sums = algorithm.policy_loss(batch, batch.logp_old_BT + shift_B1 * batch.mask_BT)

    assert sums["clip_frac"] == 6
