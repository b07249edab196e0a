"""Every KL estimator by enumeration: what its value and its gradient are in expectation.

A policy over six tokens, its reference, and the older policy that sampled. An expectation is a sum
over the tokens, so a claim of the table in ``bakeoff.algorithms.kl`` is an equation.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bakeoff.algorithms import kl
from bakeoff.algorithms.grpo import grpo

ESTIMATORS = [kl.k1, kl.k2, kl.k3, kl.k1_weighted, kl.k3_weighted, kl.k3_straight]
LOGITS_V = torch.tensor([0.8, -0.4, 0.3, -1.2, 0.0, 0.5], dtype=torch.float64)
REFERENCE_V = torch.tensor([0.1, 0.6, -0.7, 0.2, -0.5, 0.9], dtype=torch.float64).log_softmax(0)
OTHER_V = torch.tensor([-0.3, 0.2, 0.9, -0.1, 0.4, -0.6], dtype=torch.float64).log_softmax(0)


def expected(estimator: kl.Kl, old_V: Tensor | None) -> tuple[float, Tensor]:
    """The value and the gradient that tokens of an old policy (or its own) give on average."""
    logits_V = LOGITS_V.clone().requires_grad_()
    logp_V = logits_V.log_softmax(0)
    old_V = logp_V.detach() if old_V is None else old_V
    mean = (old_V.exp() * estimator(logp_V - REFERENCE_V, logp_V - old_V)).sum()
    (grad_V,) = torch.autograd.grad(mean, logits_V)
    return mean.item(), grad_V


def divergence(backwards: bool = False) -> tuple[float, Tensor]:
    """KL(policy || reference), or of the reference to the policy, and its gradient."""
    logits_V = LOGITS_V.clone().requires_grad_()
    logp_V = logits_V.log_softmax(0)
    value = (logp_V.exp() * (logp_V - REFERENCE_V)).sum()
    if backwards:
        value = (REFERENCE_V.exp() * (REFERENCE_V - logp_V)).sum()
    (grad_V,) = torch.autograd.grad(value, logits_V)
    return value.item(), grad_V


def same(found_V: Tensor, expected_V: Tensor) -> bool:
    return torch.allclose(found_V, expected_V, rtol=0, atol=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_values_of_ones_own_tokens_are_unbiased_but_for_k2(estimator: kl.Kl) -> None:
    value, _ = expected(estimator, None)

    unbiased = value == pytest.approx(divergence()[0], abs=1e-12)
    assert unbiased == (estimator is not kl.k2)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_values_of_an_older_policys_tokens_need_the_ratio(estimator: kl.Kl) -> None:
    value, _ = expected(estimator, OTHER_V)

    unbiased = value == pytest.approx(divergence()[0], abs=1e-12)
    assert unbiased == (estimator in (kl.k1_weighted, kl.k3_weighted))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradients_of_ones_own_tokens_are_exact_but_for_k1_and_k3(estimator: kl.Kl) -> None:
    _, grad_V = expected(estimator, None)

    assert same(grad_V, divergence()[1]) == (estimator not in (kl.k1, kl.k3))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradients_of_an_older_policys_tokens_need_the_ratio(estimator: kl.Kl) -> None:
    _, grad_V = expected(estimator, OTHER_V)

    assert same(grad_V, divergence()[1]) == (estimator in (kl.k1_weighted, kl.k3_weighted))


def test_k1_as_a_loss_has_no_gradient_of_ones_own_tokens() -> None:
    # E[d log pi] = 0
    assert same(expected(kl.k1, None)[1], torch.zeros(6, dtype=torch.float64))


def test_k3_as_a_loss_has_the_gradient_of_the_divergence_the_other_way_round() -> None:
    # E[(1 - ref / pi) d log pi] = -sum ref d log pi
    assert same(expected(kl.k3, None)[1], divergence(backwards=True)[1])


@pytest.mark.parametrize("old_V", [None, OTHER_V])
def test_k3_straight_has_the_value_of_k3_and_the_gradient_of_k2(old_V: Tensor | None) -> None:
    value, grad_V = expected(kl.k3_straight, old_V)

    assert value == pytest.approx(expected(kl.k3, old_V)[0], abs=1e-12)
    assert same(grad_V, expected(kl.k2, old_V)[1])


@pytest.mark.parametrize("estimator", [kl.k2, kl.k3, kl.k3_weighted, kl.k3_straight])
def test_estimates_that_are_said_to_be_never_negative_are_not(estimator: kl.Kl) -> None:
    delta_T = torch.linspace(-20, 20, 401, dtype=torch.float64)

    assert (estimator(delta_T, -delta_T) >= 0).all()


def test_k3_is_zero_at_agreement_and_close_to_half_the_square_nearby() -> None:
    # exp(-x) - 1 + x = x^2 / 2 - x^3 / 6 + ...
    zero, small = torch.tensor(0.0), torch.tensor(0.01, dtype=torch.float64)

    assert kl.k3(zero, zero).item() == 0
    assert kl.k3(small, small).item() == pytest.approx(0.5e-4 - 1e-6 / 6, rel=1e-5)


def test_k3_keeps_its_digits_where_the_two_agree_nearly() -> None:
    # x = 1e-3 in fp32: exp(-x) - 1 taken apart would leave two digits of x^2 / 2
    x = torch.tensor(1e-3)

    assert kl.k3(x, x).item() == pytest.approx(5e-7, rel=1e-3)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_manifest_names_the_estimator_of_the_loss(estimator: kl.Kl) -> None:
    said = grpo(kl_coef=0.5, kl=estimator).semantics["kl"]

    assert said == f"0.5 * {vars(estimator)['says']} of policy to reference, in the loss"


def test_the_enumerated_policies_differ_enough_to_tell_the_estimators_apart() -> None:
    assert divergence()[0] > 0.1
    assert not math.isclose(divergence()[0], divergence(backwards=True)[0], rel_tol=0.01)
