"""Golden values are worked out in the comment above them, never copied from a run."""

import math

import pytest
import torch
from math_batch import example_batch

from bakeoff.algorithms import advantages as adv
from bakeoff.algorithms import make
from bakeoff.algorithms.filters import finished, reaches, spread
from bakeoff.algorithms.grpo import grpo
from bakeoff.algorithms.ppo import ppo
from bakeoff.algorithms.reinforce import reinforce
from bakeoff.algorithms.returns import (
    gae,
    length_adaptive_lambda,
    on_last_token,
    overlong_penalty,
    penalised_rewards,
)

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
    reward_BT = on_last_token(BATCH.reward_B, BATCH.mask_BT)

    adv_BT = gae(reward_BT, BATCH.value_BT, BATCH.mask_BT, gamma=1.0, lam=0.0)

    torch.testing.assert_close(adv_BT[0], torch.tensor([0.1, 0.1, 0.7]))


def test_gae_discounts_by_gamma_and_lambda() -> None:
    # no values: d = 0, 0, 1; A_2 = 1, A_1 = .9 * .5 * 1, A_0 = .45 * .45
    adv_BT = gae(
        torch.tensor([[0.0, 0.0, 1.0]]), torch.zeros(1, 3), torch.ones(1, 3), gamma=0.9, lam=0.5
    )

    torch.testing.assert_close(adv_BT, torch.tensor([[0.2025, 0.45, 1.0]]))


@pytest.mark.parametrize("name", ["reinforce++", "ppo"])
def test_a_kl_penalty_is_taken_from_the_reward_of_every_token(name: str) -> None:
    # row 0: log(.5/.4) = .22314 a token, times .1; reward 1 at the end of three: what is still to
    # come is 1 - .0669, 1 - .0446, 1 - .0223; the values are 0
    batch = BATCH._replace(value_BT=torch.zeros(4, 3))
    kl = 0.1 * math.log(0.5 / 0.4)

    return_BT = make(f"{name}:kl_coef=0.1").advantages(batch).adv_BT

    # whitening shifts and scales: ratios of differences are left
    step, gap = return_BT[0, 1] - return_BT[0, 0], return_BT[0, 2] - return_BT[1, 1]
    assert (step / gap).item() == pytest.approx(kl / 1.0, rel=1e-4)


def test_the_penalised_reward_is_the_score_less_k1_of_each_token() -> None:
    # k1 = log pi_old - log ref = log(.5/.4), of the two tokens of row 1; its reward is 0
    reward_BT = penalised_rewards(BATCH, 0.1)

    expected = -0.1 * math.log(0.5 / 0.4)
    assert reward_BT[1].tolist() == pytest.approx([expected, expected, 0.0])
    assert reward_BT[0, 2].item() == pytest.approx(1 + expected)


def test_the_reward_goes_to_the_last_counted_token_even_before_an_observation() -> None:
    mask_BT = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])

    reward_BT = on_last_token(torch.tensor([2.0, 3.0, 4.0]), mask_BT)

    assert reward_BT.tolist() == [[0, 2, 0], [0, 0, 3], [0, 0, 0]]


@pytest.mark.parametrize("name", ["grpo", "reinforce:baseline=leave_one_out", "rloo", "opo"])
def test_a_completion_alone_in_its_group_gets_no_credit(name: str) -> None:
    """The others of its item could not be scored; some libraries pay the raw reward here."""
    alone = BATCH.rows(torch.tensor([0, 2, 3]))

    adv_BT = make(name).advantages(alone).adv_BT

    assert adv_BT[0].tolist() == [0, 0, 0]
    assert adv_BT[1, 0] != 0


def test_groups_are_an_index_that_need_not_be_sorted_or_dense() -> None:
    # groups {0, 2}: rewards 1, 3 -> mean 2; {1, 3}: 0, 4 -> mean 2 ... of ids 9 and 4
    mean_B = adv.group_mean(torch.tensor([1.0, 0.0, 3.0, 5.0]), torch.tensor([9, 4, 9, 4]))

    assert mean_B.tolist() == [2.0, 2.5, 2.0, 2.5]


def first_tokens(name: str) -> list[float]:
    return make(name).advantages(BATCH).adv_BT[:, 0].tolist()  # type: ignore[no-any-return]


