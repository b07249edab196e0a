"""The space that is searched, and the design that is drawn over it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from bakeoff.comparisons.tuning.space import Choices, Interval, Space, read_space, space_of
from bakeoff.comparisons.tuning.trials import trials
from bakeoff.errors import UsageError

ALGORITHMS = ["grpo", "ppo"]
RATES = {"learning_rate": {"log": [1e-5, 1e-3]}}


def made(value: object, by_updates: bool = True) -> Space:
    return space_of(value, ALGORITHMS, by_updates=by_updates)


def test_a_space_is_read_back_from_what_is_written_of_it() -> None:
    space = made({**RATES, "top_p": [0.9, 1], "ppo": {"lam": {"linear": [0.9, 1]}}})

    assert made(space.as_yaml()) == space


def test_a_number_that_yaml_takes_for_a_word_is_one(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("learning_rate: {log: [1e-5, 1e-3]}\nppo: {lam: [9e-1]}\n")

    space = read_space(path, ALGORITHMS, by_updates=True)

    assert space.shared == {"learning_rate": Interval(1e-5, 1e-3, log=True)}
    assert space.own == {"ppo": {"lam": Choices((0.9,))}}


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({}, "a space is"),
        (["learning_rate"], "a space is"),
        ({"lerning_rate": [1]}, "'learning_rate'"),
        ({"pppo": {"lam": [1]}}, "'ppo'"),
        ({"ppo": [1]}, "under ppo"),
        ({"updates": [10, 20]}, "updates cannot be searched"),
        ({"ppo": {"eval_items": [10, 20]}}, "eval_items cannot be searched"),
        ({"group_size": [4, 8]}, "budget of updates"),
        ({"minibatches": {"linear": [1, 4]}}, "whole number"),
        ({"learning_rate": 1e-4}, "learning_rate must be"),
        ({"learning_rate": {"log": [1e-3]}}, "learning_rate must be"),
        ({"learning_rate": {"log": [1e-3, 1e-5]}}, "lower one first"),
        ({"learning_rate": {"log": ["low", 1]}}, "two numbers"),
        ({"learning_rate": {"log": [0, 1]}}, "above 0"),
        ({"top_p": []}, "empty"),
        ({"top_p": [0.9, 0.9]}, "twice"),
        ({"top_p": [[0.9]]}, "neither a number nor a word"),
    ],
)
def test_a_mistake_in_a_space_is_named(value: object, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        made(value)


def test_the_size_of_an_update_may_be_searched_where_tokens_end_a_run() -> None:
    space = made({"group_size": [4, 8]}, by_updates=False)

    assert space.shared == {"group_size": Choices((4, 8))}


def test_the_first_trial_has_the_defaults() -> None:
    first, *_ = trials(made({**RATES, "ppo": {"lam": [0.9]}}), ALGORITHMS, 4)

    assert [first.settings(name) for name in ALGORITHMS] == [{}, {}]
    assert [first.spec(name) for name in ALGORITHMS] == ALGORITHMS


def test_each_equal_part_of_the_range_is_tried_once() -> None:
    found = trials(made(RATES), ALGORITHMS, 9)[1:]

    # two decades in eight parts: each of a quarter decade, from 1e-5 on
    parts = [math.floor(4 * (math.log10(t.shared["learning_rate"]) + 5)) for t in found]
    assert sorted(parts) == list(range(8))


def test_choices_come_equally_often() -> None:
    found = trials(made({"top_p": [0.8, 0.9, 1.0]}), ALGORITHMS, 7)[1:]

    assert sorted(t.shared["top_p"] for t in found) == [0.8, 0.8, 0.9, 0.9, 1.0, 1.0]


def test_what_is_shared_is_the_same_for_all_algorithms_and_whatever_else_varies() -> None:
    alone = trials(made(RATES), ["grpo"], 6)
    among = trials(made({"ppo": {"lam": [0.9, 1.0]}, **RATES, "top_p": [0.9, 1]}), ALGORITHMS, 6)

    for one, other in zip(alone[1:], among[1:], strict=True):
        rates = {one.settings("grpo")["learning_rate"]}
        rates |= {other.settings(name)["learning_rate"] for name in ALGORITHMS}
        assert len(rates) == 1


def test_arguments_of_one_name_have_the_same_quantile_in_a_trial() -> None:
    value: dict[str, Any] = {"grpo": {"clip": {"linear": [0, 1]}}, "ppo": {"clip": [0, 1]}}

    for trial in trials(made(value), ALGORITHMS, 8)[1:]:
        # of two choices the upper half of the quantiles has the second
        assert trial.own["ppo"]["clip"] == int(trial.own["grpo"]["clip"] >= 0.5)


def test_what_an_algorithm_alone_has_comes_before_what_is_shared() -> None:
    space = made({"learning_rate": [1e-4], "ppo": {"learning_rate": [1e-5]}})

    _, trial = trials(space, ALGORITHMS, 2)

    assert trial.knobs("grpo") == {"learning_rate": 1e-4}
    assert trial.knobs("ppo") == {"learning_rate": 1e-5}


@pytest.mark.parametrize("n", [0, 1, 1001])
def test_a_number_of_trials_that_cannot_be_is_refused(n: int) -> None:
    with pytest.raises(UsageError, match=str(n)):
        trials(made(RATES), ALGORITHMS, n)
