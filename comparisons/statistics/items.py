"""Errors of a mean difference over a panel: the same held-out items, after each training seed.

Scores of one item from several seeds are no independent numbers, nor are those of several items
from one seed. Errors that ignore it are too small. Sources: https://arxiv.org/abs/2411.00640
(paired differences by item, clustered errors); Cameron, Gelbach and Miller, 2011,
https://doi.org/10.1198/jbes.2010.07136 (two ways at once).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from bakeoff.comparisons.statistics.intervals import Interval, standard_error, t_quantile


class PanelErrors(NamedTuple):
    """What a panel of differences says of their mean.

    Attributes:
        naive: standard error as if all differences were independent.
        by_item: clustered by item.
        by_seed: clustered by seed; None for one seed.
        error: the one that the interval is made of.
        interval: at the level of all intervals.
        method: what ``error`` is clustered by, as it stands in ``ci_method``.
    """

    naive: float
    by_item: float
    by_seed: float | None
    error: float
    interval: Interval
    method: str


def panel_errors(differences: Sequence[Sequence[float]]) -> PanelErrors | None:
    """Return the errors of the mean of ``differences[seed][item]``.

    In a full panel the standard error clustered by item is that of the items' means, and by seed
    that of the seeds' means (with the correction ``G / (G - 1)`` for few clusters). Both at once:
    ``sqrt(by_item**2 + by_seed**2 - naive**2)``, and never less than the larger of the two. The
    interval is Student's t with one degree of freedom less than there are clusters of the rarer
    kind. With one seed it speaks of these two trained models, not of the algorithms.

    Args:
        differences: a row for each seed, all of the same items.

    Returns:
        The errors; None for fewer than 2 items.

    Example:
        >>> errors = panel_errors([[0.0, 1.0, 1.0, 0.0]])  # mean .5, sd .577, 4 items
        >>> round(errors.error, 4), errors.method
        (0.2887, 't, clustered by item')
    """
    n_seeds, n_items = len(differences), len(differences[0]) if differences else 0
    flat = [value for row in differences for value in row]
    naive = standard_error(flat)
    by_item = standard_error([fmean(column) for column in zip(*differences, strict=True)])
    if naive is None or by_item is None:
        return None
    by_seed = standard_error([fmean(row) for row in differences])
    if by_seed is None:
        error, fewest, method = by_item, n_items, "t, clustered by item"
    else:
        both = by_item**2 + by_seed**2 - naive**2
        error = max(by_item, by_seed, math.sqrt(max(both, 0.0)))
        fewest, method = min(n_items, n_seeds), "t, clustered by item and by seed"
    half = t_quantile(fewest - 1) * error
    mean = fmean(flat)
    return PanelErrors(naive, by_item, by_seed, error, Interval(mean - half, mean + half), method)
