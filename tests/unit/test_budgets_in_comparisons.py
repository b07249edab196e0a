"""Budgets in a comparison: one setting among others, shown while it runs and in its tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.results_folder import write_grid

from bakeoff.comparisons.report.fairness import fairness_card
from bakeoff.comparisons.results import load
from bakeoff.comparisons.running.checks import check
from bakeoff.comparisons.running.endings import status_of_killed
from bakeoff.comparisons.running.grid import CellSpec, cells, plan
from bakeoff.comparisons.running.process import Ending
from bakeoff.comparisons.running.progress import CellRow, Lines, remaining_s
from bakeoff.comparisons.settings import config_text, experiment_of, read_config
from bakeoff.errors import UsageError


def cell(**knobs: object) -> CellSpec:
    return cells(plan(algorithms=["grpo"], seeds=1, **knobs))[0]


def test_a_budget_of_updates_makes_the_cells_that_the_knob_makes() -> None:
    assert cell(budget="updates=7").cell_id == cell(updates=7).cell_id
    assert cell(budget="updates=40").cell_id == cell().cell_id


def test_another_budget_makes_other_cells_however_it_is_spelled() -> None:
    tokens = cell(budget="completion_tokens=200000")

    assert tokens.cell_id == cell(budget="completion_tokens=2e5").cell_id
    assert tokens.cell_id != cell().cell_id


def test_a_config_file_gives_the_same_comparison_back(tmp_path: Path) -> None:
    asked = experiment_of({"budget": "train_s=60", "out": "x"})
    (tmp_path / "c.yaml").write_text(config_text(asked))

    assert asked.config["updates"] == 1_000_000
    assert experiment_of(read_config(tmp_path / "c.yaml")) == asked


def test_gold_replies_and_a_budget_of_tokens_are_refused_before_anything_runs() -> None:
    wrong = plan(algorithms=["grpo", "sft"], budget="completion_tokens=1000")

    with pytest.raises(UsageError, match="never ends a run of sft, which learns from gold"):
        check(wrong)


def test_progress_is_told_in_parts_of_the_budget(capsys: pytest.CaptureFixture[str]) -> None:
    row = CellRow(cell(budget="completion_tokens=1000"), "running")
    row.see(8.0, {"update": 1, "updates": 1_000_000, "done_frac": 0.1})
    row.see(20.0, {"update": 3, "updates": 1_000_000, "done_frac": 0.4})

    Lines([row]).ended(row)

    # 12 s for 0.3 of it: the other 0.6 take 24 s
    assert remaining_s([row]) == pytest.approx(24.0)
    assert "update 3 (40%)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("budget", "kind", "value"),
    [
        ("flops=1e9", "flops", 10**9),
        ("memory=6GiB", "memory", 6 * 2**30),
        ("updates=7", "updates", 7),
    ],
)
def test_a_killed_cell_keeps_the_budget_that_it_had(
    budget: str, kind: str, value: int, tmp_path: Path
) -> None:
    status = status_of_killed(cell(budget=budget), Ending("exited", -9, 1.0, 5), tmp_path)

    assert (status["budget_kind"], status["budget_value"]) == (kind, value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2000, "Budget of each run: completion_tokens = 2000."),
        (2001, "**not used up** by grpo and ppo: the updates ended first."),
    ],
)
def test_the_fairness_card_says_whose_budget_was_left(
    value: int, said: str, tmp_path: Path
) -> None:
    # runs of 2 updates of 1000 tokens
    write_grid(tmp_path, seeds=1)
    runs = load(tmp_path).runs
    card = fairness_card(
        [{**run, "budget_kind": "completion_tokens", "budget_value": value} for run in runs], []
    )

    assert any(said in line for line in card)


def test_the_fairness_card_says_that_seconds_end_runs_by_chance(tmp_path: Path) -> None:
    write_grid(tmp_path, seeds=1)
    runs = load(tmp_path).runs
    card = fairness_card([{**run, "budget_kind": "train_s", "budget_value": 1} for run in runs], [])

    assert any("the same command may end it elsewhere" in line for line in card)
