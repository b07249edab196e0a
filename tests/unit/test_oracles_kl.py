"""KL estimates against those of other libraries, values and gradients."""

from __future__ import annotations

import pytest
import torch
from oracle_records import MASK_BT, RECORDS, names, recorded
from torch import Tensor

from bakeoff.algorithms import kl
from bakeoff.algorithms.ratios import log_ratio

ESTIMATORS = {"k1": kl.k1, "k2": kl.k2, "k3": kl.k3, "k1*ratio": kl.k1_weighted}


@pytest.mark.parametrize("name", names("kl_mean/"))
def test_means_of_the_estimators_are_the_recorded_ones(name: str) -> None:
    """Of the log-probabilities as drawn, before some were replaced for the losses."""
    logp_BT, mask_BT = recorded("input/new_logp"), MASK_BT
    delta_BT = log_ratio(logp_BT, recorded("input/ref_logp"), mask_BT)
    log_ratio_BT = log_ratio(logp_BT, recorded("input/old_logp"), mask_BT)

    kl_BT = ESTIMATORS[name.split("/")[2]](delta_BT, log_ratio_BT)

    mean = (kl_BT * mask_BT).sum() / mask_BT.sum()
    assert mean.item() == pytest.approx(RECORDS[name], abs=1e-6)


def test_k3_is_not_capped_as_in_verl_but_exact_as_in_trl() -> None:
    # a log-ratio of -3.9: exp(3.9) - 1 - 3.9 = 44.5; verl, OpenRLHF, SkyRL and NeMo-RL stop at 10,
    # and beyond it their KL term has no gradient
    delta_BT = log_ratio(torch.tensor([[-4.0]]), torch.tensor([[-0.1]]), torch.ones(1, 1))

    kl_BT = kl.k3(delta_BT, delta_BT)

    record = RECORDS["kl_output_clamp"]
    assert kl_BT.item() == pytest.approx(record["trl k3"], rel=1e-6)
    assert record["verl k3 max"] == 10 < kl_BT.item()


def test_a_log_ratio_of_120_is_finite_where_trls_formula_is_infinite() -> None:
    # the log-ratio stops at 20: exp(20) - 1 - 20
    delta_BT = log_ratio(torch.tensor([[-120.0]]), torch.tensor([[0.0]]), torch.ones(1, 1))

    kl_BT = kl.k3(delta_BT, delta_BT)

    record = RECORDS["extreme_kl_k3/logdiff=120"]
    assert (record["trl formula"], record["verl"]) == ("inf", 10)
    assert kl_BT.item() == pytest.approx(485165195.4 - 21, rel=1e-6)


GRADIENTS = {
    "k1": kl.k1,
    "k2": kl.k2,
    "k3": kl.k3,
    "k3*ratio (trl use_bias_correction_kl / nemo)": kl.k3_weighted,
    "verl k3+": kl.k3_straight,
    # OpenRLHF's detaches the estimate and multiplies it by the policy's own log-probability
    "openrlhf unbiased": kl.k1_weighted,
}


@pytest.mark.parametrize("name", names("kl_grad_err/"))
def test_expected_gradients_are_as_far_from_the_true_one_as_recorded(name: str) -> None:
    logits_V = recorded("input/kl_logits").double().requires_grad_()
    reference_V = recorded("input/kl_reference_logits").double().log_softmax(-1)
    logp_V = logits_V.log_softmax(-1)
    old_V = logp_V.detach()

    estimate = GRADIENTS[name.removeprefix("kl_grad_err/")](logp_V - reference_V, logp_V - old_V)
    expected_V = gradient((old_V.exp() * estimate).sum(), logits_V)
    true_V = gradient((logp_V.exp() * (logp_V - reference_V)).sum(), logits_V)

    error = (expected_V - true_V).abs().max().item()
    assert error == pytest.approx(RECORDS[name], abs=1e-6)


def gradient(loss: Tensor, of: Tensor) -> Tensor:
    (grad,) = torch.autograd.grad(loss, of, retain_graph=True)
    return grad
