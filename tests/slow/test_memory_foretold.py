"""What is foretold of runs is what they hold: tensors by the accountant, and whole processes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from memory_world import counted

from bakeoff.comparisons.cli import main
from bakeoff.comparisons.fitting.facts import facts
from bakeoff.models.smollm2 import CACHE_NAME, cache_folder
from bakeoff.training.memory.sizes import model_config, model_sizes

pytestmark = pytest.mark.slow

BATCH = {"prompts_per_update": 4, "group_size": 8, "minibatches": 1, "max_new_tokens": 24}
SHAPES: Mapping[str, Mapping[str, Any]] = {
    "one piece": {},
    "two steps": {"minibatches": 2},
    "pieces": {"micro_batch": 4},
    "bf16": {"precision": "bf16"},
    "autocast": {"precision": "bf16_autocast"},
    "recomputed": {"recompute": "layers"},
    "many prompts": {"prompts_per_update": 24, "group_size": 2},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "algorithm", ["grpo", "reinforce", "ppo", "ppo:critic=shared", "grpo:kl_coef=0.1"]
)
def test_tiny_runs_hold_what_is_foretold_within_a_tenth(algorithm: str, shape: str) -> None:
    prediction, meter = counted("tiny", algorithm, **{**BATCH, **SHAPES[shape]})

    assert prediction.peak_bytes == pytest.approx(meter.accountant.peak_bytes, rel=0.1)


@pytest.mark.skipif(
    not (cache_folder() / CACHE_NAME).is_dir(), reason="smollm2 has not been fetched"
)
@pytest.mark.parametrize("algorithm", ["grpo", "reinforce", "ppo", "ppo:critic=shared"])
def test_smollm2_runs_hold_what_is_foretold_within_a_tenth(algorithm: str) -> None:
    shape = {"prompts_per_update": 1, "group_size": 4, "minibatches": 1, "max_new_tokens": 12}

    prediction, meter = counted("smollm2", algorithm, eval_items=1, **shape)

    assert prediction.peak_bytes == pytest.approx(meter.accountant.peak_bytes, rel=0.1)


def test_a_process_finds_the_facts_that_a_comparison_is_weighed_by() -> None:
    sums = "bakeoff/Arithmetic-v0"

    found = facts(["grpo", "ppo:critic=shared"], [sums], ["tiny"], {})

    assert found.needs["ppo:critic=shared"].critic == "shared"
    assert found.needs["grpo"].min_group_size == 2
    assert found.sizes["tiny"] == model_sizes(model_config("tiny") or {})
    # "What is 47 + 38?" and the like: a token is a character
    mean, longest = found.prompts[sums]["tiny"]
    assert 15 <= mean <= longest <= 20
    # torch and transformers take more than 100 MiB
    assert found.machine.baseline > 100 * 2**20


def test_two_processes_have_room_for_a_larger_group_than_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # each samples and learns from half of the prompts, and --memory is what one may hold
    sizes = []
    for processes in ("1", "2"):
        assert main(["fit", "--memory", "640MiB", "--processes", processes, "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        sizes.append(max(int(row["value"]) for row in rows if row["fits"]))

    assert sizes[1] > sizes[0] > 1


def test_processes_of_what_fits_hold_what_is_foretold_within_a_tenth(
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["fit", "--memory", "640MiB", "--algorithms", "grpo,ppo", "--verify", "--json"]

    assert main(argv) == 0

    rows = json.loads(capsys.readouterr().out)
    whole = [row for row in rows if row["component"] == "process"]
    assert len(whole) == 4
    for row in whole:
        assert row["bytes_predicted"] == pytest.approx(row["bytes_measured"], rel=0.1)
