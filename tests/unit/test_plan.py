"""``bakeoff fit --devices``: what a plan says a device holds, and how many devices do."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.comparisons.cli import main
from bakeoff.comparisons.fitting.planned import rows, text
from bakeoff.comparisons.fitting.planning import Plan, Question, fewest, plans
from bakeoff.comparisons.fitting.serving import server
from bakeoff.comparisons.schema import PLAN_COLUMNS
from bakeoff.errors import UsageError
from bakeoff.training.config import train_config
from bakeoff.training.devices import world
from bakeoff.training.memory import cuda, spread
from bakeoff.training.memory.prediction import models_of, predicted
from bakeoff.training.memory.shapes import PUBLISHED, SHAPES, Shape, planned_sizes
from bakeoff.training.memory.sizes import ModelSizes, model_config, model_sizes
from bakeoff.training.memory.start import at_start, on_host
from bakeoff.training.memory.workload import Lengths, Machine, Needs, Run, backward_piece

GIB = 2**30
ODD = ModelSizes(layers=3, hidden=6, inner=10, query=6, key=2, heads=3, vocabulary=7, tied=False)
"""A model of whose first dimensions none but two divide by 2."""

KNOBS: Mapping[str, Any] = {"max_new_tokens": 256, "precision": "bf16", "recompute": "layers"}
NEEDS = {
    "grpo": Needs(min_group_size=2),
    "ppo": Needs(critic="separate"),
    "shared": Needs(critic="shared"),
    "kl": Needs(reference=True),
    "lora": Needs(critic="lora"),
}


def a_question(model: str = "qwen2.5-7b", *algorithms: str, **fields: Any) -> Question:
    asked = {
        "needs": {name: NEEDS[name] for name in algorithms or ("grpo",)},
        "sizes": {model: planned_sizes(model)},
        "knobs": KNOBS,
        "lengths": Lengths(128, 128, 256),
        "memory": 80 * GIB,
    }
    return Question(**{**asked, **fields})


def the_plan(question: Question, *counts: int) -> Plan:
    (plan,) = plans(question, counts or None)
    return plan


def a_run(sizes: ModelSizes, needs: Needs, **knobs: Any) -> Run:
    return Run(
        sizes, needs, train_config({**KNOBS, **knobs}), Lengths(9, 9, 256), Machine(cpu=False)
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_shape_has_the_published_number_of_parameters(name: str) -> None:
    numbers = sum(weight.numbers for weight in planned_sizes(name).weights())

    assert numbers == PUBLISHED[name].parameters


@pytest.mark.parametrize("name", ["qwen2.5-7b", "Qwen2.5-7B", "Qwen/Qwen2.5-7B-Instruct"])
def test_a_published_shape_is_known_by_its_name_and_its_hub_id(name: str) -> None:
    assert planned_sizes(name).hidden == 3584


def test_a_configuration_is_enough_to_plan_for(tmp_path: Path) -> None:
    config = model_config("tiny")
    (tmp_path / "config.json").write_text(json.dumps(config))

    assert planned_sizes(str(tmp_path / "config.json")) == model_sizes(config or {})
    assert planned_sizes(str(tmp_path)) == model_sizes(config or {})


def test_a_model_that_is_not_known_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'qwen2\.5-7b'"):
        planned_sizes("qwen2.5-8b")


def test_shards_are_cut_along_the_first_dimension_and_padded_to_the_largest() -> None:
    # of 7 rows of embeddings and output layer, 4 each of width 6; a layer: q 3 x 6, k and v 1 x 6,
    # o 3 x 6, gate and up 5 x 6, down 3 x 10, norms 3 and 3; the last norm 3
    layer = 18 + 6 + 6 + 18 + 30 + 30 + 30 + 3 + 3
    share = 24 + 3 * layer + 3 + 24
    # the critic has no output layer, but a head of one row of 6, and a bias
    critic = share - 24 + 6 + 1

    found = models_of(a_run(ODD, Needs(critic="separate"), processes=2, sharding="full"))

    # fp32 shards are their own masters
    assert found == {
        "policy_weights": 4 * share,
        "policy_grads": 4 * share,
        "policy_optimizer": 8 * share,
        "critic_weights": 4 * critic,
        "critic_grads": 4 * critic,
        "critic_optimizer": 8 * critic,
    }


def test_replicas_hold_all_weights_and_a_buffer_to_add_up_their_gradients() -> None:
    one, two = (a_run(ODD, Needs(), processes=n, minibatches=1) for n in (1, 2))
    numbers = sum(weight.numbers for weight in ODD.weights())

    assert models_of(one) == models_of(two)
    assert spread.added_up(ODD.weights(), 1).added == 0
    assert spread.added_up(ODD.weights(), 2).added == 4 * numbers
    assert spread.BUCKET == world.BUCKET


def test_a_rank_passes_its_share_of_a_step() -> None:
    config = train_config(
        {"prompts_per_update": 4, "group_size": 8, "minibatches": 2, "processes": 4}
    )

    piece = backward_piece(config, Needs(), Lengths(10, 10, 5), after=False)

    # of 16 completions 4, of which a prompt has 4 in a step: neighbours, of 2 prompts at most
    assert piece.counted == 4 * 5
    assert (piece.prompts, piece.alone) == (2, True)


@pytest.mark.parametrize("algorithm", NEEDS)
def test_a_plan_for_one_device_is_what_one_process_is_foretold_to_hold(algorithm: str) -> None:
    question = a_question("smollm2-360m", algorithm)
    run = question.run(algorithm, "smollm2-360m")

    plan = the_plan(question, 1)

    assert run.config.processes == 1
    assert plan.prediction.peak_bytes == predicted(run).peak_bytes + cuda.CONTEXT


@settings(max_examples=20, deadline=None)
@given(
    name=st.sampled_from(sorted(NEEDS)),
    model=st.sampled_from(sorted(PUBLISHED)),
    sharding=st.sampled_from(["none", "full"]),
    precision=st.sampled_from(["fp32", "bf16", "bf16_autocast"]),
    micro_batch=st.integers(1, 64),
    ranks=st.integers(2, 200),
)
def test_more_devices_never_hold_more_each(
    name: str, model: str, sharding: str, precision: str, micro_batch: int, ranks: int
) -> None:
    knobs = {"sharding": sharding, "precision": precision, "micro_batch": micro_batch}
    peaks = [
        predicted(a_run(planned_sizes(model), NEEDS[name], processes=n, **knobs)).peak_bytes
        for n in (ranks, ranks + 1)
    ]

    assert peaks[0] >= peaks[1]


@pytest.mark.parametrize("least", [1, 2, 3, 5, 8, 100])
def test_the_fewest_devices_that_do_are_found(least: int) -> None:
    assert fewest(lambda count: count >= least) == least


def test_the_fewest_devices_do_and_one_less_does_not() -> None:
    question = a_question("qwen2.5-1.5b", "ppo", elsewhere=True, memory=16 * GIB)

    plan = the_plan(question)

    assert plan.fits and plan.devices > 2
    assert plan.run.config.sharding == "full"
    assert not the_plan(question, plan.devices - 1).fits


def test_a_separate_critic_asks_for_more_devices_and_a_head_on_the_policy_does_not() -> None:
    question = a_question("qwen2.5-1.5b", "grpo", "ppo", "shared", memory=16 * GIB)

    none, separate, shared = (plan.devices for plan in plans(question, None))

    assert separate > none == shared


def test_one_device_is_not_sharded_and_what_fits_as_replicas_is_not_either() -> None:
    one, two = plans(a_question("smollm2-360m"), [1, 2])

    assert (one.run.config.sharding, two.run.config.sharding) == ("none", "none")
    assert one.fits and two.fits


def test_what_there_is_room_for_fits_and_one_more_does_not() -> None:
    question = a_question(knobs={**KNOBS, "prompts_per_update": 512}, sharding="full")

    most = the_plan(question, 4).room["micro_batch"]

    # 512 x 8 completions in 2 steps, over 4 devices
    assert 1 < most < 512 * 8 / 2 / 4
    for micro_batch, fits in ((most, True), (most + 1, False)):
        knobs = {**question.knobs, "micro_batch": micro_batch}
        given = dataclasses.replace(question, knobs=knobs, given=frozenset(["micro_batch"]))
        assert the_plan(given, 4).fits == fits


def test_a_model_larger_than_a_device_cannot_be_sampled_on_each() -> None:
    # 72.7 billion weights in bf16: 135 GiB
    plan = the_plan(a_question("qwen2.5-72b"))

    assert not plan.fits
    assert "needs all weights (135 GiB) on each device" in plan.reason
    assert "--sampler vllm_server" in plan.reason


def test_at_the_start_a_device_has_its_shards_and_what_is_whole_of_one_model() -> None:
    # rows and vectors of all weights divide by 8; embeddings, output layer and last norm are whole,
    # and the critic's head of 3584 + 1
    table = 152_064 * 3584
    policy, critic = 7_615_616_512, 7_615_616_512 - table

    run = the_plan(a_question("qwen2.5-7b", "ppo"), 8).run

    assert at_start(run) == 4 * (policy + critic) // 8 + 4 * (2 * table + 3584) + 4 * (3584 + 1)
    assert on_host(run) == 2 * policy


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.hub)
def test_what_a_device_can_train_it_can_start_with(shape: Shape) -> None:
    plan = the_plan(a_question(shape.hub, "ppo", sharding="full"), 32)

    assert 0 < at_start(plan.run) < plan.prediction.peak_bytes


def test_what_is_planned_with_a_server_is_a_run_that_the_training_takes() -> None:
    # 7.6 billion weights with AdamW take two devices of 80 GiB
    plan = the_plan(a_question(elsewhere=True))
    config = plan.run.config
    asked = {"processes": config.processes, "sharding": config.sharding}

    taken = train_config({**KNOBS, **asked, "sampler": "vllm_server", "vllm_python": "python"})

    assert plan.fits
    assert (taken.processes, taken.sharding) == (2, "full")


def test_a_server_has_so_many_devices_that_heads_divide() -> None:
    # 28 heads of queries and 4 of keys: 1, 2, 4 or 28, not 7 or 14; 15.2 GB of weights
    question = a_question(elsewhere=True)
    run = question.run("grpo", "qwen2.5-7b")

    assert [server(run, int(size * GIB)).devices for size in (20, 12, 9, 4)] == [1, 2, 4, 28]
    assert server(run, 20 * GIB).fits


def test_settings_that_do_not_go_with_sharding_are_said() -> None:
    question = a_question("llama-3.1-70b", knobs={**KNOBS, "lora_rank": 8})

    plan = the_plan(question, 8)

    assert not plan.fits
    assert "sharding full does not go with lora_rank" in plan.reason


def test_the_tables_components_add_up_to_the_peak_and_say_what_they_rest_on() -> None:
    question = a_question("qwen2.5-7b", "ppo", elsewhere=True)
    plan = the_plan(question)

    table = list(rows([plan], question))

    assert {tuple(row) for row in table} == {PLAN_COLUMNS}
    training = [row for row in table if row["device"] == "training"]
    assert sum(row["bytes_predicted"] for row in training) == plan.prediction.peak_bytes
    found = {row["component"]: row["basis"] for row in training}
    assert found["critic_optimizer"] == "formula"
    assert found["process_baseline"] == "extrapolated"


def test_the_text_says_how_many_devices_and_what_is_only_assumed() -> None:
    question = a_question("qwen2.5-7b", "grpo", "ppo")

    said = text(plans(question, None), question)

    assert "qwen2.5-7b: 7.62 billion weights, bf16" in said
    assert "no run on a GPU has confirmed any of it" in said


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--devices", "8"], "--device-memory 80GiB"),
        (["--device-memory", "0GiB"], "must be above 0"),
        (["--device-memory", "80GiB", "--devices", "eight"], "not 'eight'"),
        (["--device-memory", "80GiB", "--devices", "0"], "at least 1"),
        (["--device-memory", "80GiB", "--devices", "9999"], "up to 4096"),
        (["--device-memory", "80GiB", "--memory", "1GiB"], "--memory does not go with"),
        (["--device-memory", "80GiB", "--env", "bakeoff/GSM8K-v0"], "--prompt-tokens"),
        (["--device-memory", "80GiB", "--sharding", "ful"], "did you mean 'full'"),
        (["--device-memory", "80GiB", "--sampler", "vllm_serve"], "did you mean 'vllm_server'"),
        (["--device-memory", "80GiB", "--sampler", "vllm"], "--sampler vllm_server"),
        (["--device-memory", "80GiB", "--processes", "2"], "give --devices"),
        (["--device-memory", "80GiB", "--model", "qwen2.5-8b"], "did you mean 'qwen2.5-7b'"),
    ],
)
def test_mistakes_are_named_in_one_line(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *argv]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
