"""Returns, value losses and length penalties against those of other libraries."""

from __future__ import annotations

import pytest
import torch
from oracle_records import (
    MASK_BT,
    RECORDS,
    REWARD_B,
    TOKEN_REWARD_BT,
    VALUE_BT,
    names,
    oracle_batch,
    recorded,
)
from torch import Tensor

from bakeoff.algorithms import make
from bakeoff.algorithms.advantages import whiten
from bakeoff.algorithms.aggregation import sequence_mean, token_mean
from bakeoff.algorithms.losses import clipped_value_loss
from bakeoff.algorithms.returns import discounted_return, gae, on_last_token, overlong_penalty

LIBRARIES = [name for name in names("gae/returns/") if "truncated" not in name]


def gae_returns(mask_BT: Tensor, gamma: float, lam: float) -> Tensor:
    adv_BT = gae(TOKEN_REWARD_BT, VALUE_BT, mask_BT, gamma=gamma, lam=lam)
    return (adv_BT + VALUE_BT) * mask_BT


@pytest.mark.parametrize("name", LIBRARIES)
def test_returns_of_gae_are_the_recorded_ones(name: str) -> None:
    return_BT = gae_returns(MASK_BT, 0.99, 0.95)

    torch.testing.assert_close(return_BT, recorded(name) * MASK_BT, rtol=0, atol=1e-6)


def test_returns_of_cut_completions_are_torchrls_bootstrapped_ones() -> None:
    """The value after the last token counts, as torchrl's ``done`` that is not ``terminated``."""
    after_B = torch.full((8,), 0.7)

    adv_BT = gae(TOKEN_REWARD_BT, VALUE_BT, MASK_BT, gamma=0.99, lam=0.95, value_end_B=after_B)

    expected_BT = recorded("gae/returns/torchrl_truncated_bootstrap0.7")
    torch.testing.assert_close((adv_BT + VALUE_BT) * MASK_BT, expected_BT, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cut", [0.0, 1.0])
def test_ppo_bootstraps_completions_that_were_cut_and_no_others(cut: float) -> None:
    batch = oracle_batch()._replace(
        truncated_B=torch.full((8,), cut), value_end_B=torch.full((8,), 0.7)
    )

    return_BT = make("ppo:gamma=0.99:lam=0.95:bootstrap=true").advantages(batch).return_BT

    end = "torchrl_truncated_bootstrap0.7" if cut else "torchrl(oracle)"
    torch.testing.assert_close(return_BT, recorded(f"gae/returns/{end}"), rtol=0, atol=1e-6)


def test_whitened_gae_has_mean_zero_and_deviation_one_over_tokens() -> None:
    # verl and SkyRL whiten with ddof 1 over all counted tokens, after the returns were taken
    adv_BT = (recorded("gae/returns/verl(returns)") - VALUE_BT) * MASK_BT
    counted = adv_BT[MASK_BT > 0]

    credit = make("ppo:gamma=0.99:lam=0.95").advantages(oracle_batch())

    expected = (counted - counted.mean()) / counted.std()
    torch.testing.assert_close(credit.adv_BT[MASK_BT > 0], expected, rtol=0, atol=1e-6)


def with_observations() -> Tensor:
    """The mask in which tokens 1 and 2 of completions of more than 3 are an observation."""
    mask_BT = MASK_BT.clone()
    mask_BT[MASK_BT.sum(1) > 3, 1:3] = 0
    return mask_BT


def every_column(value_BT: Tensor, gamma: float, lam: float) -> Tensor:
    """GAE's returns with the next *column* for the next token, whether it counts or not."""
    following_BT = torch.cat([value_BT[:, 1:], torch.zeros(8, 1)], 1)
    delta_BT = TOKEN_REWARD_BT + gamma * following_BT - value_BT
    adv_BT, after_B = torch.zeros(8, 10), torch.zeros(8)
    for t in reversed(range(10)):
        after_B = delta_BT[:, t] + gamma * lam * after_B
        adv_BT[:, t] = after_B
    return adv_BT + value_BT


def compressed(mask_BT: Tensor, gamma: float, lam: float) -> Tensor:
    """GAE's returns of each completion with its observations cut out, put back in place."""
    return_BT = torch.zeros(8, 10)
    for row, kept in enumerate(mask_BT > 0):
        reward_1T, value_1T = TOKEN_REWARD_BT[row, kept][None], VALUE_BT[row, kept][None]
        adv_1T = gae(reward_1T, value_1T, torch.ones_like(value_1T), gamma=gamma, lam=lam)
        return_BT[row, kept] = (adv_1T + value_1T)[0]
    return return_BT


@pytest.mark.parametrize("library", ["verl", "nemo"])
def test_observations_are_stepped_over_as_by_verl_and_nemo(library: str) -> None:
    mask_BT = with_observations()

    difference = (gae_returns(mask_BT, 0.99, 0.95) - compressed(mask_BT, 0.99, 0.95)).abs().max()

    expected = RECORDS[f"gae_interior_maxdiff/{library}"]
    assert difference.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("library", "gamma", "lam"),
    [
        ("openrlhf", 0.99, 0.95),  # the observation's values are 0, and it takes part as a step
        ("skyrl", 0.99, 0.95),  # the observation's values take part too
        ("openrlhf(gamma=lam=1, its default)", 1.0, 1.0),  # the sum telescopes: it is hidden
    ],
)
def test_the_libraries_that_do_not_step_over_are_off_by_as_much_as_recorded(
    library: str, gamma: float, lam: float
) -> None:
    mask_BT = with_observations()
    theirs_BT = every_column(VALUE_BT * (MASK_BT if library == "skyrl" else mask_BT), gamma, lam)

    difference_BT = (gae_returns(mask_BT, gamma, lam) - theirs_BT) * mask_BT

    expected = RECORDS[f"gae_interior_maxdiff/{library}"]
    assert difference_BT.abs().max().item() == pytest.approx(expected, abs=1e-6)


