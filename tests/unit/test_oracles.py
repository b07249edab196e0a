"""Advantages, returns, losses and gradients against numbers recorded from other libraries."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bakeoff.algorithms import advantages as adv
from bakeoff.algorithms.aggregation import sequence_mean, token_mean
from bakeoff.algorithms.losses import clipped_policy_loss, k3, policy_gradient_loss
from bakeoff.types import Batch

ORACLE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "oracles" / "policy_gradient.json").read_text()
)


def tensor(key: str) -> torch.Tensor:
    return torch.tensor(ORACLE[key])


MASK_BT = tensor("input/mask")
REWARD_B = tensor("input/rewards")
GROUP_B = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])


def loss_inputs() -> tuple[Batch, torch.Tensor]:
    """The batch of the recorded losses, and the new log-probabilities.

    The advantages are not recorded; the policy-gradient loss is linear in them, so its recorded
    gradient, -A / tokens, gives them back.
    """
    logp_old_BT, logp_BT = tensor("input/old_logp"), tensor("input/new_logp")
    logp_BT[1, 2] = logp_old_BT[1, 2] + 1.7
    logp_BT[6, 1] = logp_old_BT[6, 1] + 2.72
    batch = Batch(
        prompt_BP=torch.zeros(8, 1),
        prompt_mask_BP=torch.ones(8, 1),
        token_BT=torch.zeros_like(MASK_BT),
        mask_BT=MASK_BT,
        logp_old_BT=logp_old_BT,
        reward_B=REWARD_B,
        group_B=GROUP_B,
        truncated_B=torch.zeros(8),
        logp_ref_BT=tensor("input/ref_logp"),
        adv_BT=-tensor("grad/reinforce (no ratio)/verl gpg") * MASK_BT.sum(),
    )
    return batch, logp_BT.requires_grad_()


def test_grpo_advantages_are_verls() -> None:
    deviation_B = REWARD_B - adv.group_mean(REWARD_B, GROUP_B)
    adv_B = deviation_B / (adv.group_std(REWARD_B, GROUP_B) + 1e-6)

    torch.testing.assert_close(adv_B.float(), tensor("adv/verl/grpo"), rtol=1e-6, atol=0)


def test_dr_grpo_advantages_are_verls() -> None:
    adv_B = REWARD_B - adv.group_mean(REWARD_B, GROUP_B)

    torch.testing.assert_close(adv_B.float(), tensor("adv/verl/dr_grpo"))


def test_leave_one_out_advantages_are_verls() -> None:
    adv_B = REWARD_B - adv.leave_one_out(REWARD_B, GROUP_B)

    torch.testing.assert_close(adv_B.float(), tensor("adv/verl/rloo"), rtol=1e-6, atol=0)


def test_returns_of_gae_are_torchrls() -> None:
    value_BT = tensor("input/values")
    adv_BT = adv.gae(tensor("input/token_level_rewards"), value_BT, MASK_BT, gamma=0.99, lam=0.95)

    torch.testing.assert_close(
        (adv_BT + value_BT) * MASK_BT, tensor("gae/returns/torchrl(oracle)"), rtol=1e-5, atol=1e-6
    )


def test_k3_is_verls() -> None:
    kl_BT = k3(tensor("input/ref_logp") - tensor("input/new_logp"))

    mean = (kl_BT * MASK_BT).sum() / MASK_BT.sum()
    assert mean.item() == pytest.approx(ORACLE["kl_mean/verl/k3"], rel=1e-5)


@pytest.mark.parametrize(
    ("name", "aggregate"),
    [
        ("ppo_clip/token_mean/verl", token_mean),
        ("ppo_clip/seq_mean_token_mean (GRPO paper)/verl", sequence_mean),
    ],
)
def test_clipped_loss_and_gradient_are_verls(name: str, aggregate) -> None:  # type: ignore[no-untyped-def]
    batch, logp_BT = loss_inputs()
    loss, sums = clipped_policy_loss(0.2)(batch._replace(weight_BT=aggregate(MASK_BT)), logp_BT)
    (grad_BT,) = torch.autograd.grad(loss, logp_BT)

    assert sums["clip_frac"] > 0  # else the clip would not be tested
    assert loss.item() == pytest.approx(ORACLE[f"loss/{name}"], rel=1e-5)
    torch.testing.assert_close(grad_BT, tensor(f"grad/{name}"), rtol=1e-4, atol=1e-7)


def test_a_clip_of_another_width_is_told_apart() -> None:
    batch, logp_BT = loss_inputs()
    loss, _ = clipped_policy_loss(0.21)(batch._replace(weight_BT=token_mean(MASK_BT)), logp_BT)

    assert loss.item() != pytest.approx(ORACLE["loss/ppo_clip/token_mean/verl"], rel=1e-4)


def test_policy_gradient_loss_is_verls() -> None:
    batch, logp_BT = loss_inputs()
    loss, _ = policy_gradient_loss(batch._replace(weight_BT=token_mean(MASK_BT)), logp_BT)

    assert loss.item() == pytest.approx(ORACLE["loss/reinforce (no ratio)/verl gpg"], rel=1e-5)


@pytest.mark.parametrize("flipped", [(0, 2), (1, 9)])
def test_a_wrong_mask_bit_is_told_apart(flipped: tuple[int, int]) -> None:
    batch, logp_BT = loss_inputs()
    mask_BT = MASK_BT.clone()
    mask_BT[flipped] = 0
    loss, _ = policy_gradient_loss(
        batch._replace(weight_BT=token_mean(mask_BT), mask_BT=mask_BT), logp_BT
    )

    assert loss.item() != pytest.approx(ORACLE["loss/reinforce (no ratio)/verl gpg"], rel=1e-3)
