from simulated import merged, simulated

from bakeoff.comparisons.report.profiles import over_environments, profile_rows

NAMES = ("w", "x", "y", "z")


def grid(environments, b=0.6):
    sides = {"a": {"score": [0.2, 0.4]}, "b": {"score": [b, b]}}
    return merged(*(simulated(sides, environment=name) for name in environments))


def value(rows, statistic, algorithm, threshold=None):
    (row,) = [
        row
        for row in rows
        if (row["statistic"], row["algorithm_a"], row["threshold"])
        == (statistic, algorithm, threshold)
    ]
    return row["value"]


def test_three_environments_have_no_aggregate_and_say_so():
    assert profile_rows(grid(NAMES[:3])) == []
    assert "it takes 4 environments, here are 3" in over_environments(grid(NAMES[:3]))[0]


def test_four_environments_have_one():
    rows = profile_rows(grid(NAMES))

    # eight runs of a, four of .2 and four of .4: two of each are left in the middle
    assert value(rows, "iqm", "a") == (2 * 0.2 + 2 * 0.4) / 4
    assert value(rows, "profile", "a", 0.3) == 0.5
    assert value(rows, "profile", "b", 0.3) == 1.0
    assert value(rows, "prob_b_better", "a") == 1.0


def test_aggregates_are_said_with_interval_and_runs():
    said = over_environments(grid(NAMES))

    # b never varies
    assert (
        "b: interquartile mean of the held-out score 0.600 "
        "(95 % CI 0.600 to 0.600; 4 environments, 8 runs, tiny)" in said
    )
    assert any(line.startswith("a run of b ends above one of a with prob") for line in said)


def test_an_interval_holds_its_value():
    for row in profile_rows(grid(NAMES, b=0.3)):
        assert row["ci_low"] <= row["value"] + 1e-12
        assert row["value"] <= row["ci_high"] + 1e-12


def test_an_algorithm_without_a_score_somewhere_is_left_out():
    whole = grid(NAMES)
    runs = [run for run in whole.runs if (run["algorithm"], run["environment"]) != ("b", "z")]
    rows = profile_rows(type(whole)(whole.out, runs, whole.raw, (), ()))

    assert {row["algorithm_a"] for row in rows} == {"a"}
    assert not any(row["statistic"] == "prob_b_better" for row in rows)
