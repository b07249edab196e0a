"""Losses: every quadrant by hand, identities between algorithms, and what may not change them."""

import math

import pytest
import torch
from math_batch import PRESETS, example_batch, policy_gradient, step_of
from torch import Tensor

from bakeoff.algorithms import make
from bakeoff.algorithms import mismatch as mismatches
from bakeoff.algorithms.aggregation import (
    sequence_constant,
    sequence_mean,
    sequence_sum,
    token_mean,
)
from bakeoff.algorithms.grpo import grpo
from bakeoff.algorithms.losses import PolicyLoss, clipped_value_loss
from bakeoff.algorithms.ppo import ppo
from bakeoff.algorithms.ratios import geometric_ratio, sequence_ratio
from bakeoff.algorithms.stages import kept_rows
from bakeoff.algorithms.surrogates import Surrogate, cispo, clipped, log_probability, sapo

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
    value, _ = clipped(0.2, 0.2)(torch.tensor(ratio), torch.tensor(0.0), torch.tensor(adv))

    assert value.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        (token_mean, (3 + 5) / 4),
        (sequence_mean, (1 + 5) / 2),
        (sequence_sum, (3 + 5) / 2),
        (sequence_constant, (3 + 5) / 2 / 8),  # of a limit of 8 tokens
    ],
)
def test_aggregations_weigh_length_differently(aggregate, expected: float) -> None:  # type: ignore[no-untyped-def]
    x_BT = torch.tensor([[1.0, 1.0, 1.0], [5.0, 7.0, 7.0]])
    mask_BT = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])

    assert (aggregate(mask_BT, torch.full((2,), 8.0)) * x_BT).sum().item() == pytest.approx(
        expected
    )


WEIGHTS = {
    # of a token of the first completion: 3 tokens of the batch's 9, one of four completions, with
    # room for 4
    1 / 9: [
        *["reinforce", "reinforce++", "reinforce++-baseline", "dapo", "cispo", "gpg"],
        *["ppo", "vapo", "rft", "sft"],
    ],
    1 / 12: ["grpo", "gspo", "sapo"],
    1 / 4: ["rloo", "remax", "opo", "maxrl"],
    1 / 16: ["dr_grpo"],
}


@pytest.mark.parametrize(
    ("name", "expected"), [(name, weight) for weight, names in WEIGHTS.items() for name in names]
)
def test_a_token_of_each_preset_weighs(name: str, expected: float) -> None:
    weight_BT = make(name).aggregate(BATCH.mask_BT, BATCH.limit_B)

    assert weight_BT[0, 0].item() == pytest.approx(expected)


@pytest.mark.parametrize("aggregate", [token_mean, sequence_mean, sequence_sum, sequence_constant])
def test_an_empty_completion_weighs_nothing_and_is_in_no_denominator(aggregate) -> None:  # type: ignore[no-untyped-def]
    full_BT = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    with_empty_BT = torch.cat([full_BT, torch.zeros(1, 2)])

    weight_BT = aggregate(with_empty_BT, torch.full((3,), 4.0))

    torch.testing.assert_close(weight_BT[:2], aggregate(full_BT, torch.full((2,), 4.0)))
    assert weight_BT[2].tolist() == [0, 0]


def test_value_loss_takes_the_worse_of_plain_and_clipped() -> None:
    # V_old 0, R 1, V .5, clip .2: plain (.5 - 1)^2 = .25, clipped (.2 - 1)^2 = .64; half the worse
    batch = BATCH.rows(torch.tensor([2]))._replace(
        value_BT=torch.zeros(1, 3), return_BT=torch.ones(1, 3), weight_BT=torch.ones(1, 3)
    )

    loss, sums = clipped_value_loss(0.2)(batch, torch.full((1, 3), 0.5))

    assert loss.item() == pytest.approx(0.32)
    assert sums == {"clip_frac/value": 1.0}


def test_kl_to_the_reference_is_added_to_the_loss() -> None:
    # every policy probability .5, reference .4: k3 = .4/.5 - 1 - log(.4/.5), the same everywhere
    algorithm = grpo(kl_coef=0.5)
    batch = step_of(algorithm, BATCH)
    expected = 0.5 * (0.8 - 1 - math.log(0.8))

    with_kl, sums = algorithm.policy_loss(batch, batch.logp_old_BT)
    without, _ = grpo().policy_loss(batch, batch.logp_old_BT)

    assert (with_kl - without).item() == pytest.approx(expected, rel=1e-5)
    assert sums["kl_ref"] == pytest.approx(9 * expected / 0.5, rel=1e-5)  # 9 counted tokens


