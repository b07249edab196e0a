"""Noise and signal of a gradient estimator, from the gradients of a few replicates.

All that is needed of ``R`` gradients is their inner products, ``gram_RR``. With ``g`` the gradient
of one replicate:

    noise    tr Cov(g)    = (sum_r |g_r|^2 - |sum_r g_r|^2 / R) / (R - 1)
    signal   |E g|^2      = sum_{r != s} g_r g_s / (R (R - 1))
    snr      signal / noise

Noise and signal are unbiased: products of different replicates are of independent gradients, so
their mean is ``E g E g``. ``|mean g|^2`` is not: it is ``noise / R`` too large. An unbiased
estimate of a small positive number may be negative; it is reported as it is. The ratio of the two
is not unbiased. The simple noise scale (https://arxiv.org/abs/1812.06162) is the batch at which the
SNR is 1: ``batch / snr``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from bakeoff.comparisons.statistics import LEVEL, t_interval

FEWEST = 3
"""Replicates below which no interval is given: the spread of two numbers says next to nothing."""

ROUNDING = 1e-12
"""Noise below this share of the mean square is rounding: the gradient does not vary."""


class Estimate(NamedTuple):
    """A number with its interval; None where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None


def noise(gram_RR: Tensor) -> float:
    """Return ``tr Cov(g)``, the variance of one replicate's gradient summed over parameters.

    Example:
        >>> noise(torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double())  # two orthogonal unit vectors
        1.0
    """
    n, squares = len(gram_RR), float(gram_RR.trace())
    found = (squares - float(gram_RR.sum()) / n) / (n - 1)
    return found if found > ROUNDING * squares / n else 0.0


def signal(gram_RR: Tensor) -> float:
    """Return the unbiased estimate of ``|E g|^2``; it may be negative.

    Example:
        >>> signal(torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double())
        0.0
    """
    return cross(gram_RR)


def cross(gram_RR: Tensor) -> float:
    """Return the unbiased estimate of ``E a E b`` from ``gram_RR[r, s] = a_r b_s``.

    ``a`` and ``b`` may be of the same samples: only products of different replicates are used.
    """
    n = len(gram_RR)
    return float(gram_RR.sum() - gram_RR.trace()) / (n * (n - 1))


def snr(gram_RR: Tensor) -> float | None:
    """Return ``signal / noise`` of one replicate; None if the gradients do not differ.

    Example:
        >>> snr(torch.tensor([[2.0, 1.0], [1.0, 2.0]]).double())  # signal 1, noise (4 - 6 / 2) / 1
        1.0
    """
    spread = noise(gram_RR)
    return signal(gram_RR) / spread if spread > 0 else None


def log_snr_ratio(gram_2RR: Tensor) -> float | None:
    """Return ``log(snr a / snr b)`` from the inner products of ``a`` and of ``b``, stacked.

    None if one of them is not positive.
    """
    a, b = snr(gram_2RR[0]), snr(gram_2RR[1])
    return math.log(a / b) if a is not None and b is not None and a > 0 and b > 0 else None


def jackknife(statistic: Callable[[Tensor], float | None], gram_RR: Tensor) -> Estimate:
    """Return a statistic of some replicates with its jackknife interval.

    The standard error is ``sqrt((R - 1) / R sum_r (s_{-r} - mean)^2)`` over the statistics without
    one replicate each (Efron and Stein, 1981, https://doi.org/10.1214/aos/1176345462), the interval
    is Student's t with ``R - 1`` degrees of freedom at ``LEVEL``. A replicate leaves all algorithms
    at once, so that what two algorithms share on the same samples does not widen the interval of
    their ratio.

    Args:
        statistic: of inner products.
        gram_RR: those of all replicates, of one algorithm or several stacked; fewer than ``FEWEST``
            replicates give no interval.
    """
    value, n = statistic(gram_RR), gram_RR.shape[-1]
    if value is None or n < FEWEST:
        return Estimate(value)
    others = [[s for s in range(n) if s != r] for r in range(n)]
    parts = [statistic(gram_RR[..., rows, :][..., :, rows]) for rows in others]
    without = [part for part in parts if part is not None]
    if len(without) < n:
        return Estimate(value)
    from scipy.special import stdtrit

    centre = fmean(without)
    error = math.sqrt((n - 1) / n * sum((part - centre) ** 2 for part in without))
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * error
    return Estimate(value, value - half, value + half)


def mean(values: Sequence[float | None]) -> Estimate:
    """Return the mean of one number of each replicate with its Student-t interval.

    Replicates without a number are left out.

    Example:
        >>> mean([1.0, None]).value
        1.0
    """
    found = [value for value in values if value is not None]
    if not found:
        return Estimate(None)
    interval = t_interval(found) if len(found) >= FEWEST else None
    return Estimate(fmean(found), *(interval or ()))


def cosines(aa_RR: Tensor, ab_RR: Tensor, bb_RR: Tensor) -> list[float | None]:
    """Return the cosine of two algorithms' gradients on the same samples, replicate by replicate.

    None where a gradient is zero.

    Args:
        aa_RR, ab_RR, bb_RR: inner products of ``a`` with ``a``, ``a`` with ``b``, ``b`` with ``b``.
    """
    pairs = zip(aa_RR.diag(), ab_RR.diag(), bb_RR.diag(), strict=True)
    return [_cosine(float(aa), float(ab), float(bb)) for aa, ab, bb in pairs]


def cosines_to_others(aa_RR: Tensor, ab_RR: Tensor, bb_RR: Tensor) -> list[float | None]:
    """Return the cosine of ``a_r`` with the mean of ``b`` over all *other* replicates.

    So pooled, ``b`` is a gradient of ``R - 1`` batches that knows nothing of the samples of
    ``a_r``: an estimator is not praised for sharing the noise of what it is compared to. What noise
    is left in ``b`` makes the cosine smaller than that with ``E b``.
    """
    n = len(aa_RR)
    found = []
    for r in range(n):
        others = torch.arange(n) != r
        pooled = float(bb_RR[others][:, others].sum())
        found.append(_cosine(float(aa_RR[r, r]), float(ab_RR[r, others].sum()), pooled))
    return found


def expected_cosine(aa_RR: Tensor, ab_RR: Tensor, bb_RR: Tensor) -> float | None:
    """Return the cosine of ``E a`` and ``E b``: what is left of the angle without the noise.

    Numerator and the squares of the denominator are unbiased, so it may be above 1; None if a
    square is not positive, since then no direction was found in the noise.

    Example:
        >>> gram_RR = torch.tensor([[5.0, 1.0], [1.0, 5.0]]).double()
        >>> expected_cosine(gram_RR, gram_RR, gram_RR)
        1.0
    """
    return _cosine(signal(aa_RR), cross(ab_RR), signal(bb_RR))


def _cosine(aa: float, ab: float, bb: float) -> float | None:
    return ab / math.sqrt(aa * bb) if aa > 0 and bb > 0 else None
