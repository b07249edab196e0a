"""Golden values are worked out in the comment above them, never copied from a run."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from math_batch import example_batch

from bakeoff.algorithms import advantages as adv
from bakeoff.algorithms.grpo import grpo
from bakeoff.algorithms.ppo import ppo
from bakeoff.algorithms.reinforce import reinforce

BATCH = example_batch()


def test_grpo_divides_by_the_group_deviation_with_ddof_one() -> None:
    # group 0: 1, 0: mean .5, std (ddof 1) sqrt(.5) -> +-.5 / .7071; group 1: 1, .5: +-.25 / .35355
    expected_B = torch.tensor([1.0, -1.0, 1.0, -1.0]) / 2**0.5

    credit = grpo().advantages(BATCH)

    torch.testing.assert_close(
        credit.adv_BT, expected_B[:, None] * BATCH.mask_BT, rtol=0, atol=1e-5
    )


def test_grpo_without_the_deviation_is_dr_grpo() -> None:
    # rewards 1, 0 | 1, .5 less the means .5 | .75
    expected_B = torch.tensor([0.5, -0.5, 0.25, -0.25])

    credit = grpo(scale_by_std=False).advantages(BATCH)

    torch.testing.assert_close(credit.adv_BT, expected_B[:, None] * BATCH.mask_BT)


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [
        (adv.no_baseline, [1.0, 0.0, 1.0, 0.5]),
        (adv.batch_mean, [0.375, -0.625, 0.375, -0.125]),  # the mean of 1, 0, 1, .5 is .625
        (adv.leave_one_out, [1.0, -1.0, 0.5, -0.5]),  # 1-0, 0-1 | 1-.5, .5-1
    ],
)
def test_reinforce_subtracts_its_baseline(baseline, expected) -> None:  # type: ignore[no-untyped-def]
    credit = reinforce(baseline=baseline).advantages(BATCH)

    torch.testing.assert_close(credit.adv_BT, torch.tensor(expected)[:, None] * BATCH.mask_BT)


def test_ppo_targets_are_taken_before_whitening() -> None:
    # gamma = lambda = 1: the return of every token is the reward of its completion
    credit = ppo().advantages(BATCH)

    torch.testing.assert_close(credit.return_BT, BATCH.reward_B[:, None] * BATCH.mask_BT)


def test_ppo_advantages_are_white_over_counted_tokens() -> None:
    credit = ppo().advantages(BATCH)
    counted = credit.adv_BT[BATCH.mask_BT > 0]

    assert counted.mean().item() == pytest.approx(0, abs=1e-6)
    assert counted.std(correction=1).item() == pytest.approx(1, rel=1e-4)


def test_gae_with_lambda_zero_is_the_one_step_error() -> None:
    # row 0, values .1 .2 .3, reward 1 at the end: .2-.1, .3-.2, 1-.3
    reward_BT = adv.on_last_token(BATCH.reward_B, BATCH.mask_BT)

    adv_BT = adv.gae(reward_BT, BATCH.value_BT, BATCH.mask_BT, gamma=1.0, lam=0.0)

    torch.testing.assert_close(adv_BT[0], torch.tensor([0.1, 0.1, 0.7]))


def test_gae_discounts_by_gamma_and_lambda() -> None:
    # no values: d = 0, 0, 1; A_2 = 1, A_1 = .9 * .5 * 1, A_0 = .45 * .45
    adv_BT = adv.gae(
        torch.tensor([[0.0, 0.0, 1.0]]), torch.zeros(1, 3), torch.ones(1, 3), gamma=0.9, lam=0.5
    )

    torch.testing.assert_close(adv_BT, torch.tensor([[0.2025, 0.45, 1.0]]))


@given(
    st.lists(st.tuples(st.floats(-2, 2), st.booleans()), min_size=1, max_size=12),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_gae_steps_over_observations(
    tokens: list[tuple[float, bool]], gamma: float, lam: float
) -> None:
    """The result is that of the completion with its uncounted tokens cut out."""
    value_1T = torch.tensor([[value for value, _ in tokens]], dtype=torch.float64)
    mask_1T = torch.tensor([[float(counts) for _, counts in tokens]], dtype=torch.float64)
    reward_1T = adv.on_last_token(torch.ones(1, dtype=torch.float64), mask_1T)
    kept = mask_1T[0] > 0

    adv_1T = adv.gae(reward_1T, value_1T, mask_1T, gamma=gamma, lam=lam)
    if kept.any():
        cut = (reward_1T[:, kept], value_1T[:, kept], mask_1T[:, kept])
        torch.testing.assert_close(adv_1T[:, kept], adv.gae(*cut, gamma=gamma, lam=lam))

    assert (adv_1T[:, ~kept] == 0).all()


def test_the_reward_goes_to_the_last_counted_token_even_before_an_observation() -> None:
    mask_BT = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])

    reward_BT = adv.on_last_token(torch.tensor([2.0, 3.0, 4.0]), mask_BT)

    assert reward_BT.tolist() == [[0, 2, 0], [0, 0, 3], [0, 0, 0]]


@pytest.mark.parametrize("reward", [0.1, 0.35, 1 / 3, 1e-3])
def test_equal_rewards_have_a_deviation_of_exactly_zero(reward: float) -> None:
    """In float32 the mean of seven times .35 is not .35, and the advantage would not be 0."""
    reward_B, group_B = torch.full((7,), reward), torch.zeros(7, dtype=torch.long)
    batch = BATCH._replace(reward_B=reward_B, group_B=group_B, mask_BT=torch.ones(7, 1))

    assert grpo().advantages(batch).adv_BT.abs().max().item() <= 1e-6


@pytest.mark.parametrize("make", [grpo, lambda: reinforce(baseline=adv.leave_one_out)])
def test_a_completion_alone_in_its_group_gets_no_credit(make) -> None:  # type: ignore[no-untyped-def]
    """The others of its item could not be scored; some libraries pay the raw reward here."""
    alone = BATCH.rows(torch.tensor([0, 2, 3]))

    adv_BT = make().advantages(alone).adv_BT

    assert adv_BT[0].tolist() == [0, 0, 0]
    assert adv_BT[1, 0] != 0


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=16))
def test_leave_one_out_is_dr_grpo_times_g_over_g_minus_one(rewards: list[float]) -> None:
    # r_i - (S - r_i) / (G - 1) = G / (G - 1) * (r_i - S / G)
    reward_B = torch.tensor(rewards)
    group_B = torch.zeros(len(rewards), dtype=torch.long)
    g = len(rewards)

    left = reward_B - adv.leave_one_out(reward_B, group_B)

    right = g / (g - 1) * (reward_B - adv.group_mean(reward_B, group_B))
    torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-12)


def test_groups_are_an_index_that_need_not_be_sorted_or_dense() -> None:
    # groups {0, 2}: rewards 1, 3 -> mean 2; {1, 3}: 0, 4 -> mean 2 ... of ids 9 and 4
    mean_B = adv.group_mean(torch.tensor([1.0, 0.0, 3.0, 5.0]), torch.tensor([9, 4, 9, 4]))

    assert mean_B.tolist() == [2.0, 2.5, 2.0, 2.5]
