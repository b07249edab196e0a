import math

import pytest
from unit.results_folder import MEMORY, MIB, PHASES, write_cell, write_grid

from bakeoff.comparisons.report.summary import summary_rows
from bakeoff.comparisons.results import load


def summary_of(out, algorithm, metric):
    rows = [
        row
        for row in summary_rows(load(out))
        if (row["algorithm"], row["metric"]) == (algorithm, metric)
        and row["at_value"] in ("first", "last")
    ]
    assert len(rows) <= 1
    return rows[0] if rows else None


def test_the_score_is_that_of_the_last_evaluation_over_seeds(tmp_path):
    write_grid(tmp_path)  # grpo ends at .70 .71 .72
    row = summary_of(tmp_path, "grpo", "score_final")

    # mean .71, sd .01, se .01 / sqrt 3, t(2) = 4.3027
    assert row["n_seeds"] == 3
    assert row["mean"] == pytest.approx(0.71)
    assert row["sd"] == pytest.approx(0.01)
    assert row["ci_high"] == pytest.approx(0.71 + 4.3027 * 0.01 / math.sqrt(3), abs=1e-6)
    assert (row["median"], row["min"], row["max"]) == pytest.approx((0.71, 0.70, 0.72))


def test_the_gain_is_measured_from_before_the_first_update(tmp_path):
    write_cell(tmp_path, "grpo", 0, scores=(0.25, 0.1, 0.75))

    assert summary_of(tmp_path, "grpo", "score_initial")["mean"] == 0.25
    assert summary_of(tmp_path, "grpo", "score_gain")["mean"] == 0.5


