"""A LoRA in real processes: what a run keeps, and a run that starts from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bakeoff.comparisons import Comparison, compare
from bakeoff.models.loading import load

pytestmark = pytest.mark.slow  # seven processes; test_lora.py has the same in one

SMALL = {
    "updates": 1,
    "prompts_per_update": 2,
    "group_size": 2,
    "eval_items": 8,
    "threads": 1,
    "learning_rate": 0.1,
}


def run(out: Path, **knobs: object) -> Comparison:
    return compare(["grpo"], seeds=1, out=out, quiet=True, audit=False, **{**SMALL, **knobs})


def evals(comparison: Comparison, update: int) -> list[tuple[str, float, int]]:
    found = comparison.evals[comparison.evals["update"] == update]
    return list(zip(found["item_id"], found["score"], found["tokens"], strict=True))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    out = tmp_path_factory.mktemp("lora") / "first"
    return run(out, lora_rank=2, checkpoint_every=1)


@pytest.fixture(scope="module")
def kept(first: Comparison) -> Path:
    (folder,) = first.out.glob("cells/*/model")
    return folder


def test_a_run_counts_what_trains(first: Comparison) -> None:
    (row,) = first.runs.to_dict("records")
    tiny = sum(p.numel() for p in load("tiny").model.parameters())

    assert row["status"] == "ok"
    assert row["params_policy"] == tiny + row["params_trainable"]
    # rank 2: as many weights beside a matrix as twice its two sides; 4 layers of width 128
    layer = load("tiny").model.model.layers[0]
    sides = sum(sum(m.weight.shape) for m in layer.modules() if hasattr(m, "in_features"))
    assert row["params_trainable"] == 4 * 2 * sides


def test_a_run_keeps_the_adapter_and_says_how_to_load_it(kept: Path) -> None:
    names = {path.name for path in kept.iterdir()}

    assert names >= {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    assert not names & {"config.json", "model.safetensors"}
    assert "`tiny`" in (kept / "README.md").read_text()
    config = json.loads((kept / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["r"], config["lora_alpha"]) == ("tiny", 2, 4)


@pytest.fixture(scope="module")
def second(kept: Path) -> Comparison:
    return run(kept.parents[2] / "second", models=[str(kept)], lora_rank=2, learning_rate=None)


def test_a_run_can_start_from_the_adapter_that_another_has_kept(
    first: Comparison, second: Comparison
) -> None:
    assert evals(second, 0) == evals(first, 1)
    assert evals(second, 0) != evals(first, 0)
    assert set(second.runs["status"]) == {"ok"}


def test_without_a_learning_rate_an_adapter_gets_ten_times_its_base_s(second: Comparison) -> None:
    (row,) = second.runs.to_dict("records")

    assert json.loads(row["config_json"])["learning_rate"] == pytest.approx(10 * 2e-4)
