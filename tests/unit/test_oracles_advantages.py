"""Advantages against those of other libraries, and why some of theirs differ."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from bandit import Bandit
from oracle_records import GROUP_B, MASK_BT, RECORDS, REWARD_B, names, oracle_batch, recorded
from torch import Tensor

from bakeoff.algorithms import make
from bakeoff.algorithms.advantages import (
    group_mean,
    group_normalised,
    group_std,
    leave_one_out,
    spread_scale,
)
from bakeoff.types import Batch, Credit

ALL_AS_ONE_B = torch.zeros(8, dtype=torch.long)
SINGLE_B = torch.arange(8)


def of_preset(name: str) -> Tensor:
    """The advantage of each completion's first token, of a preset by that name."""
    batch = oracle_batch()._replace(greedy_reward_B=torch.full((8,), 0.5))
    return make(name).advantages(batch).adv_BT[:, 0]


def whole_batch_std() -> Tensor:
    """TRL's ``scale_rewards="batch"``: the group's mean, and the deviation of the whole batch."""
    deviation_B = REWARD_B - group_mean(REWARD_B, GROUP_B)
    return deviation_B / (group_std(REWARD_B, ALL_AS_ONE_B) + 1e-4)


def others_only(reward_B: Tensor, group_B: Tensor) -> Tensor:
    """NeMo-RL's default: mean *and* deviation are of the others, which is 1 where that is 0.

    The deviation then depends on the completion's own reward through its absence: one right reply
    among wrong ones is not divided at all, since all the others are equal.
    """
    adv_B = reward_B - leave_one_out(reward_B, group_B)
    for i in range(len(reward_B)):
        others = reward_B[(group_B == group_B[i]) & (torch.arange(len(reward_B)) != i)]
        std = others.std().item() if len(others) > 1 else 0.0
        adv_B[i] /= std + 1e-6 if std > 0 else 1.0
    return adv_B


ADVANTAGES: dict[str, Callable[[], Tensor]] = {
    "trl/grpo": lambda: group_normalised(REWARD_B, GROUP_B, eps=1e-4),
    "trl/grpo_batch_std": whole_batch_std,
    "trl/dr_grpo": lambda: of_preset("dr_grpo"),
    "trl/rloo": lambda: of_preset("rloo"),
    "verl/grpo": lambda: of_preset("grpo"),
    "verl/grpo_vectorized": lambda: of_preset("grpo"),
    "verl/dr_grpo": lambda: of_preset("dr_grpo"),
    "verl/rloo": lambda: of_preset("rloo"),
    "verl/rloo_vectorized": lambda: of_preset("rloo"),
    "verl/opo": lambda: of_preset("opo"),
    # verl's alpha is B / (rewards that are not 0) = 8/3; ours B / (completions in groups with
    # spread) = 8/8, as in the paper
    "verl/gpg": lambda: of_preset("gpg") * (8 / 3),
    "verl/rfpp_baseline": lambda: of_preset("reinforce++-baseline"),
    "verl/rfpp": lambda: of_preset("reinforce++"),
    "verl/remax(b=0.5)": lambda: of_preset("remax"),
    "openrlhf/group_norm": lambda: group_normalised(REWARD_B, GROUP_B, eps=1e-9),
    "openrlhf/rloo": lambda: of_preset("rloo"),
    "skyrl/grpo": lambda: of_preset("grpo"),
    "skyrl/rloo": lambda: of_preset("rloo"),
    # SkyRL divides by mean + 1e-6, ours by the mean: of the groups with means 1/2 and 1/4
    "skyrl/maxrl": lambda: (
        of_preset("maxrl") / (1 + 1e-6 / torch.tensor([0.5, 0.25]).repeat_interleave(4))
    ),
    "skyrl/rfpp": lambda: of_preset("reinforce++"),
    "nemo/grpo_loo=True": lambda: others_only(REWARD_B, GROUP_B),
    "nemo/grpo_loo=False": lambda: of_preset("grpo"),
}


@pytest.mark.parametrize("name", names("adv/"))
def test_advantages_are_the_recorded_ones(name: str) -> None:
    adv_B = ADVANTAGES[name.removeprefix("adv/")]()

    torch.testing.assert_close(adv_B.float(), recorded(name), rtol=0, atol=1e-6)


def test_the_advantage_of_every_token_is_its_completions() -> None:
    adv_BT = make("grpo").advantages(oracle_batch()).adv_BT

    torch.testing.assert_close(adv_BT, recorded("adv/verl/grpo")[:, None] * MASK_BT)


@pytest.mark.parametrize("record", ["verl_grpo", "verl_grpo_vectorized", "verl_rloo"])
def test_a_group_of_one_gets_nothing_where_verl_pays_its_raw_reward(record: str) -> None:
    batch = oracle_batch()._replace(group_B=SINGLE_B)

    adv_BT = make(record.split("_")[1]).advantages(batch).adv_BT

    # verl takes the mean of one as 0 and its deviation as 1, but for its epsilon of 1e-6
    torch.testing.assert_close(recorded(f"singleton/{record}"), REWARD_B, rtol=0, atol=1e-6)
    assert adv_BT.abs().max() == 0


def test_a_group_of_one_gets_nothing_as_in_verls_vectorised_rloo() -> None:
    adv_B = REWARD_B - leave_one_out(REWARD_B, SINGLE_B)

    torch.testing.assert_close(adv_B.float(), recorded("singleton/verl_rloo_vectorized"))


