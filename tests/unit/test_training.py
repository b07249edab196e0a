"""The loop: exact gradients, common random numbers, what is left out, and going on to the bit."""

import math
from pathlib import Path

import pytest
import torch
from small_world import (
    Successor,
    annotated,
    sampled_batch,
    small_config,
    small_model,
    small_training,
    stopped_and_resumed,
)

from bakeoff.algorithms import ALGORITHMS, make
from bakeoff.errors import UsageError
from bakeoff.training.batch import collate, micro_batches, minibatches
from bakeoff.training.learner import Diverged, Learner
from bakeoff.training.ledger import Ledger
from bakeoff.training.loop import Training
from bakeoff.training.meter import Meter
from bakeoff.training.order import item_indices
from bakeoff.types import Batch, Item, Score


def gradients_of(learner: Learner, batch: Batch) -> list[torch.Tensor]:
    """The gradients of one update, of policy and critic, instead of the steps."""
    found: list[torch.Tensor] = []
    for model, optimizer in (
        (learner.policy, learner.optimizer),
        (learner.critic, learner.critic_optimizer),
    ):
        if model is not None and optimizer is not None:
            optimizer.step = lambda m=model: found.extend(  # type: ignore[method-assign,misc]
                p.grad.clone() for p in m.parameters() if p.grad is not None
            )
    learner.learn(batch, 0, 0, Meter("cpu"))
    return found


@pytest.mark.parametrize(
    "name", [*ALGORITHMS, "vapo:critic_warmup=0", "ppo:critic=shared", "ppo:critic=lora"]
)
def test_micro_batches_give_the_gradient_of_the_whole_batch(name: str) -> None:
    gradients = []
    for micro_batch in (5, 11, 12):  # the last of the first two have two rows, and one
        model = small_model(1)
        config = small_config(micro_batch=micro_batch, minibatches=1, max_grad_norm=1e9)
        learner = Learner(model, make(name), config, Ledger())
        if learner.critic is not None:  # a head of zeros passes no gradient on to what is below it
            torch.nn.init.constant_(learner.critic.head.weight, 0.1)
        batch = annotated(learner, sampled_batch(model))
        gradients.append(gradients_of(learner, batch))

    for grads in gradients[:-1]:
        torch.testing.assert_close(grads, gradients[-1], rtol=1e-4, atol=1e-7)


def test_trimming_a_micro_batch_keeps_every_counted_token() -> None:
    batch = sampled_batch(small_model(1))

    pieces = list(micro_batches(batch, 5))

    assert sum(float(p.mask_BT.sum()) for p in pieces) == float(batch.mask_BT.sum())
    assert sum(float(p.prompt_mask_BP.sum()) for p in pieces) == float(batch.prompt_mask_BP.sum())
    assert all(p.mask_BT.shape[1] == int(p.mask_BT.sum(1).max()) for p in pieces)


def test_minibatches_share_out_every_completion_once() -> None:
    batch = sampled_batch(small_model(1))._replace(group_B=torch.arange(12))

    pieces = [mini.group_B.tolist() for mini in minibatches(batch, 5, "test", 0)]

    assert sorted(row for piece in pieces for row in piece) == list(range(12))
    assert [len(piece) for piece in pieces] == [3, 3, 2, 2, 2]


@pytest.mark.parametrize("size", [1, 7, 10, 2**31])
def test_items_of_an_update_depend_on_the_seed_alone(size: int) -> None:
    assert item_indices(3, 5, 4, size) == item_indices(3, 5, 4, size)
    assert all(0 <= index < size for index in item_indices(3, 5, 4, size))
    assert size == 1 or any(
        item_indices(3, u, 4, size) != item_indices(4, u, 4, size) for u in range(3)
    )


def test_every_item_comes_once_before_one_comes_twice() -> None:
    drawn = [i for update in range(5) for i in item_indices(0, update, 3, 7)]

    assert sorted(drawn[:7]) == sorted(drawn[7:14]) == list(range(7))


@pytest.mark.parametrize("name", ["ppo", "reinforce"])
def test_all_algorithms_of_a_seed_meet_the_same_items_and_first_samples(name: str) -> None:
    reports = list(small_training(name, updates=1, samples_per_update=99).run())
    baseline = list(small_training("grpo", updates=1, samples_per_update=99).run())

    assert reports[1].samples == baseline[1].samples
    assert reports[0].eval_metrics == baseline[0].eval_metrics


def test_the_first_critic_values_are_zero() -> None:
    learner = Learner(small_model(1), make("ppo"), small_config(), Ledger())

    batch = learner.annotate(sampled_batch(small_model(1)), Meter("cpu"))

    assert batch.value_BT is not None
    assert (batch.value_BT == 0).all()


def test_a_reference_model_exists_only_when_a_kl_term_asks_for_it() -> None:
    without = Learner(small_model(), make("grpo"), small_config(), Ledger())
    having = Learner(small_model(), make("grpo:kl_coef=0.1"), small_config(), Ledger())

    assert without.reference is None
    assert having.reference is not None
    assert having.ledger.now["reference_weights"] == having.ledger.now["policy_weights"] > 0


def test_the_reference_stays_and_the_policy_moves() -> None:
    training = small_training("grpo:kl_coef=0.1")
    initial = small_model(0).model.state_dict()

    *_, last = training.run()

    assert training.learner.reference is not None
    torch.testing.assert_close(training.learner.reference.state_dict(), initial, rtol=0, atol=0)
    assert last.metrics["kl_ref"] > 0