def test_the_return_before_an_observation_is_verls_and_not_skyrls() -> None:
    """Two tokens, an observation of two, two tokens, and then the reward."""
    mask_BT = torch.tensor([[1.0, 1.0, 0.0, 0.0, 1.0, 1.0]])
    reward_BT = on_last_token(torch.ones(1), mask_BT)

    return_BT = discounted_return(reward_BT, mask_BT, gamma=1.0)

    torch.testing.assert_close(return_BT, recorded("rfpp_interior/verl"))
    # SkyRL's stops at the gap and fills it: it calls the observation's last token an action
    assert recorded("rfpp_interior/skyrl").tolist() == [[0, 0, 0, 1, 1, 1]]


def test_rewards_go_where_the_recording_has_them() -> None:
    torch.testing.assert_close(on_last_token(REWARD_B, MASK_BT), TOKEN_REWARD_BT)


@pytest.mark.parametrize("name", names("value_loss/"))
def test_value_losses_are_the_recorded_ones(name: str) -> None:
    """SkyRL's is a mean of the completions' means, the others' a mean over tokens."""
    aggregate = sequence_mean if "skyrl" in name else token_mean
    batch = oracle_batch()._replace(return_BT=recorded("input/value_returns"))
    batch = batch._replace(weight_BT=aggregate(MASK_BT, batch.limit_B))

    loss, sums = clipped_value_loss(0.2)(batch, recorded("input/value_predictions"))

    assert sums["clip_frac/value"] > 0  # else the clip would not be tested
    assert loss.item() == pytest.approx(RECORDS[name], abs=1e-6)


def test_a_value_loss_without_the_clip_is_told_apart() -> None:
    batch = oracle_batch()._replace(return_BT=recorded("input/value_returns"))
    batch = batch._replace(weight_BT=token_mean(MASK_BT, batch.limit_B))

    loss, _ = clipped_value_loss(100.0)(batch, recorded("input/value_predictions"))

    assert loss.item() < RECORDS["value_loss/verl"] - 0.01


def test_the_overlong_penalty_is_trls() -> None:
    """It ends at -1; verl's and NeMo-RL's go on falling beyond the limit."""
    # of 100 tokens the last 20: 0 up to 80, then (80 - length) / 20, and -1 beyond the limit too
    length_B = torch.tensor([50.0, 80.0, 85.0, 90.0, 100.0, 120.0])

    penalty_B = overlong_penalty(length_B, torch.full((6,), 100.0), 0.2)

    expected_B = recorded("overlong/trl max=100 cache=20")
    torch.testing.assert_close(penalty_B, expected_B, rtol=0, atol=1e-6)


def test_whitening_a_constant_gives_zero() -> None:
    adv_BT = whiten(torch.full((8, 10), 0.35), MASK_BT)

    assert adv_BT.abs().max() == 0
