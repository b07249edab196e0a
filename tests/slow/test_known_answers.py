"""What was planted is found, what is not there is not claimed: many repeats, and real processes."""

import math
import random
from pathlib import Path

import pytest
from simulated import Numbers, simulated

from bakeoff.comparisons import compare, statistics
from bakeoff.comparisons.report.pairwise import pairwise_rows
from bakeoff.comparisons.results import Row, load

pytestmark = pytest.mark.slow

CLAIMS = ("a_better", "b_better")
REPEATS = 300


def between(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["algorithm_a"] != row["algorithm_b"]]


def drawn(draw: random.Random, n: int) -> Numbers:
    """What an algorithm like any other comes to: processor time follows training time."""
    load_of_seed = [draw.gauss(0, 0.05) for _ in range(n)]
    seconds = [20 * (1 + load + draw.gauss(0, 0.02)) for load in load_of_seed]
    return {
        "score": [draw.betavariate(6, 2) for _ in range(n)],
        "train_s": seconds,
        "cpu_s": [1.1 * wall * (1 + draw.gauss(0, 0.01)) for wall in seconds],
        "peak_rss_bytes": [700e6 + draw.gauss(0, 3e6) for _ in range(n)],
    }


@pytest.mark.parametrize("n", [7, 8, 10, 12])
def test_three_equal_algorithms_are_told_apart_in_at_most_5_percent(n: int) -> None:
    draw = random.Random(n)
    claimed: dict[str, int] = {}
    over_table = 0
    for _ in range(REPEATS):
        rows = between(pairwise_rows(simulated({name: drawn(draw, n) for name in "abc"})))
        for metric in {row["metric"] for row in rows if row["verdict"] in CLAIMS}:
            claimed[metric] = claimed.get(metric, 0) + 1
        over_table += any((row["p_value_table"] or 1) <= 0.05 for row in rows)

    # 5 % and 3 standard deviations of 300 repeats, 3 * sqrt(.05 * .95 / 300) = .038
    assert max(claimed.values()) / REPEATS <= 0.05 + 0.038, claimed
    assert over_table / REPEATS <= 0.05 + 0.038


@pytest.mark.parametrize("n", [7, 10])
def test_beside_an_a_a_control_the_whole_report_claims_in_at_most_5_percent(n: int) -> None:
    draw = random.Random(n)
    claimed = 0
    for _ in range(REPEATS):
        grid = simulated({name: drawn(draw, n) for name in "abc"}, control=drawn(draw, n))
        claimed += any(row["verdict"] in CLAIMS for row in between(pairwise_rows(grid)))

    assert claimed / REPEATS <= 0.05 + 0.038


@pytest.mark.parametrize(
    ("metric", "base", "planted", "noise", "size"),
    [
        ("train_s", 20.0, 24.0, 0.04, 1.2),
        ("peak_rss_bytes", 700e6, 750e6, 0.008, 750 / 700),
    ],
)
def test_what_was_planted_is_found_with_its_sign_and_size(
    metric: str, base: float, planted: float, noise: float, size: float
) -> None:
    draw = random.Random(0)
    found = wrong = held = 0
    for _ in range(REPEATS):
        sides = {
            name: {metric: [mean * math.exp(draw.gauss(0, noise)) for _ in range(8)]}
            for name, mean in (("a", base), ("b", planted))
        }
        rows = between(pairwise_rows(simulated(sides)))
        row = next(row for row in rows if row["metric"] == metric)
        found += row["verdict"] == "a_better"
        wrong += row["verdict"] == "b_better"
        held += row["ratio_ci_low"] <= size <= row["ratio_ci_high"]

    # 3 standard deviations of 95 % of 300 are 3.8 %
    assert found / REPEATS >= 0.9
    assert wrong == 0
    assert abs(held / REPEATS - 0.95) <= 0.038