class Unscorable(Successor):
    """Cannot score replies to odd items, or to any."""

    def __init__(self, odd_only: bool) -> None:
        self.odd_only = odd_only

    def score(self, item: Item, reply: str) -> Score:
        if not self.odd_only or int(item.prompt[0]) % 2:
            return Score(None, {}, "the checker timed out")
        return super().score(item, reply)


def takes_all_samples_as_they_are(name: str) -> bool:
    algorithm = make(name)
    return algorithm.keep is None and not algorithm.on_gold and not algorithm.needs_greedy


@pytest.mark.parametrize("name", [*filter(takes_all_samples_as_they_are, ALGORITHMS)])
def test_what_cannot_be_scored_is_left_out_and_counted(name: str) -> None:
    """The weights become those of a learner that never saw those completions."""
    training = small_training(name, environment=Unscorable(odd_only=True), updates=1)
    everything = small_training(name, updates=1, samples_per_update=16)
    samples = list(everything.run())[1].samples
    without = small_training(name, updates=1)
    even = [(i // 4, s) for i, s in enumerate(samples) if int(s.item.prompt[0]) % 2 == 0]
    batch = collate(
        [s.completion for _, s in even],
        [float(s.score.value or 0) for _, s in even],
        [group for group, _ in even],
        limit=2,
        pad_id=0,
    )
    without.learner.learn(annotated(without.learner, batch), 0, 0, Meter("cpu"))

    *_, report = training.run()

    torch.testing.assert_close(state(training), state(without), rtol=0, atol=0)

    items = item_indices(0, 0, 4, 10)
    odd = sum(index % 2 for index in items)
    assert report.counters.unscored_completions == 4 * odd > 0
    assert report.metrics["completions/unscored_frac"] == pytest.approx(odd / 4)


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "sft"])
def test_an_update_without_any_score_changes_nothing_and_goes_on(name: str) -> None:
    training = small_training(name, environment=Unscorable(odd_only=False), updates=2)

    *_, report = training.run()

    initial = small_model(0).model.state_dict()
    torch.testing.assert_close(training.learner.policy.state_dict(), initial, rtol=0, atol=0)
    assert "reward/mean" not in report.metrics
    assert report.counters.unscored_completions == report.counters.completions >= 2 * 16


def test_a_score_that_is_not_a_number_is_not_a_score() -> None:
    class Broken(Successor):
        def score(self, item: Item, reply: str) -> Score:
            return Score(math.nan, {})

    *_, report = small_training(environment=Broken(), updates=1).run()

    assert report.counters.unscored_completions == 16
    assert report.samples[0].score.reason == "the score is nan"


def test_a_loss_that_is_not_finite_ends_the_run_as_diverged() -> None:
    training = small_training("reinforce")
    broken = training.learner.algorithm._replace(
        policy_loss=lambda batch, logp_BT: (logp_BT.sum() * math.nan, {})
    )
    training.learner.algorithm = broken

    with pytest.raises(Diverged, match="policy loss is nan"):
        list(training.run())


def test_weights_that_are_not_finite_end_the_run_as_diverged() -> None:
    training = small_training()
    with torch.no_grad():
        next(training.learner.policy.parameters()).fill_(math.nan)

    with pytest.raises(Diverged, match="logits"):
        list(training.run())


def test_a_group_of_one_is_refused_where_groups_are_compared() -> None:
    with pytest.raises(UsageError, match="at least 2 completions"):
        small_training("grpo", group_size=1)

    small_training("reinforce", group_size=1)
    small_training("ppo", group_size=1)


HOLDING = ("grpo", "ppo", "vapo:critic_warmup=3", "grpo:kl_coef=0.1", "remax", "dapo", "sft")
"""A critic, a reference, greedy or gold replies, further rounds: what a checkpoint may hold."""


def state(training: Training) -> dict[str, torch.Tensor]:
    learner = training.learner
    tensors = {f"policy.{k}": v for k, v in learner.policy.state_dict().items()}
    if learner.critic is not None:
        tensors |= {f"critic.{k}": v for k, v in learner.critic.state_dict().items()}
    return tensors


@pytest.mark.parametrize(
    "name",
    [*HOLDING, *(pytest.param(n, marks=pytest.mark.slow) for n in ALGORITHMS if n not in HOLDING)],
)
def test_a_resumed_run_is_the_same_to_the_bit(name: str, tmp_path: Path) -> None:
    knobs = {"updates": 5, "checkpoint_every": 2, "warmup_updates": 2, "decay": "cosine"}

    whole, resumed, expected, metrics = stopped_and_resumed(
        lambda: small_training(name, **knobs), tmp_path, 3
    )

    assert list(metrics) == [3, 4, 5]
    assert metrics == {update: expected[update] for update in metrics}
    torch.testing.assert_close(state(resumed), state(whole), rtol=0, atol=0)
    assert resumed.counters.completion_tokens == whole.counters.completion_tokens


def test_a_checkpoint_of_another_formula_is_refused(tmp_path: Path) -> None:
    for _ in small_training("grpo:clip=0.2", updates=2, checkpoint_every=1).run(tmp_path):
        pass

    with pytest.raises(
        UsageError, match=r"its surrogate was .*\[0\.8, 1\.2\].* and is .*\[0\.7, 1\.3\]"
    ):
        next(small_training("grpo:clip=0.3", updates=3, checkpoint_every=1).run(tmp_path))


def test_a_kill_between_the_two_renames_of_a_checkpoint_loses_nothing(tmp_path: Path) -> None:
    training = small_training(updates=2, checkpoint_every=1)
    list(training.run(tmp_path))
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")

    resumed = small_training(updates=2, checkpoint_every=1)

    assert list(resumed.run(tmp_path)) == []
    torch.testing.assert_close(state(resumed), state(training), rtol=0, atol=0)
