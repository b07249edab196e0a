import itertools
import math
import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bakeoff.comparisons import statistics

numbers = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))
samples = st.lists(numbers, min_size=2, max_size=9)


def test_standard_deviation_divides_by_n_minus_1():
    # mean 4; squares 4 + 0 + 4 = 8; 8 / 2 = 4

    assert statistics.standard_deviation([2.0, 4.0, 6.0]) == pytest.approx(2.0)


def test_one_value_has_no_spread_and_no_interval():
    assert statistics.standard_deviation([2.0]) is None
    assert statistics.standard_error([2.0]) is None
    assert statistics.t_interval([2.0]) is None


def test_t_interval_of_three_values():
    # mean 4, se 2 / sqrt(3) = 1.1547, t(2 df, 97.5 %) = 4.3027 (any t table): 4 +- 4.9683
    low, high = statistics.t_interval([2.0, 4.0, 6.0])

    assert low == pytest.approx(4 - 4.9683, abs=1e-4)
    assert high == pytest.approx(4 + 4.9683, abs=1e-4)


@given(samples)
def test_t_interval_is_that_of_scipy(values):
    interval = statistics.t_interval(values)
    error = statistics.standard_error(values)
    expected = stats.t.interval(0.95, len(values) - 1, fmean(values), error) if error else interval

    assert interval == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_t_interval_of_three_normal_values_holds_their_mean_95_times_in_100():
    draw = random.Random(0)
    held = 0
    for _ in range(2000):
        low, high = statistics.t_interval([draw.gauss(1, 2) for _ in range(3)])
        held += low <= 1 <= high

    # binomial sd: sqrt(.95 * .05 / 2000) = 0.0049; the bootstrap's 0.75 would be 40 of them away
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


@given(samples)
def test_interquartile_mean_is_scipys_trimmed_mean(values):
    assert statistics.interquartile_mean(values) == pytest.approx(
        stats.trim_mean(values, 0.25), rel=1e-6, abs=1e-9
    )


def test_ratio_interval_is_made_of_logarithms():
    # ratios 2 and 8: logs ln 2 and 3 ln 2, mean 2 ln 2 -> 4; se = ln 2; t(1 df) = 12.706
    logs = statistics.paired_log_ratios([1.0, 1.0], [2.0, 8.0])
    low, high = statistics.ratio_interval(logs)

    assert statistics.geometric_mean(logs) == pytest.approx(4.0)
    assert low == pytest.approx(math.exp((2 - 12.7062) * math.log(2)), rel=1e-4)
    assert high == pytest.approx(math.exp((2 + 12.7062) * math.log(2)), rel=1e-4)


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=2, max_size=8))
def test_swapping_the_sides_inverts_the_ratio_and_its_interval(pairs):
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    low, high = statistics.ratio_interval(statistics.paired_log_ratios(a, b))
    low_swapped, high_swapped = statistics.ratio_interval(statistics.paired_log_ratios(b, a))

    assert low_swapped == pytest.approx(1 / high, rel=1e-6)
    assert high_swapped == pytest.approx(1 / low, rel=1e-6)


def test_there_is_no_ratio_to_nothing():
    assert statistics.paired_log_ratios([1.0, 0.0], [1.0, 1.0]) is None


def test_sign_flip_counts_patterns():
    # sums of +-1 +-2 +-4 are -7 -5 -3 -1 1 3 5 7; observed -1 + 2 + 4 = 5: |5| or more are 4 of 8

    assert statistics.sign_flip_p([-1.0, 2.0, 4.0]) == 4 / 8


def test_sign_flip_of_no_difference_at_all_is_1():
    assert statistics.sign_flip_p([0.0, 0.0, 0.0]) == 1.0


@given(st.lists(numbers, min_size=1, max_size=9))
def test_sign_flip_is_the_share_of_all_patterns(differences):
    patterns = list(itertools.product((1, -1), repeat=len(differences)))
    observed = abs(math.fsum(differences))
    slack = 1e-9 * math.fsum(map(abs, differences))
    extreme = sum(
        abs(math.fsum(s * d for s, d in zip(signs, differences, strict=True))) >= observed - slack
        for signs in patterns
    )

    assert statistics.sign_flip_p(differences) == pytest.approx(extreme / len(patterns), abs=1e-12)


@given(st.lists(numbers, min_size=1, max_size=9))
def test_no_p_value_is_below_the_smallest_possible_one(differences):
    assert statistics.sign_flip_p(differences) >= statistics.min_possible_p(len(differences))


def test_more_pairs_than_can_be_counted_get_no_sign_flip():
    too_many = [1.0] * (statistics.EXACT_PAIRS + 1)

    assert statistics.sign_flip_p(too_many) is None


@given(samples)
def test_paired_t_p_is_that_of_scipy(differences):
    error = statistics.standard_error(differences)
    if error < 1e-9:
        expected = 1.0 if fmean(differences) == 0 else 0.0
    else:
        expected = stats.ttest_1samp(differences, 0).pvalue

    assert statistics.paired_t_p(differences) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_holm_by_hand():
    # sorted .01 .02 .03 .5: .04, .06, .06, .5

    assert statistics.holm([0.5, 0.03, 0.01, 0.02]) == pytest.approx([0.5, 0.06, 0.04, 0.06])


@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_lies_between_the_raw_and_bonferronis(p_values):
    for raw, adjusted in zip(p_values, statistics.holm(p_values), strict=True):
        assert raw <= adjusted <= min(1.0, raw * len(p_values)) + 1e-12


def test_correlation_by_hand():
    # centred: (-1, 0, 1) and (-1, 1, 0): cross 1, squares 2 and 2

    assert statistics.correlation([1.0, 2.0, 3.0], [0.0, 2.0, 1.0]) == pytest.approx(0.5)


def test_two_pairs_or_a_constant_have_no_correlation():
    assert statistics.correlation([1.0, 2.0], [1.0, 2.0]) is None
    assert statistics.correlation([1.0, 2.0, 3.0], [5.0, 5.0, 5.0]) is None


def test_a_tie_is_half_a_win_and_less_can_be_better():
    # b - a: one lower, one tie, two higher

    assert statistics.share_better([-1.0, 0.0, 1.0, 2.0], higher_is_better=True) == 2.5 / 4
    assert statistics.share_better([-1.0, 0.0, 1.0, 2.0], higher_is_better=False) == 1.5 / 4