@pytest.mark.parametrize("name", [name for name in PRESETS if not make(name).on_gold])
def test_a_step_raises_the_probability_of_the_better_completion(name: str) -> None:
    batch = BATCH._replace(value_BT=torch.zeros(4, 3))

    _, grad_BT = policy_gradient(make(name), batch, batch.logp_old_BT)

    # the last token of each: with vapo's lambda of 0 the reward reaches no other
    assert grad_BT[0, 2] < 0
    assert grad_BT[1, 1] > grad_BT[0, 2]


def test_rft_lowers_no_probability() -> None:
    """Wrong replies leave the batch: their tokens have no gradient, and those of right ones one."""
    _, grad_BT = policy_gradient(make("rft"), BATCH, BATCH.logp_old_BT)

    # right are rows 0 and 2, of 3 + 1 tokens: -1/4 each
    expected_BT = torch.tensor([[-1.0, -1, -1], [0, 0, 0], [-1, 0, 0], [0, 0, 0]]) / 4
    torch.testing.assert_close(grad_BT, expected_BT)


@pytest.mark.parametrize("name", PRESETS)
def test_metrics_of_pieces_add_up_to_those_of_the_whole(name: str) -> None:
    algorithm = make(name)
    rows_B = kept_rows(algorithm, BATCH)
    batch = step_of(algorithm, BATCH.rows(rows_B))
    logp_BT = batch.logp_old_BT + torch.linspace(-0.5, 0.5, 12).reshape(4, 3)[rows_B]
    _, whole = algorithm.policy_loss(batch, logp_BT)

    parts = [
        algorithm.policy_loss(batch.rows(rows), logp_BT[rows])[1]
        for rows in torch.arange(len(rows_B)).split(1)
    ]

    assert {key: pytest.approx(sum(part[key] for part in parts)) for key in whole} == whole


def test_clip_fraction_counts_tokens_beyond_the_clip() -> None:
    # log-ratios .1 (inside) on row 0 and 1.0 (outside) on the other 6 counted tokens
    algorithm = ppo()
    batch = step_of(algorithm, BATCH)
    shift_B1 = torch.tensor([[0.1], [1.0], [1.0], [1.0]])

    _, sums = algorithm.policy_loss(batch, batch.logp_old_BT + shift_B1 * batch.mask_BT)

    assert sums["clip_frac"] == 6


GRADIENTS: dict[str, tuple[Surrogate, float, float, float]] = {
    # at an advantage of 2 and a ratio r, d loss / d log pi by hand
    "inside the clip: -A r": (clipped(0.2, 0.2), 1.1, 2.0, -2.2),
    "beyond the clip: none": (clipped(0.2, 0.2), 1.3, 2.0, 0.0),
    "a harmful move is not clipped": (clipped(0.2, 0.2), 1.3, -2.0, 2.6),
    "but by the dual clip": (clipped(0.2, 0.2, dual=3.0), 3.1, -2.0, 0.0),
    "cispo: -A min(r, cap), r detached": (cispo(5.0), 9.0, 2.0, -10.0),
    "cispo below its floor": (cispo(5.0, floor=0.5), 0.1, 2.0, -1.0),
    "no ratio: -A": (log_probability, 9.0, 2.0, -2.0),
    # -A r 4 s (1 - s), s = sigmoid(2 * (1.5 - 1)) = .731059: -2 * 1.5 * 4 * .196612
    "sapo: the gate's slope": (sapo(2.0, 9.0), 1.5, 2.0, -2.359343),
    # the other tau where the advantage is negative: s = sigmoid(.5) = .622459, s(1-s) = .235004
    "sapo: the other tau": (sapo(9.0, 1.0), 1.5, -2.0, 2.820045),
}


