"""The harness itself: what is not there is rarely claimed, and what was planted is found.

Each test repeats a comparison of drawn numbers through the real ``pairwise_rows``. tests/slow has
the same with thousands of repeats and real processes.
"""

import math
import random

import torch
from bandit import Bandit
from simulated import merged, simulated

from bakeoff.algorithms.grpo import grpo
from bakeoff.comparisons import statistics
from bakeoff.comparisons.report.pairwise import pairwise_rows
from bakeoff.comparisons.report.summary import summary_rows
from bakeoff.comparisons.report.verdicts import winners

CLAIMS = ("a_better", "b_better")


def last_rows(results, metric):
    rows = [row for row in pairwise_rows(results) if row["metric"] == metric]
    return [row for row in rows if row["algorithm_a"] != row["algorithm_b"]]


def scores(draw, n, mean=0.5):
    return {"score": [draw.gauss(mean, 0.1) for _ in range(n)]}


def test_three_equal_algorithms_are_rarely_told_apart():
    draw = random.Random(0)
    claimed = 0
    for _ in range(60):
        grid = simulated({name: scores(draw, 8) for name in "abc"})
        claimed += any(row["verdict"] in CLAIMS for row in last_rows(grid, "score_final"))

    # at most 5 % of 60 is 3; that many more that 1 in 1000 fair harnesses would have: 9
    assert claimed <= 9


def test_a_planted_weaker_algorithm_is_found_with_its_sign():
    draw = random.Random(1)
    found = 0
    for _ in range(20):
        grid = simulated({"a": scores(draw, 10), "b": scores(draw, 10, mean=0.2)})
        (row,) = last_rows(grid, "score_final")
        found += row["verdict"] == "a_better" and row["diff_ci_low"] <= -0.3 <= row["diff_ci_high"]

    # 0.3 is 3 sd of one side: power is 1, and 95 % of the intervals hold it
    assert found >= 16


def test_a_slow_down_of_a_fifth_is_found_with_its_size():
    draw = random.Random(2)
    found = 0
    for _ in range(20):
        base = [math.exp(draw.gauss(2, 0.03)) for _ in range(6)]
        slow = [1.2 * seconds * math.exp(draw.gauss(0, 0.03)) for seconds in base]
        again = [seconds * math.exp(draw.gauss(0, 0.03)) for seconds in base]
        sides = {"a": {"train_s": base}, "b": {"train_s": slow}}
        (row,) = last_rows(simulated(sides, control={"train_s": again}), "train_s")
        found += row["verdict"] == "a_better" and row["ratio_ci_low"] <= 1.2 <= row["ratio_ci_high"]

    assert found >= 16


def test_fifty_megabytes_more_are_found_with_their_size():
    draw = random.Random(3)
    found = 0
    for _ in range(20):
        base = [700e6 + draw.gauss(0, 3e6) for _ in range(6)]
        more = [750e6 + draw.gauss(0, 3e6) for _ in range(6)]
        sides = {"a": {"peak_rss_bytes": base}, "b": {"peak_rss_bytes": more}}
        (row,) = last_rows(simulated(sides), "peak_rss_bytes")
        held = row["diff_ci_low"] <= 50e6 <= row["diff_ci_high"]
        found += row["verdict"] == "a_better" and held

    assert found >= 16


def test_a_difference_within_that_of_an_algorithm_from_itself_is_not_claimed():
    base = [10.0 + seed / 10 for seed in range(6)]
    slow = {"train_s": [1.02 * seconds for seconds in base]}
    drift = {"train_s": [1.05 * seconds for seconds in base]}
    (free,) = last_rows(simulated({"a": {"train_s": base}, "b": slow}), "train_s")
    sides = {"a": {"train_s": base}, "b": slow}
    (held,) = last_rows(simulated(sides, control=drift), "train_s")

    # 2 % in each of 6 seeds, p = 2 / 2**6; but the same algorithm is 5 % slower beside itself
    assert (free["verdict"], held["verdict"]) == ("a_better", "no_difference_shown")
    assert math.isclose(held["aa_floor"], 1.05)
    assert "within that of an algorithm from itself" in held["note"]


def test_the_whole_table_is_corrected_for_beside_the_question():
    base = [10.0 + seed / 10 for seed in range(6)]
    sides = {"a": {"train_s": base}, "b": {"train_s": [2 * seconds for seconds in base]}}
    grid = merged(*(simulated(sides, environment=name) for name in ("x", "y")))

    # one pair in each of two environments: 2 / 2**6, and twice that over the table
    assert {row["p_value_holm"] for row in pairwise_rows(grid)} == {1 / 32}
    assert {row["p_value_table"] for row in pairwise_rows(grid)} == {2 / 32}


def test_a_bandit_ranks_its_learners_as_is_known():
    """Two arms that pay 0 and 1: the larger the step, the nearer to the optimum after 20 steps."""
    scores = {}
    for name, rate in (("large", 1.0), ("middle", 0.2), ("none", 0.0)):
        finals = []
        for seed in range(7):
            bandit, pulls = Bandit([0.5, 0.5], [0.0, 1.0]), torch.Generator().manual_seed(seed)
            for _ in range(20):
                policy_K = bandit.logits_K.detach().softmax(0)
                arms = torch.multinomial(policy_K, 8, replacement=True, generator=pulls)
                bandit.logits_K.grad = None
                step_K = rate * bandit.gradient(grpo(), arms.tolist())
                bandit.logits_K.data += step_K
            finals.append(float(bandit.logits_K.detach().softmax(0)[1]))
        scores[name] = {"score": finals}
    grid = simulated(scores)
    rows = pairwise_rows(grid)
    final = {
        (row["algorithm_a"], row["algorithm_b"]): row["verdict"]
        for row in rows
        if row["metric"] == "score_final"
    }

    assert set(final.values()) == {"a_better"}, final
    assert winners(rows, summary_rows(grid))[0] == (
        "winner in held-out score: large, over middle and none"
    )


def test_intervals_of_three_normal_values_hold_their_mean_as_often_as_they_say():
    draw = random.Random(4)
    held = {"t": 0, "bootstrap": 0}
    for _ in range(500):
        values = [draw.gauss(1, 2) for _ in range(3)]
        for name, interval in (
            ("t", statistics.t_interval(values)),
            ("bootstrap", statistics.bootstrap_interval(values)),
        ):
            held[name] += interval.low <= 1 <= interval.high

    # 95 % for Student's t, 75 % for the percentile bootstrap of 3; binomial sd 1 and 2 %
    assert abs(held["t"] / 500 - 0.95) < 0.03
    assert abs(held["bootstrap"] / 500 - 0.75) < 0.06