def test_opo_subtracts_the_mean_weighted_by_length() -> None:
    # lengths 3, 2 | 1, 3, rewards 1, 0 | 1, .5: baselines 3/5 and (1 + 1.5)/4
    assert first_tokens("opo") == pytest.approx([0.4, -0.6, 0.375, -0.125])


def test_maxrl_divides_by_the_mean() -> None:
    # means .5 and .75: .5/.5, -.5/.5 | .25/.75, -.25/.75
    assert first_tokens("maxrl") == pytest.approx([1, -1, 1 / 3, -1 / 3])


def test_remax_subtracts_the_greedy_replys_reward() -> None:
    # rewards 1, 0, 1, .5 less .5
    assert first_tokens("remax") == pytest.approx([0.5, -0.5, 0.5, 0.0])


def test_rloo_takes_the_kl_out_of_the_reward_before_the_baseline() -> None:
    # log(.5/.4) = .22314 a token, lengths 3, 2: 1 - .22314 * 3 * .1 less 0 - .22314 * 2 * .1
    kl = 0.1 * 0.2231436

    assert first_tokens("rloo:kl_coef=0.1")[0] == pytest.approx((1 - 3 * kl) - (0 - 2 * kl))


def test_dapo_penalises_completions_that_come_close_to_their_limit() -> None:
    # limit 4, buffer .5: 2 of room; lengths 3, 2 | 1, 3: -.5, 0 | 0, -.5 on rewards 1, 0 | 1, .5
    # so .5, 0 | 1, 0: means .25 | .5, and each group's two are +-1/sqrt(2) of its deviation apart
    half = 1 / 2**0.5

    assert first_tokens("dapo:overlong_buffer=0.5") == pytest.approx(
        [half, -half, half, -half], abs=1e-5
    )


def test_vapos_lambda_grows_with_the_length() -> None:
    # 1 - 1/(.5 * 3), 1 - 1/(.5 * 2), and 1 - 1/.5 < 0
    lam_B = length_adaptive_lambda(BATCH.mask_BT, alpha=0.5)

    assert lam_B.tolist() == pytest.approx([1 / 3, 0, 0, 1 / 3])


def test_the_buffer_of_the_penalty_is_a_token_at_least() -> None:
    # a fifth of 2 tokens is less than one: the last token alone costs 1
    penalty_B = overlong_penalty(torch.tensor([1.0, 2.0]), torch.full((2,), 2.0), 0.2)

    assert penalty_B.tolist() == [0, -1]


def test_groups_without_spread_are_dropped() -> None:
    equal = BATCH._replace(reward_B=torch.tensor([1.0, 0.0, 0.5, 0.5]))

    assert spread(equal).tolist() == [True, True, False, False]


def test_cut_completions_are_dropped() -> None:
    cut = BATCH._replace(truncated_B=torch.tensor([0.0, 1.0, 0.0, 1.0]))

    assert finished(cut).tolist() == [True, False, True, False]


def test_a_right_reply_is_one_that_reaches_the_reward_but_for_rounding() -> None:
    thirds = BATCH._replace(reward_B=torch.tensor([1 / 3 + 2 / 3, 0.1 * 3 + 0.7, 0.999, 0.0]))

    assert reaches(thirds, 1.0).tolist() == [True, True, False, False]


def test_dapo_learns_from_groups_with_spread_that_ended_if_it_is_told_so() -> None:
    batch = BATCH._replace(
        reward_B=torch.tensor([1.0, 0.0, 0.5, 0.5]), truncated_B=torch.tensor([0.0, 1.0, 0.0, 0.0])
    )
    keeps = {name: make(name).keep for name in ("dapo", "dapo:drop_truncated=true")}

    found = {name: keep(batch).tolist() for name, keep in keeps.items() if keep is not None}

    # without the cut completion, the first group is one of one: it has no spread
    assert found == {
        "dapo": [True, True, False, False],
        "dapo:drop_truncated=true": [False, False, False, False],
    }


def test_the_population_deviation_is_smaller_by_the_root_of_n_minus_one_over_n() -> None:
    # rewards 1, 0, 0, 0: mean 1/4, variance (9 + 3)/16/4 = 3/16: .75 / sqrt(3/16)
    adv_B = adv.group_normalised(
        torch.tensor([1.0, 0, 0, 0]), torch.zeros(4, dtype=torch.long), ddof=0, eps=0.0
    )

    assert adv_B[0].item() == pytest.approx(3**0.5)
