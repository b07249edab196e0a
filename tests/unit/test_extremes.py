"""What no finite input may do to any algorithm: give a loss or a gradient that is not finite."""

from __future__ import annotations

import math

import pytest
import torch
from math_batch import (
    PRESETS,
    example_batch,
    policy_gradient,
    step_of,
    value_gradient,
)
from torch import Tensor

from bakeoff.algorithms import advantages as adv
from bakeoff.algorithms import make
from bakeoff.algorithms import mismatch as mismatches
from bakeoff.algorithms.filters import spread
from bakeoff.algorithms.ratios import geometric_ratio, log_ratio, sequence_ratio, token_ratio
from bakeoff.algorithms.stages import kept_rows
from bakeoff.types import Batch

BATCH = example_batch()
PAD_BT = BATCH.mask_BT == 0
CRITICS = [name for name in PRESETS if make(name).critic is not None]


def not_finite(name: str, batch: Batch, log_ratio_value: float = 0.1) -> str:
    """What is not finite of losses, gradients, advantages and metrics, at one log-ratio."""
    algorithm = make(name)
    logp_BT = batch.logp_old_BT + log_ratio_value
    loss, grad_BT = policy_gradient(algorithm, batch, logp_BT)
    rows_B = kept_rows(algorithm, batch)
    learned = step_of(algorithm, batch.rows(rows_B))
    assert learned.adv_BT is not None
    _, sums = algorithm.policy_loss(learned, logp_BT[rows_B])
    found = {"loss": loss, "gradient": grad_BT, "advantage": learned.adv_BT}
    found |= {key: torch.tensor(value) for key, value in sums.items()}
    if algorithm.critic is not None:
        new_BT = torch.zeros(grad_BT.shape)
        found["value loss"], found["gradient of it"] = value_gradient(algorithm, batch, new_BT)
    return ", ".join(key for key, value in found.items() if not torch.isfinite(value).all())


@pytest.mark.parametrize("name", PRESETS)
def test_no_finite_log_ratio_gives_an_infinite_loss_or_gradient(name: str) -> None:
    found = {value: not_finite(name, BATCH, value) for value in (120.0, -120.0, 1e4, -1e4)}

    assert found == dict.fromkeys(found, "")


@pytest.mark.parametrize("name", PRESETS)
def test_no_finite_distance_to_the_reference_gives_an_infinite_loss(name: str) -> None:
    far = {
        distance: (BATCH.logp_old_BT + distance).masked_fill(PAD_BT, 0.0)
        for distance in (120.0, -120.0, 1e4, -1e4)
    }

    found = {
        distance: not_finite(name, BATCH._replace(logp_ref_BT=far_BT))
        for distance, far_BT in far.items()
    }

    assert found == dict.fromkeys(far, "")


MASKED_ROW = BATCH._replace(mask_BT=BATCH.mask_BT * torch.tensor([1.0, 1.0, 0.0, 1.0])[:, None])
BATCHES = {
    "a row without a token": MASKED_ROW,
    "no token at all": BATCH._replace(mask_BT=torch.zeros(4, 3)),
    "groups of one": BATCH._replace(group_B=torch.arange(4)),
    "a batch of one": BATCH.rows(torch.tensor([0])),
    "a batch of one token": BATCH.rows(torch.tensor([2])),
    "nearly equal rewards": BATCH._replace(reward_B=torch.tensor([0.5, 0.5, 0.5, 0.50001])),
    "equal rewards": BATCH._replace(reward_B=torch.full((4,), 0.35)),
    "no reward": BATCH._replace(reward_B=torch.zeros(4)),
    "negative rewards": BATCH._replace(reward_B=torch.tensor([-1.0, 0.0, -1.0, 1.0])),
    "tiny rewards": BATCH._replace(reward_B=torch.tensor([1e-30, 0.0, 1e-38, 0.0])),
    "huge rewards": BATCH._replace(reward_B=torch.tensor([1e6, 0.0, -1e6, 1e6])),
    "every completion was cut": BATCH._replace(truncated_B=torch.ones(4)),
    "a limit of one token": BATCH._replace(limit_B=torch.ones(4)),
}


@pytest.mark.parametrize("name", PRESETS)
def test_no_odd_batch_gives_an_infinite_loss_or_gradient(name: str) -> None:
    found = {case: not_finite(name, batch) for case, batch in BATCHES.items()}

    assert found == dict.fromkeys(BATCHES, "")


@pytest.mark.parametrize("name", PRESETS)
def test_a_row_without_a_token_moves_no_gradient_of_its_own(name: str) -> None:
    _, grad_BT = policy_gradient(make(name), MASKED_ROW, BATCH.logp_old_BT + 0.1)

    assert grad_BT[2].tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", PRESETS)
def test_nothing_in_the_padding_leaks(name: str) -> None:
    """Not even inf: ``0 * inf`` is nan, and the gradient of what was masked too late as well."""
    algorithm = make(name)
    dirty = BATCH._replace(
        value_BT=BATCH.value_BT.masked_fill(PAD_BT, math.inf),
        logp_old_BT=BATCH.logp_old_BT.masked_fill(PAD_BT, -math.inf),
        logp_ref_BT=BATCH.logp_ref_BT.masked_fill(PAD_BT, math.nan),
    )
    logp_BT = BATCH.logp_old_BT + 0.1

    clean_loss, clean_grad_BT = policy_gradient(algorithm, BATCH, logp_BT)
    loss, grad_BT = policy_gradient(algorithm, dirty, logp_BT.masked_fill(PAD_BT, math.inf))

    torch.testing.assert_close(loss, clean_loss)
    torch.testing.assert_close(grad_BT, clean_grad_BT)
    assert (algorithm.advantages(dirty).adv_BT[PAD_BT] == 0).all()