@pytest.mark.parametrize("case", GRADIENTS)
def test_the_gradient_of_a_surrogate_is_the_one_by_hand(case: str) -> None:
    surrogate, ratio, adv, expected = GRADIENTS[case]
    logp = torch.tensor([0.0], requires_grad=True)

    loss, _ = surrogate((logp + math.log(ratio)).exp(), logp, torch.tensor([adv]))
    (grad,) = torch.autograd.grad(loss.sum(), logp)

    assert grad.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (sequence_ratio, [0.6, 0.6, 0.0]),  # .1 + .5; the observation's .3 is not of it
        (geometric_ratio, [0.3, 0.3, 0.0]),
    ],
)
def test_a_completions_ratio_is_of_its_counted_tokens(level, expected: list[float]) -> None:  # type: ignore[no-untyped-def]
    mask_BT = torch.tensor([[1.0, 1.0, 0.0]])

    found_BT: Tensor = level(torch.tensor([[0.1, 0.5, 0.3]]), mask_BT)

    assert found_BT[0].tolist() == pytest.approx(expected)


def test_the_gradient_of_a_geometric_ratio_is_shared_by_the_completions_tokens() -> None:
    # weights 1/3 each, s = 1: -A s / 3 of each token, summed over three tokens' losses: -A/3
    batch = step_of(make("grpo"), BATCH)
    logp_BT = batch.logp_old_BT.clone().requires_grad_()
    loss, _ = PolicyLoss(clipped(0.2, 0.2), level=geometric_ratio)(
        batch._replace(weight_BT=batch.mask_BT, adv_BT=2 * batch.mask_BT), logp_BT
    )
    (grad_BT,) = torch.autograd.grad(loss, logp_BT)

    torch.testing.assert_close(grad_BT, -2 * BATCH.mask_BT)


def test_vapo_imitates_its_right_completions() -> None:
    # right are rows 0 and 2, of 3 + 1 tokens: .5 * 1/4 of -log pi each, beside the surrogate
    with_it, without = make("vapo:imitation_coef=0.5"), make("vapo:imitation_coef=0")

    _, grad_BT = policy_gradient(with_it, BATCH, BATCH.logp_old_BT)

    _, plain_BT = policy_gradient(without, BATCH, BATCH.logp_old_BT)
    expected_BT = torch.tensor([[-1.0, -1, -1], [0, 0, 0], [-1, 0, 0], [0, 0, 0]]) / 8
    torch.testing.assert_close(grad_BT - plain_BT, expected_BT)


@pytest.mark.parametrize(
    ("correct", "near", "far"),
    [
        # ratios 1.5, 1.5, .4 (product .9), and 1.5, 1.5, 3 (product 6.75, mean 1.89); cap 2
        (mismatches.token_truncated, [1.5, 1.5, 0.4], [1.5, 1.5, 2.0]),
        (mismatches.sequence_truncated, [0.9, 0.9, 0.9], [2.0, 2.0, 2.0]),
        (mismatches.token_masked, [1.5, 1.5, 0.0], [1.5, 1.5, 0.0]),
        (mismatches.sequence_masked, [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]),  # not by the product
    ],
)
def test_corrections_by_hand(correct, near: list[float], far: list[float]) -> None:  # type: ignore[no-untyped-def]
    log_ratio_BT = torch.tensor([[1.5, 1.5, 0.4], [1.5, 1.5, 3.0]]).log()

    correction_BT = correct(log_ratio_BT, torch.ones(2, 3), 2.0)

    torch.testing.assert_close(correction_BT, torch.tensor([near, far]))


@pytest.mark.parametrize(("ratio", "expected"), [(2.5, 0.0), (1.9, 1.0), (0.6, 1.0), (0.4, 0.0)])
def test_a_completion_is_masked_if_its_mean_ratio_is_beyond_the_cap(
    ratio: float, expected: float
) -> None:
    log_ratio_BT = torch.full((1, 3), math.log(ratio))

    correction_BT = mismatches.sequence_masked(log_ratio_BT, torch.ones(1, 3), 2.0)

    assert correction_BT.tolist() == [[expected] * 3]


def test_the_cap_of_a_correction_is_the_one_asked_for() -> None:
    correct = make("grpo:mismatch=token_truncated:mismatch_cap=3").mismatch
    assert correct is not None

    correction_BT = correct(torch.tensor([[0.0, 9.0]]), torch.ones(1, 2))

    assert correction_BT.tolist() == [[1, 3]]
