"""What a plan says that a rank holds of a sharded model is what torch's FSDP2 holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sharded_world import held

from bakeoff.comparisons.cli import main
from bakeoff.training.config import train_config
from bakeoff.training.memory.prediction import models_of
from bakeoff.training.memory.shapes import PUBLISHED
from bakeoff.training.memory.sizes import model_config, model_sizes
from bakeoff.training.memory.spread import gathered
from bakeoff.training.memory.start import at_start
from bakeoff.training.memory.workload import Lengths, Needs, Run

pytestmark = pytest.mark.slow

TINY = {key: value for key, value in (model_config("tiny") or {}).items() if key != "dtype"}
SMOL = {**PUBLISHED["smollm2-135m"].config(), "num_hidden_layers": 2}
ODD = {**SMOL, "vocab_size": 4999, "hidden_size": 96, "head_dim": 32, "num_attention_heads": 3}
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "fp32 tiny": TINY,
    "bf16 tiny": TINY,
    "fp32 smollm2": SMOL,
    "fp32 odd": {**ODD, "num_key_value_heads": 1, "intermediate_size": 77},
    "bf16 qwen2, untied": {
        **{**ODD, "num_key_value_heads": 1, "model_type": "qwen2", "vocab_size": 501},
        "tie_word_embeddings": False,
    },
}
"""Shapes whose rows are even and odd, with embeddings that are the output layer's and not."""


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[dict[str, int]]]:
    """What two ranks held of each."""
    return held(CONFIGS, tmp_path_factory.mktemp("sharded"))


def a_run(name: str) -> Run:
    sizes = model_sizes(CONFIGS[name])
    assert sizes is not None
    knobs = {"processes": 2, "sharding": "full", "precision": name.partition(" ")[0]}
    needs = Needs(critic="separate", reference=True)
    return Run(sizes, needs, train_config(knobs), Lengths(5, 5, 5))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_rank_with_the_most_holds_what_is_foretold_to_the_byte(
    name: str, counted: Mapping[str, list[dict[str, int]]]
) -> None:
    foretold = models_of(a_run(name))

    first, second = counted[name]

    assert {key: first[key] for key in foretold} == foretold
    # the other rank's shards are padded to the same size
    for model in ("policy", "critic", "reference"):
        stored = first[f"{model}_stored"], second[f"{model}_stored"]
        assert stored == (foretold[f"{model}_weights"],) * 2


@pytest.mark.parametrize("name", CONFIGS)
def test_no_more_is_whole_at_a_time_than_is_foretold(
    name: str, counted: Mapping[str, list[dict[str, int]]]
) -> None:
    run = a_run(name)
    layer = sum(weight.numbers for weight in run.sizes.layer())

    # on a CPU nothing is fetched ahead: one layer of the two
    foretold = {
        model: gathered(run.sizes, run.item, head=model != "critic") - run.item * layer
        for model in ("policy", "critic", "reference")
    }

    found = counted[name][0]
    assert {model: found[f"{model}_gathered"] for model in foretold} == foretold


@pytest.mark.parametrize("name", CONFIGS)
def test_while_models_are_split_a_rank_holds_what_is_foretold(
    name: str, counted: Mapping[str, list[dict[str, int]]]
) -> None:
    run = a_run(name)

    for found in counted[name]:
        # beside it there are buffers of four models, and a number or none of torch's own
        assert found["start"] - found["buffers"] - at_start(run) in (0, 8)


def test_a_plan_is_made_in_one_command_without_the_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    argv = ["fit", "--model", "qwen2.5-7b", "--algorithms", "grpo,ppo", "--precision", "bf16"]
    argv += ["--device-memory", "80GiB", "--recompute", "layers", "--out", str(tmp_path / "p.csv")]

    assert main([*argv, "--json"]) == 0

    rows = json.loads(capsys.readouterr().out)
    devices = {row["algorithm"]: row["devices"] for row in rows}
    assert 1 < devices["grpo"] < devices["ppo"] <= 8
    assert (tmp_path / "p.csv").read_text().count("\n") == len(rows) + 1
