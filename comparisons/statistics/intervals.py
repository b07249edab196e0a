"""Intervals of a mean over training seeds.

With 3 to 10 seeds the percentile bootstrap covers far less than it says (a nominal 95 % interval of
3 normal values holds their mean 75 % of the time), and at 20 and 30 seeds it, and the
bias-corrected one, still cover less than Student's t does, of skewed values too. So the interval is
Student's t; the percentile bootstrap stands beside it, for readers who know it from elsewhere.
docs/statistics.md has the figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVEL = 0.95
"""Confidence level of every interval."""

RESAMPLES = 4000
"""The quantiles then move by 0.04 of a standard error if the generator is seeded anew."""


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A confidence interval and the name of its method, as it stands in ``ci_method``."""

    interval: Interval
    method: str


def standard_deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation (ddof 1); None for fewer than 2 values.

    Example:
        >>> standard_deviation([1.0, 3.0])  # sqrt((1 + 1) / (2 - 1))
        1.4142135623730951
    """
    if len(values) < 2:
        return None
    mean = fmean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean, ``sd / sqrt(n)``; None for fewer than 2 values."""
    deviation = standard_deviation(values)
    return None if deviation is None else deviation / math.sqrt(len(values))


def t_interval(values: Sequence[float]) -> Interval | None:
    """Return the Student-t interval of the mean, ``mean +- t(n - 1) * se``.

    Returns:
        The interval at ``LEVEL``; None for fewer than 2 values.

    Example:
        >>> low, high = t_interval([1.0, 3.0])  # 2 +- 12.706 * 1
        >>> round(low, 3), round(high, 3)
        (-10.706, 14.706)
    """
    error = standard_error(values)
    if error is None:
        return None
    half = t_quantile(len(values) - 1) * error
    mean = fmean(values)
    return Interval(mean - half, mean + half)


def log_t_interval(values: Sequence[float]) -> Interval | None:
    """Return a t interval of the mean of positive values that never reaches below 0.

    It is Student's t on the scale of logarithms, by the delta method:
    ``mean * exp(+- t(n - 1) * se / mean)``. Unlike the exponentiated interval of the mean logarithm
    it is about the arithmetic mean, and always holds it. Source: Wasserman, All of Statistics,
    2004, section 9.9.

    Returns:
        The interval at ``LEVEL``; None for fewer than 2 values, or if one is not positive.

    Example:
        >>> low, high = log_t_interval([1.0, 3.0])  # 2 * exp(-+ 12.706 / 2)
        >>> round(low, 5), round(high)
        (0.00348, 1149)
    """
    error = standard_error(values)
    if error is None or min(values) <= 0:
        return None
    mean = fmean(values)
    half = min(t_quantile(len(values) - 1) * error / mean, 600.0)  # exp of more is no float
    return Interval(mean * math.exp(-half), mean * math.exp(half))


def bootstrap_interval(values: Sequence[float]) -> Interval | None:
    """Return the percentile bootstrap interval of the mean; None for fewer than 2 values.

    The resamples come from a generator of their own with a fixed seed: the same values always give
    the same interval. Source: Efron, 1979, https://doi.org/10.1214/aos/1176344552

    Example:
        >>> bootstrap_interval([1.0, 1.0, 1.0])
        Interval(low=1.0, high=1.0)
    """
    if len(values) < 2:
        return None
    import numpy as np

    means = np.asarray(values, float)[resamples(len(values))].mean(1)
    return Interval(*map(float, np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])))


def mean_interval(values: Sequence[float], *, positive: bool = False) -> Estimate | None:
    """Return the interval of a mean that the tables give, and its name.

    Args:
        values: one for each seed.
        positive: of a quantity that cannot be below 0, such as seconds: its interval must not be.

    Returns:
        ``student_t_log`` for positive values of a positive quantity, else ``student_t``; None for
        fewer than 2 values.

    Example:
        >>> mean_interval([1.0, 3.0], positive=True).method
        'student_t_log'
    """
    logged = log_t_interval(values) if positive and values else None
    if logged is not None:
        return Estimate(logged, "student_t_log")
    found = t_interval(values)
    return None if found is None else Estimate(found, "student_t")


def t_quantile(degrees: float) -> float:
    """Return the upper quantile of Student's t for a two-sided interval at ``LEVEL``.

    Example:
        >>> round(t_quantile(4), 3)
        2.776
    """
    from scipy.special import stdtrit  # a tenth of the import time of scipy.stats

    return float(stdtrit(degrees, (1 + LEVEL) / 2))


@lru_cache(maxsize=64)
def resamples(n: int, stream: int = 0) -> NDArray[np.intp]:
    """Return ``RESAMPLES`` rows of ``n`` places drawn with replacement, the same at every call.

    Args:
        n: how many places there are.
        stream: another one gives unrelated draws.
    """
    import numpy as np

    return np.random.default_rng((n, stream)).integers(0, n, size=(RESAMPLES, n))
