"""Scores at equal values of an axis, and what a target score took."""

import pytest
from unit.results_folder import write_cell

from bakeoff.comparisons.cli import main
from bakeoff.comparisons.report import axes, targets
from bakeoff.comparisons.report.axes import values_at
from bakeoff.comparisons.report.figures import svg
from bakeoff.comparisons.report.lines import score_curves
from bakeoff.comparisons.report.pairwise import pairwise_rows
from bakeoff.comparisons.report.pareto import unbeaten
from bakeoff.comparisons.report.report import console, derived
from bakeoff.comparisons.report.summary import summary_rows
from bakeoff.comparisons.results import load
from bakeoff.comparisons.schema import CURVES_COLUMNS
from bakeoff.comparisons.tables import append_rows
from bakeoff.errors import UsageError

PLACE = ("bakeoff/Arithmetic-v0", "tiny")


def run_id(algorithm="grpo", seed=0):
    return f"test/{algorithm}-s{seed}-Arithmetic-v0"


def readings(out):
    """What was read in the one place of a folder, by axis and value."""
    found = axes.readings(load(out))[PLACE]
    return {(reading.at_axis, reading.at_value): reading.values for reading in found}


def rows_of(rows, metric, **where):
    return [
        row
        for row in rows
        if row["metric"] == metric and all(row[key] == value for key, value in where.items())
    ]


def test_a_score_is_read_on_the_line_between_two_evaluations(tmp_path):
    # 1000 tokens and 10 s an update; the reward of an update is half the score after it
    write_cell(tmp_path, scores=(0.25, 0.5, 0.75))
    results = load(tmp_path)

    # 1400 tokens: 0.5 + 0.4 * 0.25 = 0.6; the rewards are 0.25 and 0.375 at 1000 and 2000
    assert values_at(results, "completion_tokens", 1400) == {
        run_id(): {"score": pytest.approx(0.6), "reward": pytest.approx(0.3)}
    }
    assert values_at(results, "train_wall_s", 10) == {run_id(): {"score": 0.5, "reward": 0.25}}


def test_there_is_no_reward_before_the_first_update(tmp_path):
    write_cell(tmp_path, scores=(0.25, 0.5, 0.75))

    # half of the first update: between the first two evaluations, and before the first reward
    assert values_at(load(tmp_path), "update", 0.5) == {run_id(): {"score": 0.375}}


def test_nothing_is_extrapolated(tmp_path):
    write_cell(tmp_path, seed=0, scores=(0.25, 0.5, 0.75))
    write_cell(tmp_path, seed=1, scores=(0.25, 0.5))  # ends after one update

    found = values_at(load(tmp_path), "update", 2)
    assert found == {run_id(seed=0): {"score": 0.75, "reward": 0.375}}
    assert values_at(load(tmp_path), "update", 3) == {}


def test_a_failed_run_is_not_read(tmp_path):
    write_cell(tmp_path, status="timeout")

    assert values_at(load(tmp_path), "update", 1) == {}


def test_axes_are_read_where_every_run_has_come_and_at_half_of_that(tmp_path):
    write_cell(tmp_path, "grpo", scores=(0.25, 0.5, 0.5, 0.5, 0.75))  # 4 updates
    write_cell(tmp_path, "ppo", scores=(0.25, 0.5, 0.5, 0.75))  # 3
    write_cell(tmp_path, "ppo", 1, scores=(0.25, 0.5), status="oom")  # has no say

    # 3 updates of 1000 tokens written, 1500 in all, 10 s, 1e9 FLOPs; half of 3 updates is 1
    assert list(readings(tmp_path)) == [
        ("update", 1),
        ("update", 3),
        ("completion_tokens", 1500),
        ("completion_tokens", 3000),
        ("total_tokens", 2250),
        ("total_tokens", 4500),
        ("train_wall_s", 15),
        ("train_wall_s", 30),
        ("train_flops", 1_500_000_000),
        ("train_flops", 3_000_000_000),
    ]


def write_gold(out, seed=0, **status):
    """Write a run of an update that writes no tokens."""
    parts = {"memory": {"unattributed": 1}, "phases": {"update_policy": 1.0}}
    folder = write_cell(out, "sft", seed, scores=(), updates=1, **parts, **status)
    own = {"run_id": run_id("sft", seed), "algorithm": "sft"}
    curve = {**own, "split": "eval", "metric": "score/mean"}
    points = [
        {**curve, "update": n, "completion_tokens": 0, "train_wall_s": 4.0 * n, "value": 0.5}
        for n in (0, 1)
    ]
    append_rows(folder / "curves.csv", CURVES_COLUMNS, points)


