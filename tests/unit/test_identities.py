"""What must hold between algorithms, on random batches."""

from __future__ import annotations

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from math_batch import PRESETS, moved, policy_gradient, random_batch, step_of
from torch import Tensor

from bakeoff.algorithms import make
from bakeoff.algorithms import mismatch as mismatches
from bakeoff.algorithms.aggregation import sequence_mean, token_mean
from bakeoff.algorithms.returns import discounted_return, gae, on_last_token
from bakeoff.algorithms.stages import kept_rows
from bakeoff.algorithms.surrogates import clipped
from bakeoff.types import Algorithm, Batch

some = settings(max_examples=20, derandomize=True, deadline=None)
few = settings(max_examples=5, derandomize=True, deadline=None)
seeds = st.integers(0, 2**31)
shares = st.floats(0, 1)
near = functools.partial(torch.testing.assert_close, rtol=1e-9, atol=1e-12)


def advantages(name: str, batch: Batch) -> Tensor:
    return make(name).advantages(batch).adv_BT


def with_imitation(algorithm: Algorithm, batch: Batch) -> Tensor:
    """The gradient of vapo's term beside the surrogate: its weight of each token's ``-log pi``."""
    if algorithm.imitation is None:
        return torch.zeros_like(batch.mask_BT)
    return -0.1 * algorithm.imitation(batch)


def kl_of(name: str) -> str:
    return str(make(name).semantics["kl"])


@some
@given(seeds, st.integers(2, 6))
def test_rloo_is_dr_grpo_times_g_over_g_minus_one(seed: int, g: int) -> None:
    # r_i - (S - r_i) / (G - 1) = G / (G - 1) * (r_i - S / G)
    batch = random_batch(seed, size=g)

    near(advantages("rloo", batch), g / (g - 1) * advantages("dr_grpo", batch))


@pytest.mark.parametrize("name", [name for name in PRESETS if "loss" not in kl_of(name)])
@few
@given(seeds)
def test_the_first_on_policy_step_of_every_preset_is_the_policy_gradient(
    name: str, seed: int
) -> None:
    """At a ratio of 1 every surrogate has the gradient of ``-A log pi``, with its own weights."""
    batch, algorithm = random_batch(seed), make(name)
    rows_B = kept_rows(algorithm, batch)
    learned = step_of(algorithm, batch.rows(rows_B))
    assert learned.weight_BT is not None and learned.adv_BT is not None

    _, grad_BT = policy_gradient(algorithm, batch, batch.logp_old_BT)

    near(
        grad_BT[rows_B],
        -learned.weight_BT * learned.adv_BT + with_imitation(algorithm, learned),
        rtol=1e-6,  # sapo's tau is a number in fp32
        atol=1e-9,
    )


@some
@given(seeds, shares)
def test_gae_with_lambda_one_is_the_return_less_the_value(seed: int, gamma: float) -> None:
    batch = random_batch(seed)
    assert batch.value_BT is not None
    reward_BT = on_last_token(batch.reward_B, batch.mask_BT)

    adv_BT = gae(reward_BT, batch.value_BT, batch.mask_BT, gamma=gamma, lam=1.0)

    return_BT = discounted_return(reward_BT, batch.mask_BT, gamma=gamma)
    near(adv_BT, (return_BT - batch.value_BT) * batch.mask_BT)


@some
@given(seeds, shares)
def test_a_discounted_return_is_gamma_to_the_distance(seed: int, gamma: float) -> None:
    # one reward, on the last counted token: gamma to the number of counted tokens still to come
    batch = random_batch(seed)
    reward_BT = on_last_token(batch.reward_B, batch.mask_BT)

    return_BT = discounted_return(reward_BT, batch.mask_BT, gamma=gamma)

    to_come_BT = batch.mask_BT.flip(1).cumsum(1).flip(1) - 1
    discount_BT = torch.tensor(gamma, dtype=torch.float64) ** to_come_BT.clamp(min=0)
    near(return_BT, batch.reward_B[:, None] * discount_BT * batch.mask_BT)


@pytest.mark.parametrize("bootstrap", [False, True])
@some
@given(seeds, shares, shares)
def test_gae_over_observations_is_that_of_the_completion_without_them(
    bootstrap: bool, seed: int, gamma: float, lam: float
) -> None:
    batch = random_batch(seed)
    assert batch.value_BT is not None and batch.value_end_B is not None
    reward_BT = on_last_token(batch.reward_B, batch.mask_BT)
    end_B = batch.value_end_B if bootstrap else torch.zeros_like(batch.value_end_B)

    adv_BT = gae(reward_BT, batch.value_BT, batch.mask_BT, gamma=gamma, lam=lam, value_end_B=end_B)

    for row, kept in enumerate(batch.mask_BT > 0):
        # the textbook's recursion over the counted tokens alone
        value_T, after, expected = batch.value_BT[row, kept], 0.0, []
        following_T = torch.cat([value_T[1:], end_B[row][None]])
        for t in reversed(range(len(value_T))):
            delta = reward_BT[row, kept][t] + gamma * following_T[t] - value_T[t]
            after = float(delta) + gamma * lam * after
            expected.insert(0, after)
        near(adv_BT[row, kept], torch.tensor(expected, dtype=torch.float64))
        assert (adv_BT[row, ~kept] == 0).all()


