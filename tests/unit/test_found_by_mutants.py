"""What planted bugs (``benchmarks/mutants.py``) showed that no other test would notice."""

from __future__ import annotations

import math

import torch
from math_batch import example_batch

from bakeoff.algorithms import make
from bakeoff.algorithms.advantages import spread_scale
from bakeoff.algorithms.stages import corrected


def test_gpgs_scale_counts_the_completions_of_groups_with_spread() -> None:
    # three groups of two, of which one has spread: 6 completions / 2; the other way round 6 / 4
    reward_B = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])

    assert spread_scale(reward_B, torch.tensor([0, 0, 1, 1, 2, 2])).item() == 3.0


def test_gpg_scales_up_for_groups_without_spread() -> None:
    # two groups of two, of which one has spread: 4 completions / 2, times dr_grpo's +-1/2 and 0
    batch = example_batch()._replace(reward_B=torch.tensor([1.0, 0.0, 1.0, 1.0]))

    adv_BT = make("gpg").advantages(batch).adv_BT

    assert adv_BT[:, 0].tolist() == [1.0, -1.0, 0.0, 0.0]


def test_the_correction_is_the_training_models_probability_over_the_samplers() -> None:
    # the training model finds each token twice as likely as the sampler did
    batch, algorithm = example_batch(), make("grpo:mismatch=token_truncated:mismatch_cap=10")
    logp_BT = batch.logp_old_BT + math.log(2) * batch.mask_BT

    found = corrected(algorithm, batch, logp_BT)

    assert found.correction_BT is not None
    torch.testing.assert_close(found.correction_BT[0], torch.full((3,), 2.0))
    assert found.logp_old_BT.equal(logp_BT)  # and the ratio is to the training model from now on
