"""TRL's own trainers and this project's learner make the same step of the same completions.

Run with ``-rP`` to see the largest differences. A case is what TRL needs to be told, and the
algorithm here that is the same; the real trainers are constructed and trained, on the CPU in fp32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

pytest.importorskip("trl", reason="TRL is not installed: pip install 'bakeoff[trl]'")

from trl_updates import (
    PROMPTS,
    Update,
    batch_of,
    completions,
    drifted,
    own_updates,
    trl_rloo_updates,
    trl_updates,
)

from bakeoff.algorithms import make
from bakeoff.algorithms.aggregation import sequence_mean, sequence_sum
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.ratios import sequence_ratio
from bakeoff.algorithms.returns import overlong_penalty
from bakeoff.algorithms.surrogates import clipped
from bakeoff.types import Algorithm

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # TRL's own are its affair

TOLERANCE = 1e-5

REWARDS = [0, .6, .3, .4, .4, .9, .6, .3, .5, .5, .5, .5, 1, .2, .7, 0]  # fmt: skip
"""One group without spread. Where TRL divides by the deviation they are multiplied by ``LARGE``:
its 1e-4 beside the deviation and the 1e-6 here are then nothing; see the test of the two below."""

LARGE = 1000.0


class Case(NamedTuple):
    """What TRL's ``GRPOConfig`` needs, and the same algorithm here."""

    trl: dict[str, Any]
    algorithm: Algorithm
    scale: float = LARGE
    temperature: float = 1.0


def with_surrogate(low: float, high: float, dual: float | None = None) -> Algorithm:
    """Return GRPO with bounds that its preset has no argument for."""
    return make("grpo")._replace(policy_loss=PolicyLoss(clipped(low, high, dual)))


WHOLE = {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 1}
# the rate is such that the narrow bounds stop some completions and not all
GSPO = {
    "importance_sampling_level": "sequence",
    "epsilon": 3e-4,
    "epsilon_high": 4e-4,
    "learning_rate": 1e-3,
}

CASES = {
    # TRL's default loss is called dapo: GRPO with a mean over tokens
    "defaults": Case({}, make("grpo:aggregate=token_mean")),
    "grpo": Case({"loss_type": "grpo"}, make("grpo")),
    "grpo without deviation": Case(
        {"loss_type": "grpo", "scale_rewards": "none"}, make("grpo:scale_by_std=false"), scale=1
    ),
    "grpo at temperature 0.7": Case(
        {"loss_type": "grpo", "temperature": 0.7}, make("grpo"), temperature=0.7
    ),
    "clip-higher": Case({"loss_type": "grpo", "epsilon_high": 0.28}, with_surrogate(0.2, 0.28)),
    # delta is the dual clip's bound
    "delta": Case({"loss_type": "grpo", "delta": 1.3}, with_surrogate(0.2, 0.2, dual=1.3)),
    # TRL's default weighs k3 with the ratio
    "KL": Case({"loss_type": "grpo", "beta": 0.1}, make("grpo:kl_coef=0.1:kl=k3_weighted")),
    "KL, k3 as in the paper": Case(
        {"loss_type": "grpo", "beta": 0.1, "use_bias_correction_kl": False},
        make("grpo:kl_coef=0.1"),
    ),
    # neither dynamic sampling nor, unless it is given as a reward function, the overlong penalty
    "dapo": Case({"loss_type": "dapo", "epsilon_high": 0.28}, make("dapo:overlong_buffer=0")),
    # the name alone keeps the division by the deviation
    "dr_grpo": Case(
        {"loss_type": "dr_grpo", "scale_rewards": "none"}, make("dr_grpo"), scale=1
    ),
    # a mean over the tokens of one micro-batch: the same if there is only one
    "bnpo": Case({"loss_type": "bnpo", **WHOLE}, make("grpo:aggregate=token_mean:clip=0.2")),
    # the cap is absolute; the default of 0.2 would shorten every gradient to a fifth
    "cispo": Case({"loss_type": "cispo", "epsilon_high": 1.1}, make("cispo:cap=1.1")),
    "sapo": Case({"loss_type": "sapo"}, make("sapo")),
    "gspo": Case({"loss_type": "grpo", **GSPO}, make("gspo")),
    "luspo": Case({"loss_type": "luspo", **GSPO}, make("gspo")._replace(aggregate=sequence_sum)),
}  # fmt: skip


def rewards(case: Case) -> list[float]:
    """Return the case's rewards."""
    return [float(reward * case.scale) for reward in REWARDS]


