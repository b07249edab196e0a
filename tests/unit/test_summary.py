import math
from statistics import fmean

import pytest
from unit.results_folder import MEMORY, MIB, PHASES, write_cell, write_grid

from bakeoff.comparisons.report.pairwise import pairwise_rows, seeds_needed
from bakeoff.comparisons.report.summary import summary_rows
from bakeoff.comparisons.results import load


def summary_of(out, algorithm, metric):
    rows = [
        row
        for row in summary_rows(load(out))
        if (row["algorithm"], row["metric"]) == (algorithm, metric)
    ]
    assert len(rows) <= 1
    return rows[0] if rows else None


def pair_of(out, metric, a="grpo", b="ppo"):
    rows = [
        row
        for row in pairwise_rows(load(out))
        if (row["metric"], row["algorithm_a"], row["algorithm_b"]) == (metric, a, b)
    ]
    assert len(rows) == 1
    return rows[0]


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
    write_cell(tmp_path, "grpo", 1, scores=(0.25, 0.0), status="diverged")
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


def test_memory_is_compared_as_a_ratio_within_pairs(tmp_path):
    write_cell(tmp_path, "grpo", 0, memory={"process_baseline": 300, "unattributed": 10})
    write_cell(tmp_path, "ppo", 0, memory={"process_baseline": 300, "unattributed": 20})
    write_cell(tmp_path, "grpo", 1, memory={"process_baseline": 300, "unattributed": 10})
    write_cell(tmp_path, "ppo", 1, memory={"process_baseline": 300, "unattributed": 80})
    row = pair_of(tmp_path, "training_bytes")

    # ratios 2 and 8: geometric mean 4, where the ratio of the means would say 5
    assert row["n_pairs"] == 2
    assert row["ratio_b_over_a"] == pytest.approx(4.0)
    assert row["ratio_ci_low"] == pytest.approx(math.exp((2 - 12.7062) * math.log(2)), rel=1e-4)
    assert row["difference"] == (10 + 70) / 2 * MIB


def test_scores_are_compared_as_differences_within_pairs(tmp_path):
    write_grid(tmp_path)
    row = pair_of(tmp_path, "score_final")

    # ppo ends 0.05 higher with every seed: pairing removes all spread
    assert row["difference"] == pytest.approx(0.05)
    assert (row["diff_ci_low"], row["diff_ci_high"]) == pytest.approx((0.05, 0.05))
    assert row["ratio_b_over_a"] is None
    assert row["prob_b_better"] == 1.0
    assert row["seed_correlation"] == pytest.approx(1.0)


def test_three_seeds_are_too_few_for_a_verdict(tmp_path):
    write_grid(tmp_path, seeds=3)
    row = pair_of(tmp_path, "score_final")

    # the most extreme of 2**3 sign patterns: 2 / 8
    assert row["p_value"] == row["min_possible_p"] == 0.25
    assert row["verdict"] == "too_few_seeds"


def test_six_seeds_can_show_a_difference_of_one_pair(tmp_path):
    write_grid(tmp_path, seeds=6)
    score, memory = pair_of(tmp_path, "score_final"), pair_of(tmp_path, "training_bytes")

    # 2 / 2**6, one pair of algorithms: nothing to correct; ppo scores higher and needs more
    assert score["p_value_holm"] == memory["p_value_holm"] == 1 / 32
    assert (score["verdict"], memory["verdict"]) == ("b_better", "a_better")


def test_three_pairs_of_algorithms_need_a_seventh_seed(tmp_path):
    for seed in range(6):
        for place, algorithm in enumerate(("a", "b", "c")):
            shape = {"memory": MEMORY["grpo"], "phases": PHASES["grpo"]}
            write_cell(tmp_path, algorithm, seed, scores=(0.2, 0.5 + place / 10), **shape)
    row = pair_of(tmp_path, "score_final", "a", "b")

    # 3 / 32 = .094 at best with 6 seeds; 3 / 64 = .047 with 7
    assert row["p_value_holm"] == 3 / 32
    assert row["verdict"] == "too_few_seeds"
    assert seeds_needed(3) == 7


def test_enough_seeds_without_a_difference_show_none(tmp_path):
    for seed in range(6):
        write_cell(tmp_path, "grpo", seed, scores=(0.25, 0.5))
        write_cell(tmp_path, "ppo", seed, scores=(0.25, 0.5 + (0.1 if seed % 2 else -0.1)))

    assert pair_of(tmp_path, "score_final")["verdict"] == "no_difference_shown"


def test_a_failed_run_makes_a_pair_of_algorithms_not_comparable(tmp_path):
    write_grid(tmp_path, seeds=2)
    write_cell(tmp_path, "grpo", 2)
    write_cell(tmp_path, "ppo", 2, status="diverged")
    row = pair_of(tmp_path, "score_final")

    assert row["verdict"] == "not_comparable"
    assert row["n_pairs"] == 2
    assert row["note"] == "ppo seed 2 diverged"


def test_another_processor_forbids_comparing_seconds_and_not_scores(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    write_cell(tmp_path, "ppo", 0, device_name="another processor")

    seconds = pair_of(tmp_path, "train_s")
    assert seconds["verdict"] == "not_comparable"
    assert "device_name differs (a processor, another processor)" in seconds["note"]
    assert pair_of(tmp_path, "score_final")["verdict"] == "too_few_seeds"


def test_other_settings_forbid_any_comparison(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    write_cell(tmp_path, "ppo", 0, config_sha256="decaf")

    assert pair_of(tmp_path, "score_final")["verdict"] == "not_comparable"


def test_a_seed_that_only_one_side_has_is_left_out_and_named(tmp_path):
    write_grid(tmp_path, seeds=2)
    write_cell(tmp_path, "grpo", 2, scores=(0.25, 1.0))
    row = pair_of(tmp_path, "score_final")

    assert row["n_pairs"] == 2
    assert row["mean_a"] == pytest.approx(fmean([0.70, 0.71]))
    assert "1 runs without a partner" in row["note"]
