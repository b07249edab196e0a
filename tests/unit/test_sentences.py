import random

from simulated import merged, simulated
from unit.results_folder import write_cell

from bakeoff.comparisons.report.fairness import fairness_card
from bakeoff.comparisons.report.pairwise import pairwise_rows
from bakeoff.comparisons.report.sentences import cautions, sentences
from bakeoff.comparisons.report.summary import summary_rows
from bakeoff.comparisons.report.verdicts import verdict_sentence
from bakeoff.comparisons.results import load


def seconds(factor, n=6):
    return {"train_s": [factor * (10 + seed) for seed in range(n)]}


def sentence_of(results, metric):
    rows = [row for row in pairwise_rows(results) if row["metric"] == metric]
    return verdict_sentence(rows[0])


def said(results):
    return sentences(summary_rows(results), pairwise_rows(results))


def card(results):
    return "\n".join(fairness_card(results.runs, pairwise_rows(results)))


def test_a_ratio_is_said_with_interval_pairs_means_and_verdict():
    # means of 10 to 15: 12.5; 2 / 2**6
    assert sentence_of(simulated({"a": seconds(1), "b": seconds(2)}), "train_s") == (
        "b had 2.00x the training time of a (95 % CI 2.00 to 2.00, n=6 paired seeds; "
        "25.00 s against 12.50 s): worse, p = 0.031 (Holm)"
    )


def test_too_few_seeds_say_how_many_would_do():
    draw = random.Random(0)
    noisy = {"train_s": [20 * draw.uniform(0.8, 1.25) for _ in range(4)]}
    grid = simulated({"a": seconds(1, 4), "b": noisy})
    needed = pairwise_rows(grid)[0]["pairs_needed"]

    assert needed >= 6
    assert sentence_of(grid, "train_s").endswith(
        f"too few seeds for a verdict (with the spread seen, {needed} pairs would be needed)"
    )


def test_one_pair_is_told_of_without_an_interval():
    assert "(n=1 pair of runs, so no interval; " in sentence_of(
        simulated({"a": seconds(1, 1), "b": seconds(2, 1)}), "train_s"
    )


def test_a_score_is_said_as_a_difference_from_the_lower_side():
    high, low = {"score": [0.6] * 6}, {"score": [0.5] * 6}

    assert sentence_of(simulated({"a": high, "b": low}), "score_final") == (
        "a ended 0.100 above b (95 % CI +0.100 to +0.100, n=6 paired seeds): "
        "better, p = 0.031 (Holm)"
    )


def test_who_beats_all_others_is_the_winner():
    # 7 seeds: three pairs of algorithms, 3 * 2 / 2**7 = .047
    scores = {name: {"score": [mean] * 7} for name, mean in (("a", 0.5), ("b", 0.7), ("c", 0.6))}

    assert "winner in held-out score: b, over a and c" in said(simulated(scores))


def test_who_beats_some_others_leads_and_wins_nothing():
    up_down = [0.7 + 0.2 * (-1) ** seed for seed in range(7)]
    scores = {"a": [0.1] * 7, "b": [0.7] * 7, "c": up_down}
    found = said(simulated({name: {"score": own} for name, own in scores.items()}))

    line = next(line for line in found if line.startswith("winner in held-out score: "))
    # c: four of .9 and three of .5, mean .729; beside b a zigzag, above a always
    assert line.startswith(
        "winner in held-out score: none shown; c leads with 0.729, better than a "
        "(no difference shown: b; with the spread seen, "
    )


def test_equal_scores_have_no_gap_and_no_leader():
    same = {"score": [0.5] * 6}
    found = said(simulated({"a": same, "b": same}))

    assert (
        "no difference in held-out score shown between a and b: no gap at all (n=6 paired seeds)"
        in found
    )
    assert (
        "winner in held-out score: none shown; a and b are level at 0.500 (no difference shown: b)"
        in found
    )


def test_who_leads_by_less_than_is_said_leads_nobody():
    found = said(simulated({"a": {"score": [0.5] * 6}, "b": {"score": [0.5] * 5 + [0.501]}}))

    # a sixth of .001: both read .500
    assert any("b ended less than 0.001 from a (95 % CI" in line for line in found)
    assert any("none shown; a and b are level at 0.500 (" in line for line in found)


def test_equal_scores_of_few_seeds_are_level():
    same = {"score": [0.5] * 3}

    assert sentence_of(simulated({"a": same, "b": same}), "score_final").startswith(
        "b ended level with a (95 % CI +0.000 to +0.000, n=3 paired seeds): too few seeds"
    )


def test_an_interval_that_excludes_none_is_said_with_the_p_that_does_not():
    # seven of one sign: 3 * 2 / 2**7; the control is up to .5 from 0
    gaps = [0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14]
    scores = {"a": [0.1] * 7, "b": [0.1 + gap for gap in gaps], "c": [0.1] * 7}
    control = {"score": [0.5, 0.0] * 3 + [0.5]}
    grid = simulated({name: {"score": own} for name, own in scores.items()}, control=control)
    row = next(r for r in pairwise_rows(grid) if r["algorithm_b"] == "b")

    assert row["diff_ci_low"] > 0
    assert verdict_sentence(row).endswith(
        "; p = 0.047 (Holm); an algorithm differs as much from itself"
    )


