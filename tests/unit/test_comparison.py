"""A comparison from Python: frames, verdicts, sentences, curves, HTML."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.results_folder import write_cell, write_grid
from unit.true_folder import make, write_report

from bakeoff.comparisons import Comparison
from bakeoff.errors import UsageError


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return Comparison(write_report(make(tmp_path_factory.mktemp("made") / "results")))


def test_every_table_of_the_folder_is_a_frame(comparison):
    tables = {path.stem for path in comparison.out.glob("*.csv")}

    assert all(len(getattr(comparison, name).columns) > 1 for name in tables)
    assert {"runs", "summary", "pairwise", "items"} <= tables


def test_numbers_in_frames_are_numbers(comparison):
    final = comparison.summary.query("metric == 'score_final' and algorithm == 'ppo'")

    assert final["mean"].item() == pytest.approx(0.375)  # of seeds 0 and 1: 1/4 and 2/4
    assert comparison.runs["seed"].sum() == 2


def test_a_frame_is_read_once(comparison):
    assert comparison.runs is comparison.runs


def test_a_table_that_is_not_there_is_a_clear_line(tmp_path):
    with pytest.raises(UsageError, match=r"there is no runs\.csv in"):
        _ = Comparison(tmp_path).runs


def test_verdicts_have_a_row_for_each_row_of_pairwise(comparison):
    verdicts = comparison.verdicts()

    names = ["environment", "model", "metric", "axis", "at", "a", "b", "verdict", "sentence"]
    assert list(verdicts.columns) == names
    assert len(verdicts) == len(comparison.pairwise)
    (said,) = verdicts.query("metric == 'update_s' and at == 'last'")["sentence"]
    # both take 1.75 s an update: rollout 1, update_policy 0.5, other 0.25
    assert said.startswith("ppo took 1.000x the time of grpo per update")


def test_sentences_are_those_of_the_terminal(comparison):
    text = str(comparison)

    assert comparison.sentences() != []
    assert all(f"- {line}" in text for line in comparison.sentences())


def test_a_curve_is_drawn_of_any_metric_along_any_axis(comparison):
    (panel,) = comparison.plot("reward/mean", axis="completion_tokens").axes
    lines = [list(line.get_xdata()) for line in panel.lines]

    # two updates of 100 tokens each; two runs and a mean, twice
    assert lines == [[100.0, 200.0]] * 6
    assert panel.get_ylabel() == "reward/mean"


@pytest.mark.parametrize(
    ("metric", "axis", "said"),
    [
        ("reward/meen", "update", "did you mean 'reward/mean'"),
        ("score/mean", "tokens", "did you mean 'total_tokens'"),
    ],
)
def test_a_metric_or_axis_that_there_is_not_names_the_nearest(comparison, metric, axis, said):
    with pytest.raises(UsageError, match=said):
        comparison.plot(metric, axis)


def test_html_shows_what_failed_and_escapes_what_runs_have_said(tmp_path: Path):
    write_grid(tmp_path, seeds=1)
    write_cell(tmp_path, "ppo", 1, status="error", error_message="<script>alert(1)</script>")
    page = Comparison(tmp_path)._repr_html_()

    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert page.count("<table>") == 1