def test_a_run_that_diverged_is_not_0_on_an_axis_that_its_algorithm_does_not_move_along(tmp_path):
    write_cell(tmp_path, "grpo", 1, scores=(0.25, 0.75))
    write_gold(tmp_path, 0)
    write_gold(tmp_path, 1, status="diverged")
    rows = rows_of(summary_rows(load(tmp_path)), "score", at_axis="completion_tokens")

    assert {row["algorithm"] for row in rows} == {"grpo"}


def test_a_run_that_writes_no_tokens_has_no_say_in_their_axis(tmp_path):
    write_cell(tmp_path, "grpo", scores=(0.25, 0.75))
    write_gold(tmp_path)

    found = readings(tmp_path)
    assert list(found["completion_tokens", 1000]) == [run_id("grpo")]
    assert list(found["train_wall_s", 4]) == [run_id("grpo"), run_id("sft")]


def test_the_tables_compare_at_equal_tokens(tmp_path):
    write_cell(tmp_path, "grpo", scores=(0.25, 0.5, 0.75, 0.75))
    write_cell(tmp_path, "ppo", scores=(0.25, 0.25, 0.5))
    results = load(tmp_path)
    at = {"at_axis": "completion_tokens", "at_value": 2000}

    # after 2000 tokens; at its end grpo has had 3000
    (row,) = rows_of(pairwise_rows(results), "score", **at)
    assert (row["mean_a"], row["mean_b"], row["n_pairs"]) == (0.75, 0.5, 1)
    means = {row["algorithm"]: row["mean"] for row in rows_of(summary_rows(results), "score", **at)}
    assert means == {"grpo": 0.75, "ppo": 0.5}


def test_the_default_target_is_what_half_of_the_runs_reach_rounded_down(tmp_path):
    write_cell(tmp_path, "grpo", 0, scores=(0.1, 0.83))
    write_cell(tmp_path, "grpo", 1, scores=(0.1, 0.62))
    write_cell(tmp_path, "ppo", 0, scores=(0.1, 0.74, 0.2))
    write_cell(tmp_path, "ppo", 1, scores=(0.1, 0.9), status="timeout")  # came there and failed

    # .90 .83 | .74 .62: two of four reach .83
    reading = targets.target_readings(load(tmp_path))[PLACE]
    assert (reading.at_axis, reading.at_value) == ("score", 0.8)
    assert list(reading.values) == [run_id("grpo", 0)]
    assert reading.missed == {run_id("grpo", 1), run_id("ppo", 0)}


def test_small_scores_have_a_finer_target_and_scores_that_do_not_rise_have_none(tmp_path):
    write_cell(tmp_path / "small", scores=(0.01, 0.034))
    write_cell(tmp_path / "flat", scores=(0.25, 0.2))

    assert targets.target_readings(load(tmp_path / "small"))[PLACE].at_value == 0.03
    assert targets.target_readings(load(tmp_path / "flat")) == {}


def test_a_target_costs_what_was_spent_where_the_curve_first_touches_it(tmp_path):
    write_cell(tmp_path, scores=(0.2, 0.6, 0.5, 0.7))
    targets.keep_target(tmp_path, "0.5")

    # 3/4 of the first update: 1000 tokens, 1500 with prompts, 10 s, 1e9 FLOPs
    assert targets.target_readings(load(tmp_path))[PLACE].values[run_id()] == {
        "target/update": pytest.approx(0.75),
        "target/completion_tokens": pytest.approx(750),
        "target/total_tokens": pytest.approx(1125),
        "target/train_wall_s": pytest.approx(7.5),
        "target/train_flops": pytest.approx(0.75e9),
    }