def test_costs_that_have_no_ratio_are_said_in_their_unit():
    none = {"peak_rss_bytes": [0.0] * 6}
    grid = simulated({"a": none, "b": {"peak_rss_bytes": [2.0**20] * 6}})

    assert sentence_of(grid, "peak_rss_bytes") == (
        "b had 1.0 MiB more peak memory of the process than a (95 % CI 1.0 MiB to 1.0 MiB, "
        "n=6 paired seeds): worse, p = 0.031 (Holm)"
    )


def test_nobody_leads_to_a_target_that_runs_missed(tmp_path):
    for algorithm, end in (("grpo", 0.75), ("ppo", 0.6)):
        write_cell(tmp_path, algorithm, 0, scores=(0.25, 0.5, 0.75))
        write_cell(tmp_path, algorithm, 1, scores=(0.25, 0.5, end))

    assert (
        "winner in training time to the target at a score of 0.75: none shown; "
        "runs that reached it: grpo in 2 of 2 and ppo in 1 of 2" in said(load(tmp_path))
    )


def test_nobody_leads_whom_it_may_not_be_compared_to(tmp_path):
    write_cell(tmp_path, "grpo", 0, host_id="one")
    write_cell(tmp_path, "ppo", 0, host_id="two")

    assert "winner in time per update: none shown; grpo is not comparable to ppo" in said(
        load(tmp_path)
    )


def test_means_over_different_hardware_are_warned_of(tmp_path):
    for seed, device in enumerate(("H200", "A100")):
        write_cell(tmp_path, "grpo", seed, device_name=device, host_id=device)

    (line,) = cautions(load(tmp_path))
    assert line.startswith("the runs are of different hardware (A100, H200): times and bytes are")


def test_no_sentence_compares_an_algorithm_with_itself():
    grid = simulated({"a": seconds(1), "b": seconds(2)}, control=seconds(1.5))

    assert not any("a and a" in line or "of a)" in line for line in said(grid))


def test_the_card_names_the_spread_of_the_control():
    memory = {"peak_rss_bytes": [100.0] * 6}
    grid = simulated({"a": memory, "b": memory}, control={"peak_rss_bytes": [110.0] * 6})

    assert (
        "A/A control: a ran twice with each seed. It may differ from itself by up to 1.10x in peak "
        "memory of the process" in card(grid)
    )


def test_the_card_says_that_there_was_no_control():
    grid = simulated({"a": seconds(1), "b": seconds(2)})

    assert "No A/A control" in card(grid)


def test_the_card_says_which_settings_one_algorithm_alone_had(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    write_cell(tmp_path, "ppo", 0, own={"group_size": 4}, own_reason="memory 6GiB")

    assert "**Settings of their own**: ppo alone had group_size=4 (memory 6GiB)." in card(
        load(tmp_path)
    )


def test_own_settings_are_compared_and_noted(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    write_cell(tmp_path, "ppo", 0, own={"group_size": 4}, own_reason="memory 6GiB")
    row = next(r for r in pairwise_rows(load(tmp_path)) if r["metric"] == "score_final")

    assert row["verdict"] == "too_few_seeds"
    assert row["note"].endswith("ppo alone had group_size=4 (memory 6GiB)")


def test_settings_that_both_of_a_pair_had_are_no_remark(tmp_path):
    for name in ("grpo", "ppo"):
        write_cell(tmp_path, name, 0, own={"group_size": 4})
    row = next(r for r in pairwise_rows(load(tmp_path)) if r["metric"] == "score_final")

    assert "group_size" not in row["note"]
    assert "**Settings of their own**: grpo and ppo each had group_size=4." in card(load(tmp_path))


def test_the_card_counts_runs_that_held_more_than_their_budget_of_memory(tmp_path):
    budget = {"budget_kind": "memory", "budget_value": 1e9}
    write_cell(tmp_path, "grpo", 0, **budget, peak_rss_bytes=1.1e9)
    write_cell(tmp_path, "ppo", 0, **budget, peak_rss_bytes=0.9e9)

    # 1.1 / 1
    assert "**1 of 2 runs held more**: up to 1.10x." in card(load(tmp_path))


def test_the_card_gives_the_seed_correlation_as_a_range():
    same = {"score": [0.1, 0.2, 0.3]}
    grid = simulated({"a": same, "b": same, "c": {"score": [0.3, 0.2, 0.1]}})

    assert "Seed correlation achieved, of pairs of algorithms: -1.00 to +1.00 in held-out" in card(
        grid
    )


def test_places_keep_their_own_winners():
    first = simulated({"a": seconds(1), "b": seconds(2)}, environment="x")
    second = simulated({"a": seconds(2), "b": seconds(1)}, environment="y")
    rows = [row for row in pairwise_rows(merged(first, second)) if row["metric"] == "train_s"]

    assert [row["verdict"] for row in rows] == ["a_better", "b_better"]


def test_a_control_alone_says_nothing(tmp_path):
    write_cell(tmp_path, "grpo", 0, status="oom")
    write_cell(tmp_path, "ppo", 0, status="oom")
    write_cell(tmp_path, "grpo", 0, repeat=1)

    assert "grpo none (no run ended ok, 1 failed)" in "\n".join(said(load(tmp_path)))


def test_the_card_names_the_runs_that_count_as_0(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    write_cell(tmp_path, "grpo", 1, status="diverged")

    assert "**Diverged**, a score of 0 in every mean: grpo seed 1." in card(load(tmp_path))
