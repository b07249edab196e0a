"""Budgets: what ends a run, that it ends there whatever comes between, and how they are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_world import Successor, small_training, stopped_and_resumed

from bakeoff.errors import UsageError
from bakeoff.training.config import TrainConfig, flat, train_config
from bakeoff.training.loop import Training
from bakeoff.training.reports import Report
from bakeoff.types import Item

NEVER = 1000
"""Updates that no run here comes to."""


class Gold(Successor):
    """Has replies to learn from."""

    def gold_reply(self, item: Item, replies: object) -> str:
        return item.answer


SMALL = {"prompts_per_update": 2, "group_size": 2, "eval_items": 2}
"""Updates of 4 completions of at most 2 tokens: no more than 8."""


def reports(**knobs: object) -> list[Report]:
    return list(small_training(**SMALL, **knobs).run())  # type: ignore[arg-type]


def used(found: list[Report], counter: str) -> list[float]:
    """A counter after each update; 0 before the first."""
    return [report.counters.as_dict()[counter] for report in found]


@pytest.mark.parametrize(
    ("kind", "counter"), [("completion_tokens", "completion_tokens"), ("flops", "train_flops")]
)
def test_a_run_stops_after_the_first_update_that_reaches_its_budget(
    kind: str, counter: str
) -> None:
    spent = used(reports(updates=4), counter)

    exact = reports(updates=NEVER, budget=f"{kind}={spent[2]}")
    one_more = reports(updates=NEVER, budget=f"{kind}={spent[2] + 1}")

    # two updates spend spent[2]: one unit more needs a third, which overshoots
    assert used(exact, counter) == spent[:3]
    assert used(one_more, counter) == spent[:4]


def test_seconds_of_training_end_a_run() -> None:
    # no update takes less than a nanosecond
    assert [report.update for report in reports(updates=NEVER, budget="train_s=1e-9")] == [0, 1]


def test_the_last_update_of_a_budget_is_evaluated() -> None:
    found = reports(updates=NEVER, eval_every=NEVER, budget="completion_tokens=20")

    assert [bool(report.eval_metrics) for report in found][1:-1] == [False] * (len(found) - 2)
    assert found[-1].eval_metrics["score/mean"] >= 0


def test_updates_stay_a_ceiling() -> None:
    found = reports(updates=2, budget="completion_tokens=1000000")

    assert [report.update for report in found] == [0, 1, 2]
    assert [report.done_frac for report in found] == [0.0, 0.5, 1.0]


def test_two_algorithms_overshoot_an_equal_budget_by_less_than_an_update_each() -> None:
    budget = 20
    for algorithm in ("grpo", "ppo"):
        tokens = used(
            reports(algorithm=algorithm, updates=NEVER, budget=f"completion_tokens={budget}"),
            "completion_tokens",
        )

        assert tokens[-2] < budget <= tokens[-1]


def test_memory_ends_no_run() -> None:
    assert reports(updates=2, budget="memory=1GiB")[-1].update == 2


def test_a_stopped_run_goes_on_to_the_same_budget_and_the_same_curve(tmp_path: Path) -> None:
    def run() -> Training:
        # 25 tokens are used up in 4 updates or more
        knobs = {**SMALL, "updates": NEVER, "decay": "linear", "checkpoint_every": 2}
        return small_training(budget="completion_tokens=25", **knobs)  # type: ignore[arg-type]

    found = stopped_and_resumed(run, tmp_path, last=3)

    # the checkpoint is that of update 2, and what came after it is made again
    assert min(found.metrics) == 3
    timeless = {
        update: {k: v for k, v in metrics.items() if "seconds" not in k and not k.endswith("_s")}
        for update, metrics in found.expected.items()
        if update >= 3
    }
    assert {u: {k: m[k] for k in timeless[u]} for u, m in found.metrics.items()} == timeless
    whole, resumed = (training.counters for training in (found.whole, found.resumed))
    assert resumed.completion_tokens == whole.completion_tokens
    assert resumed.updates == whole.updates


def test_a_run_that_has_used_up_its_budget_has_nothing_left_to_do(tmp_path: Path) -> None:
    knobs = {**SMALL, "updates": NEVER, "checkpoint_every": 50, "budget": "completion_tokens=10"}
    whole = small_training(**knobs)  # type: ignore[arg-type]
    assert list(whole.run(tmp_path))
    again = small_training(**knobs)  # type: ignore[arg-type]

    # its last update was saved, though no multiple of 50
    assert list(again.run(tmp_path)) == []
    assert again.counters == whole.counters


def test_the_learning_rate_falls_with_what_is_left_of_the_budget() -> None:
    found = reports(updates=NEVER, decay="linear", budget="completion_tokens=20")
    tokens = used(found, "completion_tokens")

    # a rate of 0.01, times the part of 20 tokens that was left before the update
    expected = [0.01 * (1 - before / 20) for before in tokens[:-1]]
    assert [report.metrics["lr"] for report in found[1:]] == pytest.approx(expected)


def test_gold_replies_never_use_up_a_budget_of_tokens() -> None:
    with pytest.raises(UsageError, match="writes no tokens"):
        small_training("sft", environment=Gold(), budget="completion_tokens=10")


def test_a_budget_of_updates_is_the_knob_of_that_name() -> None:
    assert train_config({"budget": "updates=7"}) == train_config({"updates": 7})


def test_a_budget_leaves_the_updates_open_and_has_one_spelling() -> None:
    given = {"budget": "completion_tokens = 2e5"}

    # the first release had no budgets: without one nothing is said of it
    assert "budget" not in flat(TrainConfig())
    assert flat(train_config(given)) == flat(TrainConfig()) | {
        "budget": "completion_tokens=200000",
        "updates": 1_000_000,
    }
    assert train_config({**given, "updates": 50}).updates == 50
    assert train_config({"budget": "memory=1024MiB"}) == train_config({"budget": "memory=1GiB"})
    assert train_config({"budget": "memory=1GiB"}).updates == 40


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("200", "a budget is KIND=VALUE, completion_tokens=200000, not '200'"),
        ("completion_token=200", "did you mean 'completion_tokens'"),
        ("seconds=2", "unknown budget 'seconds' .known: completion_tokens, flops, memory"),
        ("train_s=soon", "a budget of train_s is a number, not 'soon'"),
        ("flops=-1", "a budget of flops must be above 0, not -1"),
        ("train_s=nan", "a budget of train_s must be above 0"),
        ("flops=inf", "a budget of flops must be above 0"),
        ("completion_tokens=1.5", "must be a whole number"),
        ("memory=6", "a number with a unit, 8GiB"),
        ("memory=0GiB", "a budget of memory must be above 0"),
    ],
)
def test_a_budget_that_cannot_be_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        train_config({"budget": text})


def test_two_numbers_of_updates_contradict_each_other() -> None:
    with pytest.raises(UsageError, match="budget updates=7 and updates 8 contradict each other"):
        train_config({"budget": "updates=7", "updates": 8})
