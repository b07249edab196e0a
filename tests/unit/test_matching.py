"""Matched step size: what the length is, what the direction is, and when there is no step."""

from pathlib import Path

import pytest
import torch
from small_world import (
    EvenReplies,
    Successor,
    annotated,
    sampled_batch,
    small_config,
    small_model,
    small_training,
)

from bakeoff.algorithms import make
from bakeoff.errors import UsageError
from bakeoff.training.config import TrainConfig, flat, train_config
from bakeoff.training.learner import Learner
from bakeoff.training.ledger import Ledger
from bakeoff.training.matching import PASSES, Step, match_kl
from bakeoff.training.meter import Meter
from bakeoff.training.scoring import token_logps
from bakeoff.types import Batch, Item, Metrics, Score


class Never(Successor):
    """Pays for nothing."""

    def score(self, item: Item, reply: str) -> Score:
        return Score(0.0, {})


def learner_of(name: str, **knobs: object) -> Learner:
    return Learner(small_model(1), make(name), small_config(minibatches=1, **knobs), Ledger())


def moved(learner: Learner, batch: Batch | None = None) -> tuple[torch.Tensor, Metrics]:
    """The change of all weights in one update of one step, and its metrics."""
    before = torch.nn.utils.parameters_to_vector(learner.policy.parameters()).detach().clone()
    batch = annotated(learner, sampled_batch(small_model(1)) if batch is None else batch)
    metrics = learner.learn(batch, 0, 0, Meter("cpu"))
    after = torch.nn.utils.parameters_to_vector(learner.policy.parameters()).detach()
    return after - before, metrics


@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "reinforce", "rloo", "ppo"])
def test_a_matched_norm_is_the_norm_of_the_weights_change(name: str) -> None:
    change, metrics = moved(learner_of(name, match="norm", match_target=0.05))

    assert change.norm().item() == pytest.approx(0.05, rel=1e-4)
    assert metrics["update_norm"] == pytest.approx(0.05, rel=1e-4)


@pytest.mark.parametrize("learning_rate", [1e-4, 1e-2])
def test_the_scale_is_that_of_the_optimisers_own_step(learning_rate: float) -> None:
    own, _ = moved(learner_of("grpo", learning_rate=learning_rate))
    knobs = {"match": "norm", "match_target": 0.05, "learning_rate": learning_rate}
    _, metrics = moved(learner_of("grpo", **knobs))

    assert metrics["step_scale"] == pytest.approx(0.05 / own.norm().item(), rel=1e-3)


@pytest.mark.parametrize("match", ["norm", "kl"])
def test_a_matched_step_keeps_its_direction(match: str) -> None:
    own, _ = moved(learner_of("grpo"))
    change, _ = moved(learner_of("grpo", match=match, match_target=0.001))

    cosine = torch.nn.functional.cosine_similarity(own, change, dim=0)
    assert cosine.item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "ppo", "ppo:critic=shared"])
@pytest.mark.parametrize("target", [1e-5, 1e-3, 1e-1])
def test_a_matched_kl_is_the_kl_of_the_step(name: str, target: float) -> None:
    learner = learner_of(name, match="kl", match_target=target, micro_batch=5)
    batch = sampled_batch(small_model(1))
    before_BT = token_logps(small_model(1).model, batch)[0].detach()

    _, metrics = moved(learner, batch)

    # by its definition, over tokens: mean of ratio - 1 - log ratio, ratio = new / old
    log_ratio_N = (token_logps(learner.policy, batch)[0].detach() - before_BT)[batch.mask_BT > 0]
    kl = (log_ratio_N.exp() - 1 - log_ratio_N).mean().item()
    assert kl == pytest.approx(target, rel=0.06)
    assert metrics["step_kl"] == pytest.approx(kl, rel=0.01)


def test_a_matched_kl_needs_few_measurements() -> None:
    _, metrics = moved(learner_of("grpo", match="kl", match_target=1e-3))

    assert 2 <= metrics["match/passes"] <= 4


def test_a_kl_that_is_not_reached_is_told_as_it_is() -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    step = Step([weight])
    with torch.no_grad():
        weight += 1.0

    # no length gives this KL, which is 3 everywhere
    metrics = match_kl(step, 1.0, lambda: 3.0)

    assert metrics["step_kl"] == 3.0
    assert metrics["match/passes"] == PASSES


def test_a_step_that_makes_no_kl_stays_as_it_is() -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    step = Step([weight])
    with torch.no_grad():
        weight += 1.0

    metrics = match_kl(step, 1.0, lambda: 0.0)

    assert weight.item() == 2.0
    assert metrics["step_scale"] == 1.0


