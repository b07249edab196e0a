"""The parts of a replay: sketches, one update, estimates of few replicates, and words for them."""

from __future__ import annotations

import math

import pytest
import torch
from replay_world import half_right
from small_world import small_model

from bakeoff.comparisons.replay import estimates, reading, tables
from bakeoff.comparisons.replay.gradients import SKETCH_SIZE, norm, sketch
from bakeoff.comparisons.replay.recording import SAMPLE, Recording
from bakeoff.comparisons.replay.updates import Twin, mean_kls
from bakeoff.types import Batch


@pytest.fixture(scope="module")
def small() -> Recording:
    return half_right()


def test_a_small_gradient_is_kept_as_it_is() -> None:
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([1.0, 2.0, 3.0])

    assert sketch([parameter], size=3).tolist() == [1.0, 2.0, 3.0]


def test_inner_products_of_sketches_are_those_of_the_gradients() -> None:
    # 20,000 coordinates in 2,000 sums; the standard deviation is at most sqrt(2 / 2000) of the
    # product of the norms, 0.032: four of them
    torch.manual_seed(0)
    parameters = [torch.nn.Parameter(torch.zeros(10_000)) for _ in range(2)]
    full, sketched = [], []
    for _ in range(2):
        for parameter in parameters:
            parameter.grad = torch.randn(10_000) + 0.5
        full.append(torch.cat([p.grad for p in parameters if p.grad is not None]))
        sketched.append(sketch(parameters, size=2_000))

    error = float(sketched[0] @ sketched[1] - full[0] @ full[1])
    assert len(sketched[0]) == 2_000 < SKETCH_SIZE
    assert abs(error) < 4 * 0.032 * float(full[0].norm() * full[1].norm())


def test_the_copy_is_the_policy_again_after_a_step(small: Recording) -> None:
    policy = small_model().model
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    twin = Twin(policy)
    for parameter in twin.parameters:
        parameter.grad = torch.ones_like(parameter)

    update = twin.step(small.batch(small.of(SAMPLE)), 1e-2, temperature=1.0, micro_batch=64)

    assert update.norm > 0
    for model in (policy, twin.model):
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_first_step_of_adamw_has_the_learning_rates_length_in_every_coordinate(
    small: Recording,
) -> None:
    # from fresh averages it is lr * g / (|g| + 1e-8), so the norm is lr * sqrt(parameters)
    twin = Twin(small_model().model)
    for parameter in twin.parameters:
        parameter.grad = torch.ones_like(parameter)
    numbers = sum(parameter.numel() for parameter in twin.parameters)

    update = twin.step(small.batch(small.of(SAMPLE)), 1e-3, temperature=1.0, micro_batch=64)

    assert update.norm == pytest.approx(1e-3 * math.sqrt(numbers), rel=1e-3)


def two_tokens(tokens: list[int]) -> Batch:
    n = len(tokens)
    mask_BT = torch.ones(n, 1)
    zeros_B = torch.zeros(n)
    return Batch(
        prompt_BP=torch.zeros(n, 1, dtype=torch.long),
        prompt_mask_BP=torch.ones(n, 1),
        token_BT=torch.tensor(tokens)[:, None],
        mask_BT=mask_BT,
        logp_old_BT=mask_BT,
        reward_B=zeros_B,
        group_B=torch.arange(n),
        truncated_B=zeros_B,
        limit_B=zeros_B + 1,
    )


def test_exact_kl_is_summed_over_the_vocabulary() -> None:
    # KL((1/2, 1/2) || (1/4, 3/4)) = 1/2 log 2 + 1/2 log(2/3)
    old_V, new_V = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.25, 0.75]).log()

    _, exact = mean_kls(
        lambda b: old_V.expand(*b.token_BT.shape, 2),
        lambda b: new_V.expand(*b.token_BT.shape, 2),
        two_tokens([0, 0, 1]),
        micro_batch=2,
    )

    assert exact == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel=1e-5)


def test_k3_is_of_the_recorded_tokens() -> None:
    # r = new / old is 1/2 for token 0: r - 1 - log r = -1/2 + log 2
    old_V, new_V = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.25, 0.75]).log()

    k3, _ = mean_kls(
        lambda b: old_V.expand(*b.token_BT.shape, 2),
        lambda b: new_V.expand(*b.token_BT.shape, 2),
        two_tokens([0, 0, 0]),
        micro_batch=2,
    )

    assert k3 == pytest.approx(math.log(2) - 0.5, rel=1e-5)


def test_the_pooled_reference_leaves_out_the_replicate_that_is_judged() -> None:
    # a_1 = b_1 = (1, 0), a_2 = b_2 = (0, 1): each is orthogonal to what it is compared with
    gram_RR = torch.eye(2, dtype=torch.float64)

    assert estimates.cosines_to_others(gram_RR, gram_RR, gram_RR) == [0.0, 0.0]


def test_a_negative_signal_is_reported_as_it_is() -> None:
    # two opposite gradients of length 1: the only product of different ones is -1
    gram_RR = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)

    assert estimates.signal(gram_RR) == -1.0
    assert estimates.expected_cosine(gram_RR, gram_RR, gram_RR) is None


def test_two_replicates_give_no_interval() -> None:
    gram_RR = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)

    assert estimates.jackknife(estimates.snr, gram_RR) == (1.0, None, None)


def test_the_ratio_of_an_snr_to_itself_has_no_width() -> None:
    gram_RR = torch.eye(4, dtype=torch.float64) + 0.5

    assert tables.snr_to_reference(gram_RR, 9 * gram_RR) == pytest.approx((1.0, 1.0, 1.0))


def test_clusters_hold_only_what_is_near_to_all_in_them() -> None:
    # a is near b and c, but b and c are not near each other
    pairs = [
        {"algorithm_a": "a", "algorithm_b": "b", "cosine": 0.995},
        {"algorithm_a": "a", "algorithm_b": "c", "cosine": 0.995},
        {"algorithm_a": "b", "algorithm_b": "c", "cosine": 0.98},
    ]

    assert reading.clusters(["a", "b", "c"], pairs) == [["a", "b"], ["c"]]


def test_the_norm_is_that_of_all_parameters() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0]), torch.tensor([4.0])

    assert norm(parameters) == 5.0
