"""What cannot fit is refused before it starts, with the numbers; what may not is warned of."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from bakeoff.comparisons.fitting.budget import afforded
from bakeoff.comparisons.fitting.facts import Facts
from bakeoff.comparisons.results import load
from bakeoff.comparisons.running import preflight
from bakeoff.comparisons.running.folder import place
from bakeoff.comparisons.running.grid import Experiment, cells, plan
from bakeoff.comparisons.running.preflight import outlook, refuse
from bakeoff.errors import UsageError
from bakeoff.training.memory.sizes import model_config, model_sizes
from bakeoff.training.memory.workload import Machine, Needs

MIB = 2**20
SUMS = "bakeoff/Arithmetic-v0"


def facts(*asked: object) -> Facts:
    """Return what a process would find of grpo and ppo on the tiny model."""
    return Facts(
        needs={"grpo": Needs(), "ppo": Needs(critic="separate", reference=True)},
        sizes={"tiny": model_sizes(model_config("tiny") or {}), "unlike": None},
        prompts={SUMS: {"tiny": (18.0, 20), "unlike": (18.0, 20)}},
        replies={SUMS: (16, 1)},
        machine=Machine(baseline=300 * MIB),
    )


def told(algorithm: str, tmp_path: Path) -> preflight.Foretold:
    """Return what is foretold of an algorithm's runs."""
    knobs = comparison(tmp_path).config
    found = preflight._foretold(facts().run(algorithm, SUMS, "tiny", knobs))
    assert found is not None
    return found


def unasked(*asked: object) -> Facts:
    raise AssertionError("a process was started for nothing")


def comparison(tmp_path: Path, **settings: Any) -> Experiment:
    return plan(
        algorithms=["grpo", "ppo"], seeds=2, control=False, out=tmp_path / "out", **settings
    )


def test_cells_above_the_limit_are_refused_and_the_others_run(tmp_path: Path) -> None:
    grpo, ppo = (told(name, tmp_path) for name in ("grpo", "ppo"))
    between = (grpo.least + ppo.least) // 2
    experiment = comparison(tmp_path, memory_limit=between)

    seen = outlook(experiment, cells(experiment), facts)

    refused = {cell.algorithm for cell, _ in seen.refused}
    left = {cell.algorithm for cell in seen.without_refused(cells(experiment))}
    assert (refused, left) == ({"ppo"}, {"grpo"})
    refusal, warning = seen.notes  # one line for both seeds
    for number in (between, ppo.least, ppo.most.peak_bytes):
        assert f"{number / MIB:,.0f} MiB" in refusal
    assert warning.startswith("grpo") and f"is ended at {between / MIB:,.0f} MiB" in warning


def test_what_fits_if_replies_end_early_is_run_and_warned_of(tmp_path: Path) -> None:
    ppo = told("ppo", tmp_path)
    experiment = comparison(tmp_path, memory_limit=ppo.most.peak_bytes - 1)

    seen = outlook(experiment, cells(experiment), facts)

    assert seen.refused == []
    assert [note.split(",")[0] for note in seen.notes] == ["ppo"]


def test_a_limit_that_nothing_fits_in_is_a_mistake_with_numbers(tmp_path: Path) -> None:
    experiment = comparison(tmp_path, memory_limit=301 * MIB)

    with pytest.raises(UsageError, match=r"no run fits: grpo would hold \d+ MiB even .* 301 MiB"):
        outlook(experiment, cells(experiment), facts)


def test_a_refused_cell_has_a_row_that_says_why(tmp_path: Path) -> None:
    experiment = comparison(tmp_path, memory_limit=301 * MIB)
    cell = cells(experiment)[0]
    foretold = told("grpo", tmp_path)

    refuse(experiment.out, cell, foretold)

    (row,) = load(experiment.out).runs
    assert (row["status"], row["error_type"]) == ("oom", "Preflight")
    assert row["predicted_peak_bytes"] == foretold.most.peak_bytes
    assert "301 MiB" in row["error_message"]
    written = json.loads((place(experiment.out, cell) / "status.json").read_text())
    assert (written["exit_code"], written["updates"]) == (None, None)


def test_a_small_model_that_fits_anyhow_needs_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "available_bytes", lambda: 64 * 2**30)
    experiment = comparison(tmp_path)

    assert outlook(experiment, cells(experiment), unasked).notes == []


def test_what_the_machine_cannot_spare_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "available_bytes", lambda: 310 * MIB)
    experiment = comparison(tmp_path)

    seen = outlook(experiment, cells(experiment), facts)

    assert seen.refused == []
    grpo, ppo = seen.notes
    assert grpo.startswith("grpo") and ppo.startswith("ppo")
    assert "has 310 MiB that are free" in grpo and "--micro-batch" in grpo


def test_runs_at_a_time_share_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "available_bytes", lambda: 2000 * MIB)
    alone = comparison(tmp_path)
    several = comparison(tmp_path, max_parallel=6, threads=1)

    assert outlook(alone, cells(alone), facts).notes == []
    assert len(outlook(several, cells(several), facts).notes) == 2


def test_a_model_of_another_shape_is_run_as_it_is(tmp_path: Path) -> None:
    experiment = dataclasses.replace(comparison(tmp_path, memory_limit=MIB), models=("unlike",))

    seen = outlook(experiment, cells(experiment), facts)

    assert (seen.refused, seen.notes) == ([], [])


def test_facts_that_cannot_be_had_are_a_warning(tmp_path: Path) -> None:
    def offline(*asked: object) -> Facts:
        raise UsageError("the hub cannot be reached")

    experiment = comparison(tmp_path, memory_limit=MIB)

    (note,) = outlook(experiment, cells(experiment), offline).notes

    assert "the hub cannot be reached" in note


def test_a_memory_budget_makes_groups_the_algorithms_own(tmp_path: Path) -> None:
    experiment = comparison(tmp_path, budget="memory=500MiB")

    found = afforded(experiment, facts)

    groups = {name: own["group_size"] for name, own in found.own.items()}
    assert groups["ppo"] < groups["grpo"]
    assert found.own_reason == "budget memory=500MiB"
    assert {cell.own["group_size"] for cell in cells(found)} == set(groups.values())


def test_without_a_memory_budget_nothing_changes(tmp_path: Path) -> None:
    experiment = comparison(tmp_path)

    assert afforded(experiment, unasked) is experiment


def test_a_folder_goes_on_with_the_groups_that_it_was_made_with(tmp_path: Path) -> None:
    from bakeoff.comparisons.running.folder import locked, record

    asked = comparison(tmp_path, budget="memory=500MiB")
    first = afforded(asked, facts)
    with locked(first.out):
        record(first)

    assert afforded(asked, unasked) == first


def test_a_group_of_ones_own_and_a_memory_budget_contradict(tmp_path: Path) -> None:
    own = {"ppo": {"group_size": 4}}
    experiment = comparison(tmp_path, budget="memory=500MiB", own=own)

    with pytest.raises(UsageError, match="ppo has one of its own"):
        afforded(experiment, unasked)
