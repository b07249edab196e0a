"""Samples drawn before their turn, here and in an engine that samples beside the learning."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from small_world import EvenReplies, small_training, stopped_and_resumed

from bakeoff.comparisons.report.checking import sums
from bakeoff.models.loading import LanguageModel
from bakeoff.training import gathering
from bakeoff.training.config import train_config
from bakeoff.training.loop import Training
from bakeoff.training.reports import Report
from bakeoff.training.sampling.builtin import sampler_of
from bakeoff.training.sampling.protocol import Decoding, Finished
from bakeoff.types import Completion, Item, Metrics

CORRECTED = "grpo:mismatch=token_truncated"
HARD = {"minibatches": 1, "learning_rate": 3e-2}
SLOW = pytest.mark.slow  # more of the same: each costs some tenths of a second


class Recording:
    """The sampler of a run, which notes the weights that each call with a temperature samples from.

    Attributes:
        drawn: a number of the weights, for each round.
    """

    kv_cache_bytes = 0

    def __init__(self, training: Training) -> None:
        self._policy, self._sampler = training.learner.policy, training.gatherer.sampler
        self.drawn: list[float] = []

    def sample(
        self,
        prompts: Sequence[tuple[int, ...]],
        n: int,
        decoding: Decoding,
        seed: int,
        finished: Finished | None = None,
        *,
        first: int = 0,
    ) -> list[Completion]:
        if decoding.temperature > 0:
            self.drawn.append(number(self._policy))
        return self._sampler.sample(prompts, n, decoding, seed, finished, first=first)


class Copy:
    """An engine with a copy of the policy, which samples as the built-in sampler does.

    Attributes:
        threads: those that drew samples.
    """

    kv_cache_bytes = 0

    def __init__(self, language_model: LanguageModel) -> None:
        self._policy = language_model.model
        self._copy = LanguageModel(
            copy.deepcopy(language_model.model), language_model.tokenizer, language_model.name
        )
        self._sampler = sampler_of(self._copy)
        self.threads: list[str] = []

    def synchronise(self) -> None:
        self._copy.model.load_state_dict(self._policy.state_dict())

    def close(self) -> None:
        self.threads.append("closed")

    def sample(
        self,
        prompts: Sequence[tuple[int, ...]],
        n: int,
        decoding: Decoding,
        seed: int,
        finished: Finished | None = None,
        *,
        first: int = 0,
    ) -> list[Completion]:
        if decoding.temperature > 0:
            self.threads.append(threading.current_thread().name.rstrip("_0"))
        return self._sampler.sample(prompts, n, decoding, seed, finished, first=first)


class Levels(EvenReplies):
    """Names levels, and has gold replies."""

    def item(self, index: int, split: str) -> Item:
        item = super().item(index, split)
        return Item(item.id, item.prompt, item.answer, item.gold, {"level": index % 3})

    def gold_reply(self, item: Item, replies: Sequence[str]) -> str:
        return item.answer


def number(policy: torch.nn.Module) -> float:
    return sum(float(weight.detach().double().abs().sum()) for weight in policy.parameters())


def metrics(reports: Sequence[Report]) -> list[Metrics]:
    """The metrics of all updates and evaluations, times left out."""
    return [
        {name: value for name, value in found.items() if not name.startswith("overlap/")}
        for report in reports
        for found in (report.metrics, report.eval_metrics)
    ]


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Training]:
    """Make runs whose server is a copy of the policy in this process."""
    monkeypatch.setattr(gathering, "engine_of", lambda model, *_: Copy(model))

    def run(algorithm: str, **knobs: object) -> Training:
        return small_training(algorithm, sampler="vllm_server", vllm_python="python", **knobs)

    return run


@pytest.mark.parametrize(
    ("staleness", "expected"), [(0, [0, 1, 2]), (1, [0, 0, 1]), (2, [0, 0, 0])]
)
def test_samples_are_drawn_from_the_weights_so_many_updates_before(
    staleness: int, expected: list[int]
) -> None:
    training = small_training(CORRECTED, staleness=staleness, environment=EvenReplies())
    recording = training.gatherer.sampler = Recording(training)

    weights = [number(training.learner.policy) for _ in training.run()]

    assert len(set(weights)) == 4  # every update moves them
    assert recording.drawn == [weights[version] for version in expected]


def test_the_age_of_samples_is_a_metric() -> None:
    training = small_training(CORRECTED, staleness=2, environment=EvenReplies())

    _, *reports = training.run()

    # all three are drawn before the first is learned
    ages = [0.0, 1.0, 2.0]
    assert [report.metrics["staleness/mean"] for report in reports] == ages
    assert [report.metrics["staleness/max"] for report in reports] == ages
    versions = [{sample.version for sample in report.samples} for report in reports]
    assert versions == [{update - age} for update, age in enumerate(ages)]


def test_without_staleness_nothing_is_said_of_it() -> None:
    _, report = small_training(updates=1).run()

    assert not [name for name in report.metrics if name.startswith(("staleness", "overlap"))]
    assert not train_config({}).corrected


def test_stale_samples_have_weights_that_the_fresh_ones_have_not() -> None:
    training = small_training(CORRECTED, updates=2, staleness=1, environment=EvenReplies(), **HARD)

    _, fresh, stale = training.run()

    assert train_config({"staleness": 1}).corrected
    assert fresh.metrics["mismatch/weight_max"] == pytest.approx(1, abs=1e-4)
    assert stale.metrics["mismatch/weight_max"] > 1.01


@pytest.mark.parametrize(
    "algorithm", ["dapo", pytest.param(CORRECTED, marks=SLOW), pytest.param("remax", marks=SLOW)]
)
def test_a_resumed_run_learns_from_the_samples_that_were_waiting(
    tmp_path: Path, algorithm: str
) -> None:
    knobs = {"updates": 6, "checkpoint_every": 2, "curriculum": "adaptive", "staleness": 2}

    whole, resumed, expected, found = stopped_and_resumed(
        lambda: small_training(algorithm, environment=Levels(), **knobs), tmp_path, 3
    )

    assert found == {update: expected[update] for update in (3, 4, 5, 6)}
    ours, theirs = (run.learner.policy.state_dict() for run in (resumed, whole))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("algorithm", "staleness"),
    [
        ("dapo", 1),
        ("remax", 2),
        *(
            pytest.param(algorithm, staleness, marks=SLOW)
            for algorithm in (CORRECTED, "dapo", "remax")
            for staleness in (0, 1, 2)
        ),
    ],
)
def test_sampling_beside_the_learning_changes_nothing(
    beside: Callable[..., Training], algorithm: str, staleness: int
) -> None:
    knobs = {"updates": 4, "eval_every": 2, "curriculum": "adaptive", "staleness": staleness}
    apart = beside(algorithm, environment=Levels(), **knobs)
    here = small_training(algorithm, environment=Levels(), **knobs)

    found, expected = metrics(list(apart.run())), metrics(list(here.run()))

    assert found == expected
    ours, theirs = (run.learner.policy.state_dict() for run in (apart, here))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_only_the_first_rounds_are_waited_for_whole(beside: Callable[..., Training]) -> None:
    training = beside(CORRECTED, updates=4, staleness=2, environment=EvenReplies())

    _, *reports = training.run()

    # update 0 and 1 before anything is learned, 2 beside the learning of 0, and 3 of 1
    drawn = ["MainThread", "MainThread", "bakeoff-sampling", "bakeoff-sampling", "closed"]
    assert training.gatherer.engine.threads == drawn  # type: ignore[union-attr]
    hidden = [report.metrics["overlap/rollout_s"] for report in reports]
    assert hidden[:2] == [0, 0]


def test_a_run_with_samples_in_flight_goes_on_to_the_same_curve(
    beside: Callable[..., Training], tmp_path: Path
) -> None:
    knobs = {"updates": 4, "checkpoint_every": 2, "staleness": 1, "environment": Levels()}

    _, _, expected, found = stopped_and_resumed(lambda: beside(CORRECTED, **knobs), tmp_path, 3)

    def timeless(update: int, metrics: Metrics) -> Metrics:
        return {name: value for name, value in metrics.items() if name != "overlap/rollout_s"}

    assert {u: timeless(u, m) for u, m in found.items()} == {
        update: timeless(update, expected[update]) for update in (3, 4)
    }


def test_an_error_of_the_engine_is_raised_where_its_samples_are_wanted(
    beside: Callable[..., Training],
) -> None:
    class Broken(EvenReplies):
        turns = 2

        def turn(self, item: Item, replies: Sequence[str]) -> None:
            if threading.current_thread() is not threading.main_thread():
                raise LookupError("no turn")

    training = beside(CORRECTED, updates=4, staleness=1, environment=Broken())
    reports = training.run()

    assert [next(reports).update, next(reports).update] == [0, 1]
    with pytest.raises(LookupError, match="no turn"):
        next(reports)


@pytest.mark.parametrize("staleness", [1, 2])
def test_a_budget_of_tokens_counts_what_was_sampled_and_not_learned_from(staleness: int) -> None:
    training = small_training(
        CORRECTED, updates=1000, budget="completion_tokens=60", staleness=staleness
    )
    recording = training.gatherer.sampler = Recording(training)

    *_, last = training.run()

    # the round that uses it up is the last to be learned from; one behind it may be there already
    assert last.counters.completion_tokens >= 60
    assert len(recording.drawn) == last.counters.updates + staleness - 1
    assert last.counters.completions == 16 * len(recording.drawn)


def test_gold_replies_are_never_stale() -> None:
    _, *reports = small_training("sft", updates=2, staleness=1, environment=Levels()).run()

    assert all("staleness/mean" not in report.metrics for report in reports)
    assert {sample.version for report in reports for sample in report.samples} == {None}


@pytest.mark.parametrize(("staleness", "findings"), [(0, 2), (1, 0)])
def test_rollouts_of_a_run_that_samples_ahead_add_up_over_all_updates(
    staleness: int, findings: int
) -> None:
    # update 1 samples for itself and for update 2, whose tokens count when they are learned from
    curves = [{"update": "0", "completion_tokens": "0"}]
    curves += [{"update": str(1 + n), "completion_tokens": str(30 + 30 * n)} for n in range(2)]
    phases = [{"update": str(1 + n), "phase": "rollout", "tokens": ("60", "")[n]} for n in range(2)]
    run = {
        "status": "ok",
        "attempt": 1,
        "completion_tokens": "60",
        "config_json": f'{{"staleness": {staleness}}}',
    }
    raw = {"curves.csv": curves, "phases.csv": phases}

    found = list(sums.tokens(run, raw, 2))

    assert len(found) == findings
