"""``bakeoff fit``: what it says fits, fits by the formula, and the next size does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from bakeoff.comparisons.cli import main
from bakeoff.comparisons.comparison import compare
from bakeoff.comparisons.fitting.budget import afforded
from bakeoff.comparisons.fitting.facts import Facts
from bakeoff.comparisons.fitting.fit import Fit, affordable, fit, fit_model, whole_batch
from bakeoff.comparisons.fitting.search import even_step, largest
from bakeoff.comparisons.fitting.table import rows
from bakeoff.comparisons.fitting.text import text
from bakeoff.comparisons.fitting.verifying import Measured
from bakeoff.comparisons.running.folder import record
from bakeoff.comparisons.running.grid import plan
from bakeoff.comparisons.schema import FIT_COLUMNS
from bakeoff.comparisons.settings import config_text, experiment_of
from bakeoff.errors import UsageError
from bakeoff.training.config import knobs
from bakeoff.training.memory.sizes import ModelSizes, model_config, model_sizes
from bakeoff.training.memory.workload import Machine, Needs

MIB = 2**20
SUMS = "bakeoff/Arithmetic-v0"
SMALL = ModelSizes(
    layers=2, hidden=32, inner=64, query=32, key=32, heads=2, vocabulary=50, context=256
)
KNOBS: Mapping[str, Any] = {"prompts_per_update": 16, "group_size": 8, "minibatches": 2}


@pytest.fixture
def facts() -> Facts:
    """Facts of three algorithms and models, as a process would find them."""
    tiny = model_sizes(model_config("tiny") or {})
    prompts = {name: (18.0, 20) for name in ("tiny", "small", "unlike")}
    return Facts(
        needs={
            "grpo": Needs(min_group_size=2),
            "ppo": Needs(critic="separate"),
            "kl": Needs(reference=True),
        },
        sizes={"tiny": tiny, "small": SMALL, "unlike": None},
        prompts={SUMS: prompts},
        replies={SUMS: (16, 1)},
        machine=Machine(baseline=300 * MIB),
    )


def peak(facts: Facts, place: tuple[str, str, str], knobs: Mapping[str, Any]) -> int:
    from bakeoff.training.memory.prediction import predicted

    run = facts.run(*place, knobs)
    assert run is not None
    return predicted(run).peak_bytes


@pytest.mark.parametrize("vary", ["group_size", "prompts_per_update", "max_new_tokens"])
@pytest.mark.parametrize("algorithm", ["grpo", "ppo", "kl"])
def test_what_fits_fits_and_the_next_size_does_not(facts: Facts, algorithm: str, vary: str) -> None:
    place, limit = (algorithm, SUMS, "tiny"), 900 * MIB

    found = fit(facts, place, KNOBS, vary, limit)

    assert found.best is not None and found.above is not None
    best, above = found.best.value, found.above.value
    assert peak(facts, place, whole_batch({**KNOBS, vary: best})) <= limit
    assert peak(facts, place, whole_batch({**KNOBS, vary: above})) > limit
    assert int(above) - int(best) == 1


def test_a_critic_leaves_room_for_a_smaller_group(facts: Facts) -> None:
    groups = []
    for algorithm in ("grpo", "ppo"):
        found = fit(facts, (algorithm, SUMS, "tiny"), KNOBS, "group_size", 500 * MIB)
        assert found.best is not None
        groups.append(int(found.best.value))

    assert groups[1] < groups[0]


def test_groups_divide_evenly_into_the_minibatches(facts: Facts) -> None:
    knobs = {**KNOBS, "prompts_per_update": 3, "minibatches": 4}

    found = fit(facts, ("grpo", SUMS, "tiny"), knobs, "group_size", 600 * MIB)

    # 3 prompts in 4 parts: groups of 4, 8, ...
    assert found.best is not None and found.above is not None
    assert int(found.best.value) % 4 == 0
    assert int(found.above.value) == int(found.best.value) + 4


def test_a_reply_is_never_longer_than_the_context(facts: Facts) -> None:
    found = fit(facts, ("grpo", SUMS, "small"), KNOBS, "max_new_tokens", 2**40)

    # 256 tokens, 20 of them for the longest prompt; no reply is longer, so none does not fit
    assert found.best is not None
    assert (found.best.value, found.above) == (236, None)


def test_nothing_fits_below_the_smallest_size(facts: Facts) -> None:
    found = fit(facts, ("grpo", SUMS, "tiny"), KNOBS, "group_size", 301 * MIB)

    # grpo compares at least two completions
    assert found.best is None
    assert found.above is not None and found.above.value == 2


def test_the_largest_model_that_fits_is_found(facts: Facts) -> None:
    between = (
        peak(facts, ("grpo", SUMS, "small"), whole_batch(KNOBS))
        + peak(facts, ("grpo", SUMS, "tiny"), whole_batch(KNOBS))
    ) // 2

    found = fit_model(facts, ("grpo", SUMS), ["tiny", "small"], KNOBS, between)

    assert found.best is not None and found.above is not None
    assert (found.best.value, found.above.value) == ("small", "tiny")


def test_a_model_of_another_shape_is_refused_with_the_known_ones(facts: Facts) -> None:
    with pytest.raises(UsageError, match=r"'unlike'.*llama, mistral, qwen2, qwen3"):
        fit(facts, ("grpo", SUMS, "unlike"), KNOBS, "group_size", 2**30)


def test_each_algorithm_gets_the_group_that_it_can_afford(facts: Facts) -> None:
    places = [("grpo", SUMS, "tiny"), ("ppo", SUMS, "tiny")]
    found = [fit(facts, place, KNOBS, "group_size", 600 * MIB) for place in places]

    own = affordable(found, "memory=600MiB")

    for one in found:
        assert one.best is not None
        group = one.best.value
        rows = 16 * int(group)
        wanted = {"group_size": group, "micro_batch": rows, "sample_batch": rows}
        assert own[one.algorithm] == wanted


def test_of_two_places_the_smaller_group_is_affordable(facts: Facts) -> None:
    places = [("grpo", SUMS, "small"), ("grpo", SUMS, "tiny")]
    found = [fit(facts, place, KNOBS, "group_size", 600 * MIB) for place in places]
    groups = [int(one.best.value) for one in found if one.best is not None]

    assert affordable(found, "memory=600MiB")["grpo"]["group_size"] == min(groups) < max(groups)


def test_a_budget_without_room_for_any_group_is_refused_with_numbers(facts: Facts) -> None:
    found = [fit(facts, ("grpo", SUMS, "tiny"), KNOBS, "group_size", 301 * MIB)]

    with pytest.raises(UsageError, match=r"grpo cannot afford a group_size of 2 in 301MiB.* MiB"):
        affordable(found, "301MiB")


@pytest.mark.parametrize("limit", range(0, 40, 3))
def test_the_search_finds_what_trying_all_would(limit: int) -> None:
    tried = [n for n in range(2, 40, 5) if n <= limit]

    assert largest(lambda n: n <= limit, first=2, step=5, most=39) == (tried[-1] if tried else None)


def test_groups_in_a_printed_config_are_chosen_anew_for_the_same_budget(facts: Facts) -> None:
    asked = plan(algorithms=["grpo", "ppo"], budget="memory=600MiB", out="none")
    made = afforded(asked, lambda *_: facts)

    again = experiment_of(yaml.safe_load(config_text(made)))
    assert afforded(again, lambda *_: facts) == made

    other = dataclasses.replace(made, config={**made.config, "budget": "memory=700MiB"})
    with pytest.raises(UsageError, match="grpo has one of its own"):
        afforded(other, lambda *_: facts)


@pytest.mark.parametrize("knob", ["group_size", "micro_batch", "sample_batch"])
def test_a_setting_that_a_budget_of_memory_would_override_is_refused_even_at_its_default(
    knob: str, tmp_path: Path
) -> None:
    given = {"budget": "memory=1GiB", knob: knobs()[knob].default}
    said = f"chooses {knob} for each algorithm: leave {knob} out"

    with pytest.raises(UsageError, match=said):
        compare(out=tmp_path / "x", **given)
    with pytest.raises(UsageError, match=said):
        experiment_of(given)
    with pytest.raises(UsageError, match="ppo has one of its own"):
        afforded(plan(budget="memory=1GiB", own={"ppo": {knob: 4}}))


def test_one_run_has_the_group_that_its_folder_was_made_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = {"algorithms": ["grpo"], "seeds": [0], "checkpoint_every": 20}
    own = {"grpo": {"group_size": 6}}
    record(plan(**flags, out=tmp_path, budget="memory=600MiB", own=own, audit=False))

    argv = ["train", "--budget", "memory=600MiB", "--out", str(tmp_path), "--print-config"]
    assert main(argv) == 0
    assert yaml.safe_load(capsys.readouterr().out)["own"] == own


def test_an_even_step_makes_every_batch_divide() -> None:
    for count in range(1, 9):
        for parts in range(1, 9):
            step = even_step(count, parts)
            assert count * step % parts == 0
            assert not any(count * smaller % parts == 0 for smaller in range(1, step))


def a_fit(facts: Facts) -> Fit:
    return fit(facts, ("ppo", SUMS, "tiny"), KNOBS, "group_size", 600 * MIB)


def test_the_tables_components_add_up_to_the_process(facts: Facts) -> None:
    found = a_fit(facts)
    table = rows([found], {})

    for tried in found.tried:
        own = {r["component"]: r["bytes_predicted"] for r in table if r["value"] == tried.value}
        live, process = own.pop("live_tensors"), own.pop("process")
        assert sum(own.values()) == process
        assert live == process - own["process_baseline"] - own["unattributed"]
    assert {tuple(row) for row in table} == {FIT_COLUMNS}


def test_the_text_says_what_fits_what_was_measured_and_that_the_batch_is_whole(
    facts: Facts,
) -> None:
    found = a_fit(facts)
    assert found.best is not None and found.above is not None
    measured = {
        found.key(found.best): Measured(live=100 * MIB, process=500 * MIB),
        found.key(found.above): Measured(problem="killed"),
    }

    said = text([found], measured)

    assert f"group_size {found.best.value} at" in said
    assert "one backward pass" in said
    assert "500" in said and "killed" in said


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["fit"], "--memory 6GiB"),
        (["fit", "--memory", "1GiB", "--vary", "group"], "did you mean 'group_size'"),
        (["fit", "--memory", "much"], "not 'much'"),
        (["fit", "--memory", "0GiB"], "must be above 0, not 0GiB"),
        (["fit", "--memory", "1GiB", "--out", "none/fit.csv"], "a file in a folder that exists"),
        (["fit", "--memory", "1GiB", "--budget", "memory=2GiB"], "leave --budget out"),
        (["fit", "--memory", "1GiB", "--group-size", "8"], "leave --group-size out"),
        (["fit", "--memory", "1GiB", "--micro-batch", "8"], "leave --micro-batch out"),
        (["fit", "--memory", "1GiB", "--verify", "--processes", "2"], "--verify runs one process"),
        (
            ["fit", "--memory", "1GiB", "--processes", "2", "--sharding", "full"],
            "give --devices 2 --device-memory SIZE",
        ),
        (["fit", "--memory", "1GiB", "--model", "tny"], "did you mean 'tiny'"),
    ],
)
def test_mistakes_are_named_in_one_line(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