def test_one_seed_has_a_mean_and_no_interval(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    row = summary_of(tmp_path, "grpo", "score_final")

    assert (row["n_seeds"], row["mean"]) == (1, 0.75)
    assert (row["sd"], row["ci_low"], row["ci_high"], row["ci_method"]) == (None,) * 4


def test_a_failed_seed_is_in_no_mean_and_beside_every_mean(tmp_path):
    write_cell(tmp_path, "grpo", 0, scores=(0.25, 0.5))
    write_cell(tmp_path, "grpo", 1, scores=(0.25, 0.0), status="error")
    write_cell(tmp_path, "grpo", 2, status=None)

    for metric in ("score_initial", "score_final", "training_bytes", "train_s"):
        row = summary_of(tmp_path, "grpo", metric)
        assert (row["n_seeds"], row["n_failed"]) == (1, 2)
    assert summary_of(tmp_path, "grpo", "score_final")["mean"] == 0.5


def test_an_algorithm_whose_runs_all_failed_keeps_its_rows(tmp_path):
    write_cell(tmp_path, "ppo", 0, status="oom")
    row = summary_of(tmp_path, "ppo", "training_bytes")

    assert (row["n_seeds"], row["n_failed"], row["mean"]) == (0, 1, None)


def test_training_bytes_are_the_peak_without_the_baseline(tmp_path):
    write_cell(tmp_path, "ppo", 0)

    # 4 + 8 + 4 + 8 + 36 MiB; the 300 of the process itself are left out
    assert summary_of(tmp_path, "ppo", "training_bytes")["mean"] == 60 * MIB
    assert summary_of(tmp_path, "ppo", "memory/process_baseline")["mean"] == 300 * MIB
    assert summary_of(tmp_path, "ppo", "memory/critic_optimizer")["mean"] == 8 * MIB


def test_a_component_that_an_algorithm_has_not_has_no_row(tmp_path):
    write_cell(tmp_path, "grpo", 0)

    assert summary_of(tmp_path, "grpo", "memory/critic_weights") is None


def test_components_add_up_to_the_peak(tmp_path):
    write_cell(tmp_path, "ppo", 0)
    rows = [r for r in summary_rows(load(tmp_path)) if r["metric"].startswith("memory/")]

    assert len(rows) == len(MEMORY["ppo"])
    assert sum(row["mean"] for row in rows) == 360 * MIB


def test_seconds_of_an_update_leave_out_warm_up_and_evaluation(tmp_path):
    write_cell(tmp_path, "grpo", 0, scores=(0.25, 0.3, 0.4, 0.5))

    # update 1 takes 40 s and is warm-up; updates 2 and 3 take 2 + 0.5 + 1 + 0.5; evaluation 3
    assert summary_of(tmp_path, "grpo", "update_s")["mean"] == sum(PHASES["grpo"].values()) == 4.0
    assert summary_of(tmp_path, "grpo", "update_s/rollout")["mean"] == 2.0
    assert summary_of(tmp_path, "grpo", "update_s/eval")["mean"] == 3.0


def test_a_run_of_warm_up_only_has_no_seconds_of_an_update(tmp_path):
    write_cell(tmp_path, "grpo", 0, scores=(0.25, 0.3))
    row = summary_of(tmp_path, "grpo", "update_s")

    assert (row["n_seeds"], row["mean"]) == (0, None)


def test_tokens_per_second_count_training_or_rollout_alone(tmp_path):
    write_cell(tmp_path, "grpo", 0)

    # 1000 tokens an update: 2000 in 20 s of training; 1000 in the 2 s of the rollout after warm-up
    assert summary_of(tmp_path, "grpo", "completion_tokens_per_s")["mean"] == 100
    assert summary_of(tmp_path, "grpo", "rollout_tokens_per_s")["mean"] == 500


def test_models_and_environments_are_kept_apart(tmp_path):
    write_cell(tmp_path, "grpo", 0, environment="bakeoff/A-v0", scores=(0.0, 1.0))
    write_cell(tmp_path, "grpo", 0, environment="bakeoff/B-v0", scores=(0.0, 0.5))
    rows = [r for r in summary_rows(load(tmp_path)) if r["metric"] == "score_final"]

    assert [(r["environment"], r["mean"]) for r in rows] == [
        ("bakeoff/A-v0", 1.0),
        ("bakeoff/B-v0", 0.5),
    ]


def test_a_seed_that_diverged_has_a_score_of_0_and_no_seconds(tmp_path):
    write_cell(tmp_path, "grpo", 0, scores=(0.25, 0.5))
    write_cell(tmp_path, "grpo", 1, scores=(0.25, 0.9), status="diverged")
    final, gain = (summary_of(tmp_path, "grpo", name) for name in ("score_final", "score_gain"))
    seconds = summary_of(tmp_path, "grpo", "train_s")

    # (.5 + 0) / 2; gains .25 and -.25
    assert (final["mean"], final["n_seeds"], final["n_failed"]) == (0.25, 2, 1)
    assert gain["mean"] == 0.0
    assert (seconds["n_seeds"], seconds["n_failed"]) == (1, 1)


def test_an_a_a_control_is_in_no_mean(tmp_path):
    write_cell(tmp_path, "grpo", 0, scores=(0.25, 0.5))
    write_cell(tmp_path, "grpo", 0, scores=(0.25, 0.9), repeat=1)
    row = summary_of(tmp_path, "grpo", "score_final")

    assert (row["n_seeds"], row["mean"]) == (1, 0.5)


def test_the_interval_of_seconds_is_never_negative(tmp_path):
    for seed, seconds in enumerate((1.0, 3.0)):
        write_cell(tmp_path, "grpo", seed, train_s=seconds)
    row = summary_of(tmp_path, "grpo", "train_s")

    # mean 2, se 1, t(1) = 12.706: Student's t would begin at -10.7; here 2 exp(-12.706 / 2)
    assert row["ci_method"] == "student_t_log"
    assert row["ci_low"] == pytest.approx(2 * math.exp(-12.7062 / 2), rel=1e-4)


def test_the_bootstrap_stands_beside_the_interval(tmp_path):
    for seed, score in enumerate((0.2, 0.8)):
        write_cell(tmp_path, "grpo", seed, scores=(0.25, score))
    row = summary_of(tmp_path, "grpo", "score_final")

    # a quarter of the resamples of two are twice the lower value, a quarter twice the higher one
    assert (row["boot_low"], row["boot_high"]) == (0.2, 0.8)
    assert row["ci_method"] == "student_t"
