"""What a second reader of the algorithms found: filters, ranges, metrics and words that misled."""

from __future__ import annotations

import pytest
import torch
from small_world import sampled_batch, small_model, small_training
from torch import Tensor

from bakeoff.algorithms import make
from bakeoff.algorithms.losses import clipped_value_loss
from bakeoff.errors import UsageError
from bakeoff.types import Batch, Metrics


def batch_of(rewards: list[float], truncated: list[float]) -> Batch:
    """Four completions of each of three items, with these rewards."""
    batch = sampled_batch(small_model(), 12)
    return batch._replace(reward_B=torch.tensor(rewards), truncated_B=torch.tensor(truncated))


def test_a_group_whose_only_right_reply_was_cut_has_no_spread_to_learn_from() -> None:
    keep = make("dapo:drop_truncated=true").keep
    assert keep is not None
    rewards = [1.0, 0.0, 0.0, 0.0] * 3
    truncated = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]

    kept = keep(batch_of(rewards, truncated)).tolist()

    # without what was cut: 0 0 0, no spread; 1 0 0, spread; 0, alone
    assert kept == [False] * 4 + [True, False, True, True] + [False] * 4


def test_a_filter_after_that_of_cut_completions_may_be_left_with_none() -> None:
    keep = make("rft:drop_truncated=true").keep
    assert keep is not None

    assert not keep(batch_of([1.0] * 12, [1.0] * 12)).any()


def test_a_metric_that_only_some_steps_mention_is_0_in_the_others() -> None:
    training = small_training("grpo", updates=1, minibatches=2)
    policy_loss = training.learner.algorithm.policy_loss
    steps: list[int] = []

    def loss(batch: Batch, logp_BT: Tensor) -> tuple[Tensor, Metrics]:
        value, sums = policy_loss(batch, logp_BT)
        steps.append(len(steps))
        own = {"rare": 3.0 * float(batch.mask_BT.sum())} if len(steps) == 2 else {}
        return value, {**sums, **own}

    training.learner.algorithm = training.learner.algorithm._replace(policy_loss=loss)

    metrics = list(training.run())[-1].metrics

    # 3 per token in the second of two steps, nothing in the first
    assert len(steps) == 2
    assert metrics["rare"] == pytest.approx(1.5)


def test_no_value_is_counted_as_clipped_that_is_within_the_bounds() -> None:
    batch = batch_of([0.0] * 12, [0.0] * 12)
    generator = torch.Generator().manual_seed(0)
    old_BT, new_BT = (
        0.1 * torch.rand(batch.mask_BT.shape, generator=generator) * batch.mask_BT for _ in range(2)
    )
    batch = batch._replace(
        value_BT=old_BT, return_BT=torch.zeros_like(old_BT), weight_BT=batch.mask_BT
    )

    _, sums = clipped_value_loss(0.2)(batch, new_BT)

    # none moved by more than 0.1, and where R is 0 the least rounding would show
    assert sums["clip_frac/value"] == 0


@pytest.mark.parametrize("baseline", ["group_mean", "leave_one_out"])
def test_a_baseline_of_the_group_needs_a_group(baseline: str) -> None:
    with pytest.raises(UsageError, match="at least 2 completions"):
        small_training(f"reinforce:baseline={baseline}", group_size=1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("grpo:kl_coef=.inf", "kl_coef must be a number of at least 0, not inf"),
        ("sapo:tau_positive=.inf", "tau_positive must be a number of at least 0.01, not inf"),
        ("vapo:imitation_coef=1e400", "imitation_coef must be a number of at least 0, not inf"),
        (f"ppo:kl_coef=1{'0' * 400}", "kl_coef must be a number of at least 0"),
        ("ppo:critic=shared:value_coef=0", "value_coef must be a number of at least 1e-06, not 0"),
        ("grpo:kl=k2", "kl is of no use without kl_coef"),
        ("grpo:mismatch_cap=3", "mismatch_cap is of no use without mismatch"),
        ("ppo:critic=[shared]", "unknown critic"),
        ("ppo:critic=null", "critic has no value; leave it out"),
        ("gspo:mismatch=token_truncate", "unknown mismatch of gspo .* mean 'token_truncated'"),
    ],
)
def test_an_argument_that_means_nothing_is_refused(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        make(spec)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "key", "words"),
    [
        # bounds are told to ten digits: six would make 0.9999997 a 1
        ("gspo:clip_low=3e-7", "surrogate", "clipped to [0.9999997, 1.0004]"),
        ("vapo", "advantage", "lambda 1 - 1/(0.05 * length), at least 0; 1 for"),
        ("maxrl", "advantage", "0 unless the mean is above 0"),
        ("ppo", "advantage", "whitened over tokens (ddof 1, variance + 1e-8)"),
        ("rloo:kl_coef=0.1", "advantage", "reward less 0.1 * sum of k1 to the reference"),
        ("grpo:mismatch=token_truncated", "mismatch", "the ratio is to the training model"),
        ("grpo:mismatch=sequence_masked", "mismatch", "geometric mean ratio"),
        ("dapo:drop_truncated=true", "filter", "of the others, groups without spread"),
    ],
)
def test_the_manifest_says_what_is_computed(spec: str, key: str, words: str) -> None:
    assert words in str(make(spec).semantics[key])


def test_the_advantage_of_a_group_that_earns_less_than_nothing_is_0_in_maxrl() -> None:
    batch = batch_of([-1.0, 0.5, -1.0, 0.5] * 3, [0.0] * 12)

    assert not make("maxrl").advantages(batch).adv_BT.any()
