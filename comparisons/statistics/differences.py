"""Differences of two algorithms over the seeds that both have: effects, tests, corrections.

Tests are exact sign-flip tests, which assume of the paired differences only that they are as likely
to fall on the one side as on the other if the algorithms do not differ (Fisher, The Design of
Experiments, 1935, section 21).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from statistics import fmean

from bakeoff.comparisons.statistics.intervals import LEVEL, Interval, standard_error, t_interval

EXACT_PAIRS = 36
"""Most pairs for which all sign flips are counted: 2 * 2**18 half sums, about a second."""


def paired_differences(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """Return ``b - a``, pair by pair."""
    return [y - x for x, y in zip(a, b, strict=True)]


def paired_log_ratios(a: Sequence[float], b: Sequence[float]) -> list[float] | None:
    """Return ``log(b / a)``, pair by pair; None if a value is not positive."""
    if not all(value > 0 for value in (*a, *b)):
        return None
    return [math.log(y / x) for x, y in zip(a, b, strict=True)]


def geometric_mean(log_ratios: Sequence[float]) -> float:
    """Return the geometric mean of the ratios whose logarithms these are."""
    return math.exp(fmean(log_ratios))


def ratio_interval(log_ratios: Sequence[float]) -> Interval | None:
    """Return the interval of the geometric mean ratio: a t interval of logs, exponentiated.

    Example:
        >>> low, high = ratio_interval([math.log(1.5), math.log(1.5), math.log(1.5)])
        >>> round(low, 12), round(high, 12)
        (1.5, 1.5)
    """
    interval = t_interval(log_ratios)
    return None if interval is None else exponential(interval)


def exponential(interval: Interval) -> Interval:
    """Return an interval of logarithms as one of ratios, within what a float can hold."""
    low, high = (math.exp(max(-700.0, min(700.0, end))) for end in interval)
    return Interval(low, high)


def min_possible_p(n_pairs: int) -> float | None:
    """Return the smallest two-sided p-value that a sign-flip test of so many pairs can give.

    All ``2**n`` sign patterns are equally likely, and the two that put every difference on one
    side are the most extreme: ``2 / 2**n``. None for no pairs.

    Example:
        >>> [min_possible_p(n) for n in (1, 3, 5, 6)]
        [1.0, 0.25, 0.0625, 0.03125]
    """
    return 2.0 ** (1 - n_pairs) if n_pairs else None


def sign_flip_p(differences: Sequence[float]) -> float | None:
    """Return the exact two-sided p-value of "the differences are symmetric about 0".

    It is the share of the ``2**n`` sign patterns whose sum is at least as far from 0 as the
    observed one. They are counted without listing them: every pattern is one half pattern of the
    first values plus one of the rest, and bisection in the sorted half sums finds those that
    reach the observed sum.

    Returns:
        The p-value; None for no differences, and for more than ``EXACT_PAIRS``.

    Example:
        >>> sign_flip_p([1.0, 1.0, 2.0])  # only +++ and --- reach 4: 2 of 8
        0.25
    """
    n = len(differences)
    if n == 0 or n > EXACT_PAIRS:
        return None
    observed = abs(math.fsum(differences))
    tolerance = 1e-9 * math.fsum(
        abs(d) for d in differences
    )  # sums in another order differ a little
    reach = observed - tolerance
    if reach <= 0:
        return 1.0
    left = _half_sums(differences[: n // 2])
    right = sorted(_half_sums(differences[n // 2 :]))
    extreme = 0
    for half in left:
        extreme += len(right) - bisect_left(right, reach - half)
        extreme += bisect_right(right, -reach - half)
    return float(extreme / 2**n)


def paired_t_p(differences: Sequence[float]) -> float | None:
    """Return the two-sided p-value of the paired t test; None for fewer than 2 differences."""
    error = standard_error(differences)
    if error is None:
        return None
    mean = fmean(differences)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    from scipy.special import stdtr

    return float(2 * stdtr(len(differences) - 1, -abs(mean / error)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the given order.

    The k-th smallest of m is multiplied by ``m - k + 1``; none may be smaller than one before it,
    or larger than 1. Source: Holm 1979, https://www.jstor.org/stable/4615733

    Example:
        >>> holm([0.04, 0.01, 0.03])  # 0.01 * 3, 0.03 * 2, and 0.04 * 1 raised to 0.06
        [0.06, 0.03, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Pearson's correlation; None below 3 pairs or if one side does not vary.

    It says what pairing by seed gained: the closer to 1, the fewer seeds are needed.
    """
    if len(a) < 3:
        return None
    mean_a, mean_b = fmean(a), fmean(b)
    cross = math.fsum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    square_a = math.fsum((x - mean_a) ** 2 for x in a)
    square_b = math.fsum((y - mean_b) ** 2 for y in b)
    scale = math.sqrt(square_a) * math.sqrt(square_b)
    return max(-1.0, min(1.0, cross / scale)) if scale > 0 else None


def share_better(differences: Sequence[float], *, higher_is_better: bool) -> float | None:
    """Return the share of pairs in which b is better than a, ties counting half.

    Args:
        differences: ``b - a``, pair by pair.
        higher_is_better: whether more is better.
    """
    if not differences:
        return None
    sign = 1 if higher_is_better else -1
    return fmean(1.0 if sign * d > 0 else 0.5 if d == 0 else 0.0 for d in differences)


def share_interval(share: float, n: int) -> Interval:
    """Return the interval of a probability of which a share of ``n`` trials was seen.

    It is exact (never covers less than ``LEVEL``), and therefore wide: of 5 of 5 it says 0.48 to 1.
    A share that counts ties half enters as it is. Source: Clopper and Pearson, 1934,
    https://doi.org/10.1093/biomet/26.4.404

    Args:
        share: of the trials, 0 to 1.
        n: how many trials, at least 1.

    Example:
        >>> low, high = share_interval(1.0, 5)  # the low end: p**5 = 0.025
        >>> round(low, 4), high
        (0.4782, 1.0)
    """
    from scipy.special import betaincinv

    won, tail = share * n, (1 - LEVEL) / 2
    low = float(betaincinv(won, n - won + 1, tail)) if won > 0 else 0.0
    high = float(betaincinv(won + 1, n - won, 1 - tail)) if won < n else 1.0
    return Interval(low, high)


def _half_sums(values: Sequence[float]) -> list[float]:
    sums = [0.0]
    for value in values:
        sums = [total + signed for total in sums for signed in (value, -value)]
    return sums
