import math
from statistics import fmean

import pytest
from unit.results_folder import MEMORY, MIB, PHASES, write_cell, write_grid

from bakeoff.comparisons.report.pairwise import pairwise_rows, seeds_needed
from bakeoff.comparisons.results import load


def pair_of(out, metric, a="grpo", b="ppo"):
    rows = [
        row
        for row in pairwise_rows(load(out))
        if (row["metric"], row["algorithm_a"], row["algorithm_b"]) == (metric, a, b)
        and row["at_value"] == "last"
    ]
    assert len(rows) == 1
    return rows[0]


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
    write_cell(tmp_path, "ppo", 2, status="oom")
    row = pair_of(tmp_path, "score_final")

    assert row["verdict"] == "not_comparable"
    assert row["n_pairs"] == 2
    assert row["note"] == "ppo seed 2 oom"


def test_a_run_that_diverged_loses_its_pair_by_score_and_has_no_seconds(tmp_path):
    write_cell(tmp_path, "grpo", 0, scores=(0.25, 0.5))
    write_cell(tmp_path, "ppo", 0, scores=(0.25, 0.9), status="diverged")
    score, seconds = pair_of(tmp_path, "score_final"), pair_of(tmp_path, "train_s")

    assert (score["n_pairs"], score["difference"]) == (1, -0.5)
    assert score["note"].endswith("ppo seed 0 diverged: a score of 0")
    assert (seconds["n_pairs"], seconds["verdict"]) == (0, "not_comparable")


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


def test_runs_that_were_not_alone_have_no_comparable_seconds(tmp_path):
    write_cell(tmp_path, "grpo", 0, parallel=2)
    write_cell(tmp_path, "ppo", 0, parallel=2)

    assert pair_of(tmp_path, "train_s")["verdict"] == "not_comparable"
    assert "2 runs were at work at a time" in pair_of(tmp_path, "train_s")["note"]
    assert pair_of(tmp_path, "training_bytes")["verdict"] == "too_few_seeds"


def test_at_equal_seconds_scores_need_the_same_machine_too(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    write_cell(tmp_path, "ppo", 0, host_id="another")
    rows = [row for row in pairwise_rows(load(tmp_path)) if row["metric"] == "score"]

    verdicts = {row["at_axis"]: row["verdict"] for row in rows}
    assert verdicts["train_wall_s"] == "not_comparable"
    assert verdicts["update"] == "too_few_seeds"


def test_pairs_within_one_machine_each_are_compared_over_two_machines(tmp_path):
    for seed, host in ((0, "one"), (1, "two")):
        write_cell(tmp_path, "grpo", seed, host_id=host)
        write_cell(tmp_path, "ppo", seed, host_id=host)

    assert pair_of(tmp_path, "update_s")["verdict"] == "too_few_seeds"


def test_a_target_that_one_run_missed_is_not_compared(tmp_path):
    for seed in (0, 1):
        write_cell(tmp_path, "grpo", seed, scores=(0.25, 0.5, 0.75))
    write_cell(tmp_path, "ppo", 0, scores=(0.25, 0.5, 0.75))
    write_cell(tmp_path, "ppo", 1, scores=(0.25, 0.5, 0.6))
    rows = pairwise_rows(load(tmp_path))
    row = next(row for row in rows if row["metric"] == "target/train_wall_s")

    # half of the four runs reach .75
    assert (row["at_value"], row["n_pairs"], row["verdict"]) == (0.75, 1, "not_comparable")
    assert "ppo missed it in 1 of 2 runs" in row["note"]


def test_an_algorithm_that_differs_from_itself_is_no_control(tmp_path):
    for seed in range(6):
        write_cell(tmp_path, "grpo", seed)
        write_cell(tmp_path, "grpo", seed, train_s=30.0, repeat=1)
    row = pair_of(tmp_path, "train_s", "grpo", "grpo")

    # 1.5 times as long with every seed: 2 / 2**6
    assert (row["p_value"], row["p_value_holm"]) == (1 / 32, None)
    assert row["verdict"] == "not_comparable"
    assert row["aa_floor"] == pytest.approx(1.5)


def test_what_survives_the_correction_has_seeds_enough(tmp_path):
    shape = {"memory": MEMORY["grpo"], "phases": PHASES["grpo"]}
    for name, seeds, end in (("a", range(7), 0.5), ("b", range(8), 0.6), ("c", range(1, 8), 0.8)):
        for seed in seeds:
            write_cell(tmp_path, name, seed, scores=(0.2, end), **shape)
    row = pair_of(tmp_path, "score_final", "a", "c")

    # 6 pairs, 1/32, come last after twice 7 pairs, 3 * 1/64 and 2 * 1/64: raised to 3/64, not * 3
    assert (row["n_pairs"], row["p_value_holm"], row["verdict"]) == (6, 3 / 64, "b_better")


def test_a_control_costs_the_other_tests_nothing(tmp_path):
    write_grid(tmp_path, seeds=6)
    for seed in range(6):
        write_cell(tmp_path, "grpo", seed, scores=(0.25, 0.5, 0.70 + seed / 100), repeat=1)
    row = pair_of(tmp_path, "score_final")

    # the control is the first run again: nothing of the .05 is noise, and the family is one pair
    assert (row["aa_floor"], row["p_value_holm"], row["verdict"]) == (0.0, 1 / 32, "b_better")


def test_the_share_of_better_pairs_has_an_exact_interval(tmp_path):
    write_grid(tmp_path, seeds=5)
    row = pair_of(tmp_path, "score_final")

    # 5 of 5: p**5 = .025
    assert row["prob_ci_low"] == pytest.approx(0.025 ** (1 / 5))
    assert row["prob_ci_high"] == 1.0


def test_pairs_needed_are_at_least_those_that_the_test_needs(tmp_path):
    write_grid(tmp_path, seeds=3)

    # no spread at all within pairs
    assert pair_of(tmp_path, "score_final")["pairs_needed"] == 6


def test_pairs_needed_grow_with_the_number_of_algorithms(tmp_path):
    for seed in range(3):
        for place, algorithm in enumerate(("a", "b", "c")):
            shape = {"memory": MEMORY["grpo"], "phases": PHASES["grpo"]}
            write_cell(tmp_path, algorithm, seed, scores=(0.2, 0.5 + place / 10), **shape)

    # no spread: what the sign-flip test needs at .05 / 3, 2 / 2**7 = .0156
    assert pair_of(tmp_path, "score_final", "a", "b")["pairs_needed"] == 7


def test_two_pairs_do_not_say_how_many_are_needed(tmp_path):
    write_grid(tmp_path, seeds=2)

    assert pair_of(tmp_path, "score_final")["pairs_needed"] is None


def test_a_diverged_run_counts_as_0_where_it_never_came(tmp_path):
    write_cell(tmp_path, "grpo", 0, scores=(0.25, 0.5, 0.75))
    write_cell(tmp_path, "ppo", 0, scores=(0.25, 0.5), status="diverged")
    rows = [row for row in pairwise_rows(load(tmp_path)) if row["metric"] == "score"]

    # both had .5 after one update; ppo never made a second one
    at = {row["at_value"]: row["difference"] for row in rows if row["at_axis"] == "update"}
    assert at == {1: 0.0, 2: -0.75}