@pytest.mark.parametrize("name", CRITICS)
def test_nothing_in_the_padding_leaks_into_the_critic(name: str) -> None:
    dirty = BATCH._replace(value_BT=BATCH.value_BT.masked_fill(PAD_BT, math.inf))
    new_BT = torch.full((4, 3), 0.5)

    clean_loss, clean_grad_BT = value_gradient(make(name), BATCH, new_BT)
    loss, grad_BT = value_gradient(make(name), dirty, new_BT.masked_fill(PAD_BT, math.inf))

    torch.testing.assert_close(loss, clean_loss)
    torch.testing.assert_close(grad_BT, clean_grad_BT)


def test_gold_replies_need_no_old_log_probabilities() -> None:
    """Nobody sampled them; what is unknown is nan, and not 0."""
    unknown = BATCH._replace(
        logp_old_BT=torch.full((4, 3), math.nan), reward_B=torch.full((4,), math.nan)
    )

    loss, grad_BT = policy_gradient(make("sft"), unknown, torch.full((4, 3), -1.0))

    # nine tokens, -1 each: the mean of their negative log-probability is 1
    assert loss.item() == pytest.approx(1.0)
    torch.testing.assert_close(grad_BT, -BATCH.mask_BT / 9)


@pytest.mark.parametrize("bound", [50.0, -50.0])
def test_the_log_ratio_is_bounded_at_twenty_and_has_no_gradient_beyond(bound: float) -> None:
    logp_BT = torch.tensor([[bound]], requires_grad=True)

    bounded_BT = log_ratio(logp_BT, torch.zeros(1, 1), torch.ones(1, 1))
    (grad_BT,) = torch.autograd.grad(bounded_BT.sum(), logp_BT)

    assert bounded_BT.item() == math.copysign(20, bound)
    assert grad_BT.item() == 0


@pytest.mark.parametrize("level", [token_ratio, sequence_ratio, geometric_ratio])
def test_every_level_of_the_ratio_is_bounded_at_twenty(level) -> None:  # type: ignore[no-untyped-def]
    mask_BT = torch.ones(1, 600)

    assert level(torch.full((1, 600), 20.0), mask_BT).abs().max().item() == 20


@pytest.mark.parametrize(
    "correct",
    [
        mismatches.token_truncated,
        mismatches.sequence_truncated,
        mismatches.token_masked,
        mismatches.sequence_masked,
    ],
)
@pytest.mark.parametrize("value", [120.0, -120.0, 1e4])
def test_a_correction_is_between_zero_and_its_cap_whatever_the_mismatch(
    correct, value: float
) -> None:  # type: ignore[no-untyped-def]
    correction_BT = correct(torch.full((4, 3), value) * BATCH.mask_BT, BATCH.mask_BT, 2.0)

    assert (correction_BT >= 0).all() and (correction_BT <= 2).all()


@pytest.mark.parametrize("reward", [0.1, 0.35, 1 / 3, 1e-3, 1e6 + 0.1])
@pytest.mark.parametrize("size", [3, 7, 48])
def test_equal_rewards_have_a_deviation_of_exactly_zero(reward: float, size: int) -> None:
    """In float32 the mean of seven times .35 is not .35, and a division would blow it up."""
    reward_B, group_B = torch.full((size,), reward), torch.zeros(size, dtype=torch.long)

    assert adv.group_std(reward_B, group_B).abs().max() == 0
    assert adv.group_normalised(reward_B, group_B).abs().max() == 0


def test_the_filter_sees_no_spread_in_equal_rewards() -> None:
    batch = BATCH._replace(reward_B=torch.tensor([0.35, 0.35, 0.35, 0.95]))

    assert spread(batch).tolist() == [False, False, True, True]


def statistics() -> list[Tensor]:
    reward_B, group_B = BATCH.reward_B, BATCH.group_B
    length_B = BATCH.mask_BT.sum(1)
    return [
        adv.group_size(group_B),
        adv.group_mean(reward_B, group_B),
        adv.group_std(reward_B, group_B),
        adv.group_normalised(reward_B, group_B),
        adv.mean_normalised(reward_B, group_B),
        adv.no_baseline(reward_B, group_B),
        adv.batch_mean(reward_B, group_B),
        adv.leave_one_out(reward_B, group_B),
        adv.length_weighted_mean(reward_B, group_B, length_B),
    ]


def test_statistics_of_rewards_are_in_float64() -> None:
    assert {statistic.dtype for statistic in statistics()} == {torch.float64}


def test_a_difference_in_the_seventh_digit_is_not_lost() -> None:
    # rewards 1 and 1 + 2^-23, the next number of fp32: deviations of half of that, ddof 1
    step = 2.0**-23
    reward_B = torch.tensor([1.0, 1.0 + step])

    std_B = adv.group_std(reward_B, torch.zeros(2, dtype=torch.long))

    assert std_B[0].item() == pytest.approx(step / 2**0.5, rel=1e-6)