@some
@given(seeds)
def test_ppo_without_values_is_reinforce_pp(seed: int) -> None:
    batch = random_batch(seed)
    without = batch._replace(value_BT=torch.zeros_like(batch.mask_BT))

    near(advantages("ppo:gamma=0.9:lam=1", without), advantages("reinforce++:gamma=0.9", batch))


@some
@given(seeds)
def test_vapo_with_lambda_one_is_ppo(seed: int) -> None:
    # lambda = 1 - 1/(alpha * length) is 1 for an endless alpha
    batch = random_batch(seed)
    vapo, ppo = make("vapo:alpha=1e15"), make("ppo")

    near(vapo.advantages(batch).adv_BT, ppo.advantages(batch).adv_BT, rtol=1e-6, atol=1e-9)


@some
@given(seeds)
def test_vapos_critic_learns_the_whole_return_whatever_the_policys_lambda(seed: int) -> None:
    batch = random_batch(seed)

    return_BT = make("vapo:alpha=0.3").advantages(batch).return_BT

    near(return_BT, batch.reward_B[:, None] * batch.mask_BT)


@some
@given(seeds)
def test_remax_with_the_groups_mean_as_greedy_reward_is_dr_grpo(seed: int) -> None:
    batch = random_batch(seed)
    mean_B = batch.reward_B.reshape(2, 3).mean(1).repeat_interleave(3)

    near(advantages("remax", batch._replace(greedy_reward_B=mean_B)), advantages("dr_grpo", batch))


@some
@given(seeds)
def test_opo_of_completions_of_one_length_is_dr_grpo(seed: int) -> None:
    batch = random_batch(seed)
    batch = batch._replace(mask_BT=torch.ones_like(batch.mask_BT))

    near(advantages("opo", batch), advantages("dr_grpo", batch))


@some
@given(seeds)
def test_rft_is_reinforce_with_a_reward_of_one_or_zero(seed: int) -> None:
    """Only the denominator differs: rft's mean is over the tokens of what it kept."""
    batch = random_batch(seed)
    batch = batch._replace(reward_B=(batch.reward_B == 1).double())
    rft, reinforce = make("rft"), make("reinforce:baseline=no_baseline")

    _, grad_BT = policy_gradient(rft, batch, moved(batch))

    _, expected_BT = policy_gradient(reinforce, batch, moved(batch))
    right_tokens = batch.mask_BT[batch.reward_B == 1].sum()
    near(grad_BT * right_tokens, expected_BT * batch.mask_BT.sum())


@some
@given(seeds)
def test_token_and_sequence_mean_agree_on_completions_of_one_length(seed: int) -> None:
    batch = random_batch(seed)
    mask_BT = torch.ones_like(batch.mask_BT)

    near(token_mean(mask_BT, batch.limit_B), sequence_mean(mask_BT, batch.limit_B))


@some
@given(seeds)
def test_gspo_is_grpo_for_completions_of_one_token(seed: int) -> None:
    """The geometric mean over one token is that token's ratio."""
    batch = random_batch(seed, tokens=1)
    gspo, grpo = make("gspo:clip_low=0.2:clip_high=0.2"), make("grpo")

    found, expected = (policy_gradient(a, batch, moved(batch)) for a in (gspo, grpo))

    near(found, expected)


@some
@given(seeds, st.floats(1.3, 5))
def test_the_dual_clip_is_trls_delta(seed: int, delta: float) -> None:
    """TRL clamps the ratio of the unclipped term at delta, whatever the advantage's sign."""
    generator = torch.Generator().manual_seed(seed)
    log_ratio_N, adv_N = torch.randn(2, 40, generator=generator, dtype=torch.float64)
    log_ratio_N = (2 * log_ratio_N).requires_grad_()

    loss_N, _ = clipped(0.2, 0.2, dual=delta)(log_ratio_N.exp(), log_ratio_N, adv_N)

    ratio_N = log_ratio_N.exp()
    gain_N = (ratio_N.clamp(max=delta) * adv_N).minimum(ratio_N.clamp(0.8, 1.2) * adv_N)
    near(loss_N, -gain_N)
    near(*(torch.autograd.grad(x.sum(), log_ratio_N)[0] for x in (loss_N, -gain_N)))


@pytest.mark.parametrize(
    "correct",
    [
        mismatches.no_correction,
        mismatches.token_truncated,
        mismatches.sequence_truncated,
        mismatches.token_masked,
        mismatches.sequence_masked,
    ],
)
@some
@given(seeds)
def test_a_sampler_that_agrees_is_not_corrected(correct, seed: int) -> None:  # type: ignore[no-untyped-def]
    mask_BT = random_batch(seed).mask_BT

    correction_BT = correct(torch.zeros_like(mask_BT), mask_BT, 2.0)

    assert (correction_BT[mask_BT > 0] == 1).all()