@pytest.mark.parametrize(
    ("n", "bootstrap"), [(3, 0.75), (5, 0.84), (8, 0.88), (10, 0.90), (20, 0.93)]
)
def test_intervals_cover_what_the_documentation_says(n: int, bootstrap: float) -> None:
    draw, repeats = random.Random(n), 2000
    held = {"t": 0, "log": 0, "bootstrap": 0}
    for _ in range(repeats):
        values = [draw.gauss(5, 1) for _ in range(n)]
        found = {
            "t": statistics.t_interval(values),
            "log": statistics.log_t_interval(values),
            "bootstrap": statistics.bootstrap_interval(values),
        }
        for name, interval in found.items():
            held[name] += interval is not None and interval.low <= 5 <= interval.high

    # 3 standard deviations: .015 of .95, .03 of .75
    assert held["t"] / repeats == pytest.approx(0.95, abs=0.015)
    assert held["log"] / repeats == pytest.approx(0.95, abs=0.015)
    assert held["bootstrap"] / repeats == pytest.approx(bootstrap, abs=0.03)


@pytest.mark.parametrize(("seeds", "items"), [(5, 50), (10, 50)])
def test_errors_clustered_by_item_and_by_seed_hold_where_naive_ones_do_not(
    seeds: int, items: int
) -> None:
    draw, repeats = random.Random(seeds), 500
    naive = both = 0
    for _ in range(repeats):
        of_item = [draw.gauss(0.1, 0.2) for _ in range(items)]
        of_seed = [draw.gauss(0, 0.05) for _ in range(seeds)]
        panel = [[seed + item + draw.gauss(0, 0.3) for item in of_item] for seed in of_seed]
        errors = statistics.panel_errors(panel)
        assert errors is not None
        mean = (errors.interval.low + errors.interval.high) / 2
        naive += abs(mean - 0.1) <= 1.96 * errors.naive
        both += errors.interval.low <= 0.1 <= errors.interval.high

    # docs/statistics.md: .73 and .64 against .98 and .97
    assert naive / repeats < 0.85
    assert both / repeats >= 0.94


FILE = Path(__file__).with_name("planted.py")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """The comparisons of ten seeds of three algorithms and the control: 40 processes."""
    out = tmp_path_factory.mktemp("planted") / "results"
    compare(
        algorithms=[f"{FILE}:{name}" for name in ("plain", "slow", "heavy")],
        seeds=10,
        out=out,
        quiet=True,
        updates=40,
        prompts_per_update=4,
        group_size=4,
        eval_items=4,
        eval_every=100,
        audit=False,
    )
    return pairwise_rows(load(out))


def row_of(rows: list[Row], metric: str, a: str, b: str) -> Row:
    names = (f"{FILE}:{a}", f"{FILE}:{b}")
    return next(
        row
        for row in rows
        if (row["metric"], row["algorithm_a"], row["algorithm_b"]) == (metric, *names)
    )


def test_fifty_megabytes_are_found_in_real_processes(planted: list[Row]) -> None:
    row = row_of(planted, "peak_rss_bytes", "heavy", "plain")

    # measured on a busy machine: 50.25 MB, 95 % CI 50.10 to 50.40
    assert row["verdict"] == "b_better", row
    assert -row["difference"] == pytest.approx(50e6, abs=3e6)


def test_a_slow_down_of_a_fifth_is_found_in_real_processes(planted: list[Row]) -> None:
    row = row_of(planted, "update_s", "plain", "slow")
    # a verdict is claimed beyond what an algorithm differs from itself: of a fifth, only below it
    if row["aa_floor"] >= 1.2:
        pytest.skip(f"too busy a machine: an algorithm differs {row['aa_floor']:.2f}x from itself")

    # measured on a busy machine, control 1.12: 1.30, 95 % CI 1.17 to 1.45. A
    # tenth is added to the interval, which misses once in twenty by itself.
    assert row["verdict"] == "a_better", row
    assert row["ratio_ci_low"] / 1.1 <= 1.2 <= row["ratio_ci_high"] * 1.1, row


def test_what_is_planted_beside_learning_changes_no_score(planted: list[Row]) -> None:
    for a, b in (("heavy", "plain"), ("plain", "slow"), ("plain", "plain")):
        assert row_of(planted, "score_final", a, b)["difference"] == 0.0