def distance(one: Update, other: Update) -> float:
    """Return the largest difference of two updates' gradients."""
    assert one.gradients.keys() == other.gradients.keys()
    pairs = [(one.gradients[name], other.gradients[name]) for name in one.gradients]
    return max(float((a - b).abs().max()) for a, b in pairs)


def largest(update: Update) -> float:
    """Return the largest element of an update's gradient."""
    return max(float(gradient.abs().max()) for gradient in update.gradients.values())


def times(update: Update, factor: float) -> Update:
    """Return the update of a loss multiplied by a factor."""
    gradients = {name: gradient * factor for name, gradient in update.gradients.items()}
    return update._replace(loss=update.loss * factor, gradients=gradients)


def assert_same(theirs: list[Update], own: list[Update], factor: float = 1.0) -> None:
    """Check that losses and gradients are the same, theirs multiplied by a factor."""
    scaled = [times(update, factor) for update in theirs]
    loss = max(abs(a.loss - b.loss) for a, b in zip(scaled, own, strict=True))
    gradient = max(distance(a, b) for a, b in zip(scaled, own, strict=True))
    print(f"loss {loss:.1e}, gradient {gradient:.1e} of {max(map(largest, own)):.2g}")
    assert len(own) == 3
    assert min(map(largest, own)) > 1e-3
    assert loss <= TOLERANCE
    assert gradient <= TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_are_those_of_trl(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    written = completions(case.temperature)
    batch = batch_of(written, rewards(case))

    theirs = trl_updates(tmp_path, written, rewards(case), case.trl)
    own = own_updates(case.algorithm, batch, theirs, case.temperature)

    assert_same(theirs, own)


def test_the_completions_are_uneven_and_some_were_cut() -> None:
    written = completions()

    lengths = {len(completion.token_ids) for completion in written}
    assert min(lengths) == 1 and len(lengths) > 4
    assert 0 < sum(completion.truncated for completion in written) < len(written)


def test_each_case_is_another_gradient_once_the_policy_has_moved(tmp_path: Path) -> None:
    # otherwise equality with TRL would not show that the setting was mapped
    written, grpo = completions(), CASES["grpo"]
    moved = trl_updates(tmp_path, written, rewards(grpo), grpo.trl)[-1:]
    same = {"bnpo", "grpo at temperature 0.7"}  # as "defaults" here; and only sampled otherwise
    found = {
        name: own_updates(case.algorithm, batch_of(written, rewards(case)), moved)[0]
        for name, case in CASES.items()
        if name not in same
    }

    names = list(found)
    for index, one in enumerate(names):
        for other in names[:index]:
            assert distance(found[one], found[other]) > 100 * TOLERANCE, (one, other)


def test_the_1e_4_beside_trl_s_deviation_makes_its_gradient_smaller(tmp_path: Path) -> None:
    # every group is 0, 0, 1, 1: std = sqrt(1/3); advantages here are (std + 1e-4) / (std + 1e-6)
    # times TRL's, and the clipped loss is linear in a positive factor
    written, plain = completions(), [0.0, 0.0, 1.0, 1.0] * len(PROMPTS)
    std = (1 / 3) ** 0.5

    theirs = trl_updates(tmp_path, written, plain, {"loss_type": "grpo"})
    own = own_updates(make("grpo"), batch_of(written, plain), theirs)

    assert max(distance(a, b) for a, b in zip(theirs, own, strict=True)) > TOLERANCE
    assert_same(theirs, own, factor=(std + 1e-4) / (std + 1e-6))


def test_bnpo_of_trl_depends_on_the_size_of_the_micro_batches(tmp_path: Path) -> None:
    written, values = completions(), rewards(CASES["bnpo"])

    whole = trl_updates(tmp_path, written, values, {"loss_type": "bnpo", **WHOLE})
    pieces = trl_updates(tmp_path, written, values, {"loss_type": "bnpo"})

    assert distance(whole[0], pieces[0]) > 100 * TOLERANCE  # the same weights: no step was made yet


def test_dapo_of_trl_divides_each_of_several_steps_by_their_mean_number_of_tokens(
    tmp_path: Path,
) -> None:
    # four micro-batches, two optimiser steps: TRL divides both by half the tokens of all of them,
    # here each is divided by its own
    written, values = completions(), rewards(CASES["defaults"])
    tokens = [len(completion.token_ids) for completion in written]
    settings = {"gradient_accumulation_steps": 2, "steps_per_generation": 4}

    theirs = trl_updates(tmp_path, written, values, settings)
    own = own_updates(make("grpo:aggregate=token_mean"), batch_of(written, values), theirs)

    shares = [sum(tokens[row] for row in update.rows) for update in theirs]
    assert [len(update.rows) for update in theirs] == [8, 8, 8]
    assert shares[0] != shares[1]
    scaled = [times(u, sum(tokens) / 2 / share) for u, share in zip(theirs, shares, strict=True)]
    assert_same(scaled, own)


@pytest.mark.parametrize("loss_type", ["dapo", "grpo"])
def test_completions_without_a_counted_token_are_only_in_trl_s_mean(
    loss_type: str, tmp_path: Path
) -> None:
    # mask_truncated_completions masks the cut ones after their rewards went into the group's mean.
    # The mean over tokens does not see them. The mean over completions divides by all 16 in TRL,
    # by those with a counted token here.
    written, values = completions(), [reward * LARGE for reward in REWARDS]
    ended = sum(not completion.truncated for completion in written)
    factor = {"dapo": 1.0, "grpo": len(written) / ended}[loss_type]
    aggregate = {"dapo": "token_mean", "grpo": "sequence_mean"}[loss_type]
    batch = batch_of(written, values)
    batch = batch._replace(mask_BT=batch.mask_BT * (1 - batch.truncated_B[:, None]))

    settings = {"loss_type": loss_type, "mask_truncated_completions": True}
    theirs = trl_updates(tmp_path, written, values, settings)
    own = own_updates(make(f"grpo:aggregate={aggregate}"), batch, theirs)

    assert_same(theirs, own, factor)


@pytest.mark.parametrize(
    "mode, own_name, least",
    [
        ("token_truncate", "token_truncated", None),
        ("sequence_truncate", "sequence_truncated", None),
        ("token_mask", "token_masked", 1 / 1.5),
    ],
)
def test_the_correction_of_a_sampler_s_mismatch_is_trl_s(
    mode: str, own_name: str, least: float | None, tmp_path: Path
) -> None:
    written, values = drifted(completions()), rewards(CASES["grpo"])
    settings = {
        "loss_type": "grpo",
        "vllm_importance_sampling_mode": mode,
        "vllm_importance_sampling_clip_max": 1.5,
        "vllm_importance_sampling_clip_min": least,
    }
    batch = batch_of(written, values)

    theirs = trl_updates(tmp_path, written, values, settings)
    own = own_updates(make(f"grpo:mismatch={own_name}:mismatch_cap=1.5"), batch, theirs)

    assert_same(theirs, own)
    assert distance(own[0], own_updates(make("grpo"), batch, theirs)[0]) > 100 * TOLERANCE


def test_rloo_of_trl_is_a_clipped_ratio_of_whole_completions(tmp_path: Path) -> None:
    written, values = completions(), [float(reward) for reward in REWARDS]
    clipping = PolicyLoss(clipped(0.2, 0.2), level=sequence_ratio)
    algorithm = make("rloo:kl_coef=0.05")._replace(policy_loss=clipping, aggregate=sequence_mean)

    theirs = trl_rloo_updates(tmp_path, written, values, {"beta": 0.05, "epsilon": 0.2})
    own = own_updates(algorithm, batch_of(written, values), theirs)

    assert_same(theirs, own)


def test_rloo_has_trl_s_gradient_until_the_policy_has_moved(tmp_path: Path) -> None:
    written, values = completions(), [float(reward) for reward in REWARDS]

    theirs = trl_rloo_updates(tmp_path, written, values, {"beta": 0.05, "epsilon": 0.2})
    own = own_updates(make("rloo:kl_coef=0.05"), batch_of(written, values), theirs)

    assert largest(own[0]) > 1e-3
    assert distance(theirs[0], own[0]) <= TOLERANCE
    assert distance(theirs[1], own[1]) > 100 * TOLERANCE


def test_the_overlong_penalty_is_trl_s() -> None:
    from trl.rewards import get_soft_overlong_punishment

    lengths = list(range(1, 13))
    theirs = get_soft_overlong_punishment(max_completion_len=12, soft_punish_cache=4)(
        completion_ids=[[0] * length for length in lengths]
    )

    own = overlong_penalty(torch.tensor(lengths).float(), torch.full((12,), 12.0), 4 / 12)

    assert own.tolist() == pytest.approx(theirs, abs=1e-6)