def test_a_miss_stands_beside_the_mean_of_those_that_reached_the_target(tmp_path):
    for seed, end in enumerate((0.5, 0.75, 0.1)):
        write_cell(tmp_path, "grpo", seed, scores=(0.0, end))
    write_cell(tmp_path, "ppo", 0, scores=(0.0, 0.1))
    targets.keep_target(tmp_path, "0.5")
    results = load(tmp_path)

    # seed 0 needs all of the update, seed 1 two thirds of it
    grpo, ppo = rows_of(summary_rows(results), "target/update")
    assert grpo["mean"] == pytest.approx((1 + 2 / 3) / 2)
    assert (grpo["n_seeds"], grpo["n_missed"], grpo["at_value"]) == (2, 1, 0.5)
    assert (ppo["n_seeds"], ppo["n_missed"], ppo["mean"]) == (0, 1, None)
    (pair,) = rows_of(pairwise_rows(results), "target/update")
    assert pair["verdict"] == "not_comparable"
    assert "ppo missed it in 1 of 1 runs" in pair["note"]


def test_a_target_is_kept_until_another_is_given(tmp_path):
    write_cell(tmp_path, scores=(0.2, 0.6))
    targets.keep_target(tmp_path, "0.3")
    assert targets.kept_target(tmp_path) == 0.3

    targets.keep_target(tmp_path, "auto")
    assert targets.kept_target(tmp_path) is None
    assert targets.target_readings(load(tmp_path))[PLACE].at_value == 0.6


@pytest.mark.parametrize("text", ["high", "nan", ""])
def test_a_target_that_is_no_score_is_refused(tmp_path, text):
    with pytest.raises(UsageError, match="a target is a score"):
        targets.keep_target(tmp_path, text)


def test_a_folder_without_results_is_given_no_target(tmp_path):
    assert main(["report", str(tmp_path), "--target", "0.5"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_mean_curve_ends_where_the_first_seed_ends(tmp_path):
    write_cell(tmp_path, "grpo", 0, scores=(0.0, 0.4, 0.8))
    write_cell(tmp_path, "grpo", 1, scores=(0.0, 0.2))
    panel = score_curves(load(tmp_path), ("completion_tokens",)).axes[0]
    mean = next(line for line in panel.lines if line.get_label() == "grpo (n=2)")

    # against tokens: the mean of .4 and .2 after 1000, and nothing after that
    assert list(mean.get_xdata()) == [0, 1000]
    assert list(mean.get_ydata()) == pytest.approx([0.0, 0.3])


def test_only_what_another_one_beats_in_everything_is_beaten():
    points = {
        "best": [0.9, 100, 10],
        "lean": [0.5, 50, 12],
        "as lean and slower": [0.5, 50, 13],
        "worst": [0.4, 120, 20],
        "like the best": [0.9, 100, 10],
    }

    assert unbeaten(points) == {"best", "lean", "like the best"}


def test_controls_are_in_no_figure(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    write_cell(tmp_path, "grpo", 0, repeat=1)
    panel = score_curves(load(tmp_path), ("update",)).axes[0]

    # one run and the mean
    assert [line.get_label() for line in panel.lines][1:] == ["grpo (n=1)"]


def test_an_svg_is_the_same_for_the_same_rows(tmp_path):
    write_cell(tmp_path)
    results = load(tmp_path)
    first, second = (svg(score_curves(results, ("update",))) for _ in range(2))

    assert first == second


@pytest.mark.usefixtures("no_figures")
def test_the_command_line_keeps_a_target_for_later_reports(tmp_path, capsys):
    write_cell(tmp_path, scores=(0.2, 0.6, 0.7))

    assert main(["report", str(tmp_path), "--target", "0.4"]) == 0
    assert main(["report", str(tmp_path), "--target", "high"]) == 2
    assert main(["report", str(tmp_path), "--check", "--target", "0.5"]) == 2
    capsys.readouterr()

    (row,) = rows_of(summary_rows(load(tmp_path)), "target/update")
    assert (row["at_value"], row["mean"]) == (0.4, pytest.approx(0.5))  # half way to 0.6


def test_the_report_says_that_a_target_was_chosen_after_the_runs(tmp_path):
    for algorithm in ("grpo", "ppo"):
        write_cell(tmp_path, algorithm, scores=(0.25, 0.75))
    words = "the target score follows from these runs"

    def saying():
        pages = derived(load(tmp_path))
        texts = [pages[name].decode() for name in ("report.md", "report.html")]
        return [words in text for text in (*texts, console(tmp_path))]

    assert saying() == [True, True, True]

    targets.keep_target(tmp_path, "0.5")

    assert saying() == [False, False, False]
