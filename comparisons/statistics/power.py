"""How many more seeds a difference of the size that was seen would need."""

from __future__ import annotations

import math

POWER = 0.8
"""The chance of finding the difference that ``pairs_needed`` plans for."""

MOST_PAIRS = 10_000
"""A difference that needs more pairs than these is one that nobody will look for."""


def power(effect: float, n_pairs: int, alpha: float) -> float:
    """Return how often a two-sided paired t test finds a difference, with the right sign.

    With ``effect = |mean| / sd`` of the differences the statistic is noncentral t with
    ``n - 1`` degrees of freedom and noncentrality ``effect * sqrt(n)``. The sign-flip test of
    normal differences has nearly the same power where its floor ``2 / 2**n`` is below ``alpha``.
    Source: Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988, section 2.5 (the
    standardised difference of matched pairs).

    Args:
        effect: standardised difference, not negative.
        n_pairs: at least 2.
        alpha: level of the test.

    Example:
        >>> round(power(1.0, 10, 0.05), 2)  # tables of the paired t test: 0.80
        0.8
    """
    from scipy.special import nctdtr, ndtr, stdtrit

    degrees, shift = n_pairs - 1, effect * math.sqrt(n_pairs)
    critical = float(stdtrit(degrees, 1 - alpha / 2))
    below = float(nctdtr(degrees, shift, critical))
    if math.isnan(below):  # far from 0 scipy has gaps: Abramowitz and Stegun 26.7.10
        scale = math.sqrt(1 + critical**2 / (2 * degrees))
        below = float(ndtr((critical * (1 - 1 / (4 * degrees)) - shift) / scale))
    return 1 - below


def pairs_needed(mean: float, deviation: float, alpha: float) -> int | None:
    """Return how many pairs find such a difference in ``POWER`` of the repeats.

    The mean and the deviation of a few pairs are themselves uncertain: the answer is an order of
    magnitude, not a promise.

    Args:
        mean: of the differences that were seen.
        deviation: their standard deviation.
        alpha: the level that one test has after correction.

    Returns:
        At least the number for which a sign-flip test can reach ``alpha`` at all; None if there is
        no difference to look for, or if it needs more than ``MOST_PAIRS``.

    Example:
        >>> pairs_needed(1.0, 1.0, 0.05), pairs_needed(1.0, 0.0, 0.05)  # 2 / 2**6 = 0.031
        (10, 6)
    """
    if mean == 0:
        return None
    fewest = max(2, math.ceil(1 - math.log2(alpha)))
    if deviation == 0:
        return fewest
    effect = abs(mean) / deviation
    if power(effect, MOST_PAIRS, alpha) < POWER:
        return None
    low, high = fewest, MOST_PAIRS
    while low < high:  # power grows with the number of pairs
        middle = (low + high) // 2
        low, high = (low, middle) if power(effect, middle, alpha) >= POWER else (middle + 1, high)
    return low
