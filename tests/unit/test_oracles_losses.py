"""Policy losses and their gradients against those of other libraries."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from oracle_records import MASK_BT, RECORDS, logps, names, oracle_batch, recorded
from torch import Tensor

from bakeoff.algorithms import make
from bakeoff.algorithms.aggregation import sequence_mean, sequence_sum, token_mean
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.ratios import sequence_ratio
from bakeoff.algorithms.stages import corrected, credited, weighted
from bakeoff.algorithms.surrogates import cispo, clipped
from bakeoff.types import Algorithm, Batch, Credit, Metrics

Loss = Callable[[Batch, Tensor], tuple[Tensor, Metrics]]
Aggregate = Callable[[Tensor, Tensor], Tensor]


def recorded_credit(batch: Batch) -> Credit:
    """The recorded advantages, which are in the batch already."""
    assert batch.adv_BT is not None
    return Credit(batch.adv_BT)


def preset(name: str) -> Algorithm:
    return make(name)._replace(advantages=recorded_credit)


def family(loss: Loss, aggregate: Aggregate) -> Algorithm:
    return Algorithm(recorded_credit, aggregate, loss)


def dual_clip(bound: float) -> PolicyLoss:
    return PolicyLoss(clipped(0.2, 0.2, dual=bound))


SEQUENCE_CLIP = PolicyLoss(clipped(0.2, 0.2), level=sequence_ratio)

FAMILIES = {
    "ppo_clip/token_mean": preset("ppo"),
    "ppo_clip/seq_mean_token_mean (GRPO paper)": preset("grpo"),
    # the constant is the width of the recorded batch, 10: of verl by default, of TRL and SkyRL a
    # setting
    "ppo_clip/constant (Dr.GRPO)": preset("dr_grpo"),
    # verl's default; TRL calls the bound delta, and applies it by clamping the ratio
    "dual_clip c=3": family(dual_clip(3.0), token_mean),
    "clip_higher .2/.28": preset("dapo"),
    # verl passes its shipped token mean into GSPO; this is with its sequence mean. All of them
    # leave the bounds at 0.2
    "gspo": preset("gspo:clip_low=0.2:clip_high=0.2"),
    "sapo": preset("sapo"),
    # TRL's cap is absolute; the others' is 1 + eps, and verl and NeMo-RL have a floor by default
    "cispo, upper cap 1.2 / no lower": preset("cispo:cap=1.2"),
    "reinforce (no ratio)": preset("gpg"),
    "tis token cap 2": preset("ppo:mismatch=token_truncated"),
    # TRL's RLOO clips the ratio of the whole completion, where verl's is per token and ours none
    "trl_only/rloo(sequence ratio, CLIPPED)": family(SEQUENCE_CLIP, sequence_mean),
    # TRL's default multiplies k3 by the ratio, which makes its gradient exact
    "trl_only/grpo+beta0.04": preset("grpo:kl_coef=0.04:kl=k3_weighted"),
    "trl_only/grpo delta=4": family(dual_clip(4.0), sequence_mean),
    # LUSPO is GSPO with every completion's loss times its length: a sum over its tokens
    "trl_only/luspo": family(make("gspo:clip_low=0.2:clip_high=0.2").policy_loss, sequence_sum),
}

CASES = [(which, name) for which in FAMILIES for name in names(f"loss/{which}")]


def loss_of(algorithm: Algorithm, batch: Batch | None = None) -> tuple[float, Tensor]:
    """The loss of the recorded batch, and its gradient with respect to the log-probabilities."""
    batch = oracle_batch() if batch is None else batch
    if algorithm.mismatch is not None:  # the sampler's, and the training model's before the update
        sampled = batch._replace(logp_old_BT=logps("rollout"))
        batch = corrected(algorithm, sampled, batch.logp_old_BT)
    batch = weighted(algorithm, credited(algorithm, batch))
    logp_BT = logps("new").requires_grad_()
    loss, _ = algorithm.policy_loss(batch, logp_BT)
    (grad_BT,) = torch.autograd.grad(loss, logp_BT)
    return loss.item(), grad_BT


@pytest.mark.parametrize(("which", "name"), CASES)
def test_losses_are_the_recorded_ones(which: str, name: str) -> None:
    loss, _ = loss_of(FAMILIES[which])

    assert loss == pytest.approx(RECORDS[name], abs=1e-6)


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("vapo:imitation_coef=0", "loss/clip_higher .2/.28/verl"),
        ("reinforce++", "loss/ppo_clip/token_mean/verl"),
        ("reinforce++-baseline", "loss/ppo_clip/token_mean/verl"),
        ("reinforce", "loss/reinforce (no ratio)/verl gpg"),
        ("rft", "loss/reinforce (no ratio)/verl gpg"),
    ],
)
def test_presets_that_share_a_loss_with_another_have_that_loss(name: str, record: str) -> None:
    loss, _ = loss_of(preset(name))

    assert loss == pytest.approx(RECORDS[record], abs=1e-6)


@pytest.mark.parametrize(("which", "name"), [case for case in CASES if "trl_only" not in case[1]])
def test_gradients_are_the_recorded_ones(which: str, name: str) -> None:
    _, grad_BT = loss_of(FAMILIES[which])

    expected_BT = recorded(name.replace("loss/", "grad/", 1))
    torch.testing.assert_close(grad_BT, expected_BT, rtol=0, atol=1e-6)


NEIGHBOURS = {
    "ppo_clip/token_mean": preset("ppo:clip=0.21"),
    "ppo_clip/seq_mean_token_mean (GRPO paper)": preset("grpo:aggregate=token_mean"),
    "ppo_clip/constant (Dr.GRPO)": preset("grpo:scale_by_std=false"),
    "dual_clip c=3": family(dual_clip(3.1), token_mean),
    "clip_higher .2/.28": preset("dapo:clip_high=0.2"),
    "gspo": preset("gspo:clip_low=1:clip_high=10"),
    "sapo": preset("sapo:tau_positive=1.05:tau_negative=1"),
    # the floor of 1 - .2 that verl and NeMo-RL have by default
    "cispo, upper cap 1.2 / no lower": preset("cispo:cap=1.2:floor=0.8"),
    "reinforce (no ratio)": preset("ppo"),
    "tis token cap 2": preset("ppo:mismatch=token_truncated:mismatch_cap=3"),
    "trl_only/rloo(sequence ratio, CLIPPED)": family(
        PolicyLoss(clipped(10.0, 10.0), level=sequence_ratio), sequence_mean
    ),
    "trl_only/grpo+beta0.04": preset("grpo:kl_coef=0.04:kl=k3"),
    "trl_only/grpo delta=4": preset("grpo"),
    "trl_only/luspo": preset("gspo:clip_low=0.2:clip_high=0.2"),
}


@pytest.mark.parametrize("which", FAMILIES)
def test_each_loss_is_told_apart_from_a_near_one(which: str) -> None:
    """A record that its neighbour would pass as well would show nothing."""
    loss, _ = loss_of(NEIGHBOURS[which])

    assert abs(loss - RECORDS[names(f"loss/{which}")[0]]) > 1e-4


@pytest.mark.parametrize("flipped", [(0, 2), (1, 9)])
def test_a_wrong_mask_bit_is_told_apart(flipped: tuple[int, int]) -> None:
    mask_BT = MASK_BT.clone()
    mask_BT[flipped] = 0

    loss, _ = loss_of(FAMILIES["reinforce (no ratio)"], oracle_batch()._replace(mask_BT=mask_BT))

    assert abs(loss - RECORDS["loss/reinforce (no ratio)/verl gpg"]) > 1e-3


def extreme(dual: float | None) -> float:
    """The loss of all-negative advantages with one log-ratio of 120."""
    batch = oracle_batch()
    assert batch.adv_BT is not None
    batch = batch._replace(
        adv_BT=-batch.adv_BT.abs(), weight_BT=token_mean(batch.mask_BT, batch.limit_B)
    )
    logp_BT = logps("new")
    logp_BT[0, 0] = batch.logp_old_BT[0, 0] + 120
    return float(PolicyLoss(clipped(0.2, 0.2, dual=dual))(batch, logp_BT)[0])


@pytest.mark.parametrize("library", ["verl", "openrlhf"])
def test_a_log_ratio_of_120_stops_at_20_as_in_verl_and_openrlhf(library: str) -> None:
    # exp(20) * .8138 / 46 = 8.58e6, beside which the other tokens are less than the last digit
    assert extreme(None) == pytest.approx(RECORDS[f"extreme_ratio/{library}"], rel=1e-6)


@pytest.mark.parametrize("library", ["trl real _compute_loss (dapo, A<0)", "nemo"])
def test_a_log_ratio_of_120_is_finite_where_trl_and_nemo_are_infinite(library: str) -> None:
    """They do not bound the log-ratio: exp(120) is beyond fp32."""
    assert RECORDS[f"extreme_ratio/{library}"] == "inf"
    assert extreme(None) < 1e7


def test_the_dual_clip_bounds_a_log_ratio_of_120_as_trls_delta() -> None:
    record = RECORDS["extreme_ratio/trl real _compute_loss (dapo, A<0, delta=4)"]

    assert extreme(4.0) == pytest.approx(record, abs=1e-6)


@pytest.mark.parametrize(
    ("record", "size"),
    [
        ("global token mean", 8),
        ("mean of 2 micro-batch token means (bnpo)", 4),  # TRL's bnpo: a mean of means
        ("mean of 8 (== GRPO seq-mean)", 1),  # and of pieces of one completion another algorithm
    ],
)
def test_weights_made_per_micro_batch_would_be_another_loss(record: str, size: int) -> None:
    batch, logp_BT = oracle_batch(), logps("new")
    pieces = torch.arange(8).split(size)

    losses = []
    for rows_B in pieces:
        piece = batch.rows(rows_B)
        weight_BT = token_mean(piece.mask_BT, piece.limit_B)
        losses.append(
            make("ppo").policy_loss(piece._replace(weight_BT=weight_BT), logp_BT[rows_B])[0]
        )

    mean = sum(losses, torch.zeros(())) / len(pieces)
    assert mean.item() == pytest.approx(RECORDS["microbatch_bias"][record], abs=1e-6)


def test_trls_cispo_with_its_default_cap_is_a_fifth_of_reinforce() -> None:
    """Its ``epsilon_high`` of .2 is the cap itself, not 1.2: every weight is .2 on-policy."""
    batch = oracle_batch()
    batch = batch._replace(weight_BT=token_mean(batch.mask_BT, batch.limit_B))
    logp_BT = batch.logp_old_BT.requires_grad_()

    loss, _ = PolicyLoss(cispo(0.2))(batch, logp_BT)
    (grad_BT,) = torch.autograd.grad(loss, logp_BT)

    torch.testing.assert_close(grad_BT, 0.2 * recorded("grad/reinforce (no ratio)/verl gpg"))