@pytest.mark.parametrize("g", [2, 4, 8, 16])
def test_one_right_reply_of_g_is_worth_what_verl_says(g: int) -> None:
    # reward 1 of g: mean 1/g, deviation 1/sqrt(g): (g - 1)/sqrt(g) and -1/sqrt(g)
    expected = recorded_pair(g, "verl_grpo")

    batch = Bandit([0.5, 0.5], [1.0, 0.0]).batch([0] + [1] * (g - 1))
    adv_B = make("grpo").advantages(batch).adv_BT[:, 0]

    assert adv_B[0].item() == pytest.approx((g - 1) / g**0.5, rel=1e-5)
    assert adv_B[:2].tolist() == pytest.approx(expected, abs=5.1e-5)  # recorded with four digits


@pytest.mark.parametrize("g", [2, 4, 8, 16])
def test_nemo_pays_one_right_reply_the_same_in_every_group(g: int) -> None:
    reward_B = (torch.arange(g) < 1).float()

    adv_B = others_only(reward_B, torch.zeros(g, dtype=torch.long))

    assert adv_B[:2].tolist() == pytest.approx(recorded_pair(g, "nemo_default"), abs=5.1e-5)


def recorded_pair(g: int, library: str) -> list[float]:
    pair: list[float] = RECORDS[f"one_correct/G={g}"][library]
    return pair


@pytest.mark.parametrize("library", ["trl eps1e-4", "verl eps1e-6", "openrlhf eps1e-9"])
def test_the_epsilon_decides_what_near_constant_rewards_are_worth(library: str) -> None:
    reward_B = torch.tensor([0.5, 0.5, 0.5, 0.50001])

    adv_B = group_normalised(
        reward_B, torch.zeros(4, dtype=torch.long), eps=float(library.split("eps")[1])
    )

    expected_B = torch.tensor(RECORDS["near_constant_rewards"][library])
    torch.testing.assert_close(adv_B.float(), expected_B, rtol=0, atol=1e-6)


def test_seven_equal_rewards_and_a_better_one_are_no_three_thousand() -> None:
    # NeMo-RL's fp32 deviation of seven times .35 is not 0, and .95 - .35 divided by it is 3692;
    # ours: mean .425, deviation .6/sqrt(8): .525 * sqrt(8) / .6
    reward_B = torch.tensor([0.35] * 7 + [0.95])

    adv_B = group_normalised(reward_B, torch.zeros(8, dtype=torch.long))

    assert adv_B[-1].item() == pytest.approx(0.525 * 8**0.5 / 0.6, rel=1e-5)


def nonzero_scaled(batch: Batch) -> Credit:
    """verl's gpg: the number of rewards that are not 0 in the place of groups with spread."""
    adv_B = batch.reward_B - group_mean(batch.reward_B, batch.group_B)
    nonzero = (batch.reward_B != 0).sum().clamp(min=1)
    return Credit((adv_B * len(adv_B) / nonzero)[:, None])


def nemos(batch: Batch) -> Credit:
    return Credit(others_only(batch.reward_B, batch.group_B)[:, None])


BANDITS = {
    "raw reward": make("reinforce:baseline=no_baseline"),
    "dr_grpo (verl)": make("dr_grpo"),
    "rloo (verl)": make("rloo"),
    "grpo (verl)": make("grpo"),
    "maxrl (skyrl)": make("maxrl"),
    # of a single group B / nonzero is 1 / mean: verl's gpg is MaxRL there, and ours is Dr. GRPO
    "gpg (verl)": make("gpg")._replace(advantages=nonzero_scaled),
    "grpo nemo default": make("gpg")._replace(advantages=nemos),
}


@pytest.mark.parametrize("p", ["0.05", "0.25", "0.5", "0.75", "0.95"])
@pytest.mark.parametrize("name", names("bandit_G8_weight_var/"))
def test_weight_and_variance_on_the_bandit_are_the_recorded_ones(name: str, p: str) -> None:
    """Of all batches of eight pulls: E[g] as a multiple of p (1 - p), and Var(g), by enumeration.

    The oracle's one parameter is the log-odds of the arm that pays: the difference of the two
    logits, so that the gradient in it is that in the first logit.
    """
    expected = RECORDS[name][p]
    algorithm = BANDITS[name.removeprefix("bandit_G8_weight_var/")]

    found = Bandit([float(p), 1 - float(p)], [1.0, 0.0]).outcomes(algorithm, 8)
    mean = float(found.mean_K[0])
    weight = mean / (float(p) * (1 - float(p)))
    variance = float(found.probability_M @ (found.gradient_MK[:, 0] - mean) ** 2)

    # recorded with four and six digits; SkyRL's maxrl has an epsilon of 1e-6 beside the mean
    epsilon = 1e-4 if "skyrl" in name else 0
    assert weight == pytest.approx(expected["weight"], abs=6e-5 + epsilon)
    assert variance == pytest.approx(expected["var"], abs=6e-7 + 0.03 * epsilon)
    assert variance / weight**2 == pytest.approx(expected["var/weight^2"], abs=2e-6)


def test_a_group_without_spread_scales_gpg_up() -> None:
    # eight completions, four of them in the group with spread: 8/4
    reward_B = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0])

    assert spread_scale(reward_B, GROUP_B).item() == 2
