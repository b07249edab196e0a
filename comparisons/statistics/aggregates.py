"""Aggregates over environments: interquartile mean, performance profile, improvement.

After https://arxiv.org/abs/2108.13264. The scores of an algorithm are a row for each environment,
with a number for each seed; a row may have leading axes, for many resamples at once. Seeds are
resampled within environments (a stratified bootstrap). Two departures: in profiles and
probabilities every environment weighs the same whatever its number of seeds, and two algorithms are
resampled by the same seeds, since their runs are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.statistics.intervals import LEVEL, Estimate, Interval, resamples

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Rows = Sequence["ArrayLike"]

FEWEST_ENVIRONMENTS = 4
"""Fewer can each be shown by themselves, and an aggregate would hide more than it says."""


def interquartile_mean(values: Sequence[float]) -> float:
    """Return the mean without the lowest and highest quarter, each ``floor(n / 4)`` values.

    Below 4 values nothing is cut and it is the mean. Source: https://arxiv.org/abs/2108.13264

    Example:
        >>> interquartile_mean([0.0, 2.0, 4.0, 100.0])
        3.0
    """
    cut = len(values) // 4
    return fmean(sorted(values)[cut : len(values) - cut])


def pooled_iqm(rows: Rows) -> Any:
    """Return the interquartile mean of the scores of all environments and seeds together.

    Example:
        >>> float(pooled_iqm([[0.0, 2.0], [4.0, 100.0]]))
        3.0
    """
    import numpy as np

    pooled = np.sort(np.concatenate([np.asarray(row, float) for row in rows], axis=-1), axis=-1)
    cut = pooled.shape[-1] // 4
    return pooled[..., cut : pooled.shape[-1] - cut].mean(-1)


def performance_profile(rows: Rows, thresholds: Sequence[float]) -> Any:
    """Return the shares of runs that score above each threshold; environments weigh the same.

    Source: https://arxiv.org/abs/2108.13264, section 4.2 (run-score distributions).

    Example:
        >>> performance_profile([[0.1, 0.9], [0.8, 0.9]], [0.5]).tolist()  # (1/2 + 2/2) / 2
        [0.75]
    """
    import numpy as np

    above = [np.asarray(row, float)[..., None] > np.asarray(thresholds) for row in rows]
    return np.mean([share.mean(-2) for share in above], axis=0)


def improvement_probability(a: Rows, b: Rows) -> Any:
    """Return how likely a run of b scores above one of a, ties counting half.

    Of each environment all pairs of runs are counted (Mann and Whitney's U over its largest value),
    then the environments are averaged. Source: https://arxiv.org/abs/2108.13264, section 4.3.

    Example:
        >>> float(improvement_probability([[0.1, 0.3]], [[0.2, 0.3]]))  # 1, 0, 1 and 1/2 of 4
        0.625
    """
    import numpy as np

    shares = []
    for row_a, row_b in zip(a, b, strict=True):
        gap = np.asarray(row_b, float)[..., None] - np.asarray(row_a, float)[..., None, :]
        shares.append(((np.sign(gap) + 1) / 2).mean((-2, -1)))
    return np.mean(shares, axis=0)


def stratified_estimates(statistic: Callable[..., Any], *sides: Rows) -> list[Estimate]:
    """Return the percentile intervals of a statistic, resampling seeds within environments.

    Args:
        statistic: of as many lists of rows as there are ``sides``; returns a number or several.
        *sides: the scores of one algorithm each; of one environment all have the same seeds.

    Returns:
        An interval for each number.
    """
    import numpy as np

    drawn: list[list[Any]] = [[] for _ in sides]
    for place, rows in enumerate(zip(*sides, strict=True)):
        places = resamples(len(rows[0]), stream=place)
        for side, row in zip(drawn, rows, strict=True):
            side.append(np.asarray(row, float)[places])
    found = np.atleast_2d(np.asarray(statistic(*drawn)).T)
    ends = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return [
        Estimate(Interval(float(low), float(high)), "bootstrap_stratified") for low, high in ends.T
    ]
