"""Files of a results folder that hold something else than they should cost their own part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from results_folder import write_cell

from bakeoff.comparisons.report.again import command
from bakeoff.comparisons.report.audits import audited
from bakeoff.comparisons.report.fairness import semantics
from bakeoff.comparisons.results import load


@pytest.mark.parametrize("key", ["parallel", "repeat", "attempt"])
def test_a_cell_whose_counts_are_not_whole_is_left_out_with_the_reason(
    tmp_path: Path, key: str
) -> None:
    write_cell(tmp_path, "ppo")
    write_cell(tmp_path, "grpo")
    for status in tmp_path.glob("cells/grpo*/status.json"):
        status.write_text(json.dumps(json.loads(status.read_text()) | {key: 1.5}))
    found = load(tmp_path)

    assert [run["algorithm"] for run in found.runs] == ["ppo"]
    assert f"status.json gives 1.5 as {key}" in found.problems[0]


def test_a_formula_that_is_no_text_is_no_formula(tmp_path: Path) -> None:
    write_cell(tmp_path, "grpo", semantics_json={"surrogate": "ratio"})

    assert semantics(load(tmp_path).runs) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithms": [1]},
        {"environments": 2},
        {"seeds": ["x"]},
        {"config": "updates"},
        {"memory_limit": "8GiB"},
        {"launcher": 9},
        {"accelerate_config": 7},
    ],
)
def test_the_command_is_made_from_the_cells_where_what_was_asked_for_cannot_be_read(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    write_cell(tmp_path, "grpo")
    places = {"environments": ["x"], "models": ["y"], "seeds": [1], "config": {}}
    asked = {"algorithms": ["ppo"], **places, **changes}
    (tmp_path / "experiment.json").write_text(json.dumps(asked))

    assert command(load(tmp_path)).startswith("bakeoff compare --algorithms grpo --env")


@pytest.mark.parametrize(
    "changes",
    [{"peak_live_tensor_bytes": "many"}, {"flops_counted": [1]}, {"algorithm": 3}],
)
def test_an_audit_that_gives_no_numbers_is_left_out(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    place = tmp_path / "audits" / "one"
    place.mkdir(parents=True)
    status = {"algorithm": "grpo", "environment": "x", "model": "tiny", "status": "ok"}
    (place / "status.json").write_text(json.dumps(status))
    assert len(audited(tmp_path)) == 1

    (place / "status.json").write_text(json.dumps(status | changes))
    assert audited(tmp_path) == []
