import itertools
import math
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


def test_log_interval_by_hand():
    # mean 2, se 1 / sqrt(3) = .577, t(2) = 4.3027: half = 4.3027 * .577 / 2 = 1.2421
    low, high = statistics.log_t_interval([1.0, 2.0, 3.0])

    assert low == pytest.approx(2 * math.exp(-1.2421), rel=1e-4)
    assert high == pytest.approx(2 * math.exp(1.2421), rel=1e-4)


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=9))
def test_log_interval_is_positive_and_holds_the_mean(values):
    low, high = statistics.log_t_interval(values)

    assert 0 < low <= fmean(values) * (1 + 1e-9)
    assert fmean(values) <= high * (1 + 1e-9)


def test_a_value_of_zero_has_no_log_interval():
    assert statistics.log_t_interval([0.0, 1.0]) is None
    assert statistics.mean_interval([0.0, 1.0], positive=True).method == "student_t"


def test_bootstrap_of_two_values_is_their_range():
    # of two draws a quarter are twice the lower value: above 2.5 %

    assert statistics.bootstrap_interval([1.0, 5.0]) == (1.0, 5.0)


def test_bootstrap_of_many_values_is_near_the_normal_interval():
    values = [float(value) for value in range(100)]
    low, high = statistics.bootstrap_interval(values)

    # mean 49.5, sd of the resampled mean sqrt((100**2 - 1) / 12) / 10 = 2.887, times 1.96
    assert low == pytest.approx(49.5 - 5.66, abs=0.35)
    assert high == pytest.approx(49.5 + 5.66, abs=0.35)


@given(st.integers(0, 12), st.integers(1, 12))
def test_share_interval_is_clopper_and_pearsons(won, lost):
    n = won + lost
    exact = stats.binomtest(won, n).proportion_ci(0.95, method="exact")

    assert statistics.share_interval(won / n, n) == pytest.approx((exact.low, exact.high), rel=1e-6)


def test_a_share_interval_with_a_tie_lies_between_those_without():
    lower, tied, higher = (statistics.share_interval(won / 6, 6) for won in (3, 3.5, 4))

    assert lower.low < tied.low < higher.low
    assert lower.high < tied.high < higher.high


def test_power_is_that_of_published_tables():
    # a t test of one sample of standardised difference .5, two-sided at .05, takes 34 for .80

    assert statistics.power(0.5, 34, 0.05) == pytest.approx(0.808, abs=0.002)
    assert statistics.pairs_needed(0.5, 1.0, 0.05) == 34


def test_power_is_a_number_where_scipys_noncentral_t_is_none():
    # nctdtr(99, 36.75, 1.98) is nan in scipy 1.17

    assert statistics.power(36.75 / math.sqrt(100), 100, 0.05) == pytest.approx(1.0)


def test_power_without_an_effect_is_half_the_level():
    # a wrong sign is no finding

    assert statistics.power(0.0, 10, 0.05) == pytest.approx(0.025)


@given(st.floats(0.01, 5), st.sampled_from([0.05, 0.05 / 3, 0.05 / 210]))
def test_pairs_needed_is_the_fewest_with_the_power(effect, alpha):
    needed = statistics.pairs_needed(effect, 1.0, alpha)
    fewest = next(n for n in range(1, 20) if statistics.min_possible_p(n) <= alpha)

    if needed is None:
        assert statistics.power(effect, 10_000, alpha) < 0.8
    else:
        assert needed >= fewest
        assert statistics.power(effect, needed, alpha) >= 0.8
        assert needed == fewest or statistics.power(effect, needed - 1, alpha) < 0.8


def test_no_number_of_pairs_finds_what_is_not_there():
    assert statistics.pairs_needed(0.0, 1.0, 0.05) is None
    assert statistics.pairs_needed(1e-6, 1.0, 0.05) is None


def test_errors_of_a_panel_by_hand():
    # seeds' means .5 and 0, items' means 1 and -.5, mean of all .25
    errors = statistics.panel_errors([[2.0, -1.0], [0.0, 0.0]])

    # by seed: sd .3536 / sqrt 2 = .25; by item 1.0607 / sqrt 2 = .75
    assert errors.by_seed == pytest.approx(0.25)
    assert errors.by_item == pytest.approx(0.75)
    # naive: squares 1.75**2 + 1.25**2 + 2 * .25**2 = 4.75; sqrt(4.75 / 3 / 4) = .6292
    assert errors.naive == pytest.approx(math.sqrt(4.75 / 12))
    # .0625 + .5625 - .3958 = .2292, less than .5625: the larger of the two it is
    assert errors.error == pytest.approx(0.75)
    assert errors.interval.high == pytest.approx(0.25 + 12.7062 * 0.75, rel=1e-4)


def test_two_way_errors_add_up_where_both_matter():
    # d = seed + item effects, no interaction: seeds -1 1, items -2 0 2
    errors = statistics.panel_errors([[-3.0, -1.0, 1.0], [-1.0, 1.0, 3.0]])

    # by seed 1; by item 2 / sqrt 3; naive: squares 22, sqrt(22 / 5 / 6)
    assert errors.error == pytest.approx(math.sqrt(1 + 4 / 3 - 22 / 30))
    assert errors.method == "t, clustered by item and by seed"


def test_interquartile_mean_over_environments_pools_runs():
    # 0 1 2 3 4 5 6 100 without the two lowest and the two highest

    assert statistics.pooled_iqm([[0.0, 100.0, 2.0, 3.0], [4.0, 5.0, 6.0, 1.0]]) == 3.5


def test_a_profile_weighs_environments_equally():
    # above .5: one of one, one of three

    assert statistics.performance_profile([[0.9], [0.6, 0.1, 0.2]], [0.5]) == pytest.approx(2 / 3)


def test_improvement_counts_all_pairs_of_runs_of_an_environment():
    # first environment: .2 is above .1 and below .3: 1/2; second: .6 is above .5: 1
    a, b = [[0.1, 0.3], [0.5]], [[0.2], [0.6]]

    assert statistics.improvement_probability(a, b) == pytest.approx(0.75)


def test_resampling_within_environments_keeps_what_does_not_vary():
    # no environment varies within itself, so no resample differs from the scores
    (found,) = statistics.stratified_estimates(statistics.pooled_iqm, [[0.1, 0.1], [0.9, 0.9]])

    assert found.interval == (0.5, 0.5)


def test_paired_seeds_are_resampled_together():
    # b is .1 above a with each seed, and seeds differ by more: one draw for both keeps the gap
    a, b = [[0.1, 0.5, 0.9]], [[0.2, 0.6, 1.0]]

    def gap(left, right):
        return right[0].mean(-1) - left[0].mean(-1)

    (found,) = statistics.stratified_estimates(gap, a, b)

    assert found.interval == pytest.approx((0.1, 0.1))