def test_a_schedule_shortens_matched_steps() -> None:
    norm, kl = (
        moved(learner_of("grpo", match=match, match_target=0.01, warmup_updates=4))[1]
        for match in ("norm", "kl")
    )

    # the first of four updates of warm-up: a quarter of the length, and a KL of its square
    assert norm["update_norm"] == pytest.approx(0.01 / 4, rel=1e-3)
    assert kl["step_kl"] == pytest.approx(0.01 / 16, rel=0.06)


@pytest.mark.parametrize("match", ["norm", "kl"])
def test_without_a_gradient_there_is_no_step_of_a_given_length(match: str) -> None:
    learner = learner_of("grpo", match=match, match_target=0.001)
    moved(learner)  # the optimiser has momentum now
    batch = sampled_batch(small_model(1))

    change, metrics = moved(learner, batch._replace(reward_B=torch.ones_like(batch.reward_B)))

    assert not change.any()
    assert metrics["update_norm"] == metrics["step_scale"] == 0.0


def test_steps_with_and_without_a_gradient_go_into_one_mean() -> None:
    training = small_training(environment=Never(), match="kl", match_target=0.001)

    *_, last = training.run()

    assert last.metrics["match/passes"] == last.metrics["step_kl"] == 0.0


def test_without_matching_nothing_is_copied_or_said() -> None:
    learner = learner_of("grpo")

    _, metrics = moved(learner)

    assert not {"update_norm", "step_scale", "step_kl", "match/passes"} & metrics.keys()
    assert "other_tensors" not in learner.ledger.highest


def test_the_copy_of_the_weights_is_in_the_ledger() -> None:
    learner = learner_of("grpo", match="norm", match_target=0.01)

    weights = sum(p.nbytes for p in learner.policy.parameters())
    assert learner.ledger.highest["other_tensors"] == weights


def test_only_the_policys_step_is_matched() -> None:
    own, matched = learner_of("ppo"), learner_of("ppo", match="norm", match_target=1e-3)
    moved(own)
    moved(matched)

    assert own.critic is not None and matched.critic is not None
    torch.testing.assert_close(matched.critic.state_dict(), own.critic.state_dict())


def test_the_passes_that_measure_a_kl_are_operations() -> None:
    reports = []
    for knobs in ({"match": "norm"}, {"match": "kl"}):
        training = small_training(
            environment=EvenReplies(), updates=1, minibatches=1, match_target=1e-3, **knobs
        )
        *_, report = training.run()
        reports.append(report)
    norm, kl = reports

    # sampling and one step are the same; a step is three forward passes, each measurement is one
    extra = kl.counters.train_flops - norm.counters.train_flops
    lengths = [(2, len(sample.completion.token_ids)) for sample in everything()]
    forward = sum(training.flops.forward(p, t - 1, t) for p, t in lengths)
    assert extra == kl.metrics["match/passes"] * forward


def everything() -> list:  # type: ignore[type-arg]
    training = small_training(environment=EvenReplies(), updates=1, samples_per_update=99)
    return [sample for report in training.run() for sample in report.samples]


@pytest.mark.parametrize("match", ["norm", "kl"])
def test_a_resumed_run_with_matched_steps_is_the_same_to_the_bit(
    match: str, tmp_path: Path
) -> None:
    knobs = {"updates": 3, "checkpoint_every": 1, "match": match, "match_target": 1e-3}
    whole, stopped, resumed = (small_training(environment=EvenReplies(), **knobs) for _ in range(3))
    list(whole.run())
    for report in stopped.run(tmp_path):
        if report.update == 3:
            break
    list(resumed.run(tmp_path))

    expected = whole.learner.policy.state_dict()
    torch.testing.assert_close(resumed.learner.policy.state_dict(), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"match": "norm"}, "match norm needs a target: set match_target"),
        ({"match_target": 0.1}, "match_target is of no use without match"),
        ({"match": "length", "match_target": 0.1}, "match"),
        ({"match": "kl", "match_target": 0.0}, "match_target must be at least"),
    ],
)
def test_what_is_matched_and_its_target_go_together(knobs: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        train_config(knobs)


def test_settings_that_came_later_are_told_only_if_they_were_changed() -> None:
    plain = flat(TrainConfig())
    knobs = {"match": "kl", "match_target": 0.1, "sandbox": "none", "curriculum": "adaptive"}

    changed = flat(train_config(knobs))

    assert not knobs.keys() & plain.keys()
    assert {name: changed[name] for name in changed.keys() - plain.keys()} == knobs
    assert train_config(changed) == train_config(knobs)
