"""A surrogate and its gradient against the ratio, by the very functions that train.

What is drawn as the gradient is ``-d loss / d log pi``, by autograd: how hard a token's
log-probability is pulled. The curve above it is the integral of that over ``log ratio``, 0 at a
ratio of 1: the surrogate itself, but for a constant, where it is differentiable; and where a part
of it is under a stop-gradient (CISPO), what its gradient climbs, which its value does not show.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bakeoff.algorithms.surrogates import Surrogate, cispo, clipped, log_probability, sapo

SHOWN: dict[str, Surrogate] = {
    "no ratio": log_probability,
    "clip to [0.8, 1.2]": clipped(0.2, 0.2),
    "clip-higher, [0.8, 1.28]": clipped(0.2, 0.28),
    "dual clip, and at 3 if A < 0": clipped(0.2, 0.2, 3.0),
    "CISPO, weight of at most 2": cispo(2.0),
    "SAPO, tau 1 and 1.05": sapo(1.0, 1.05),
}
"""What is drawn, by the title of its panel. CISPO's own cap, 5, would lie outside of the figure."""

LOWEST, HIGHEST, POINTS = 0.05, 3.6, 1421
"""The ratios of a curve: every 0.0025, so that every bound is a point and has neighbours."""


class Curve(NamedTuple):
    """A surrogate at ``N`` ratios, for one advantage."""

    ratio_N: Tensor
    gain_N: Tensor
    pull_N: Tensor


def ratios() -> Tensor:
    """Return the ratios at which curves are drawn, float64."""
    return torch.linspace(LOWEST, HIGHEST, POINTS, dtype=torch.float64)


def curve(surrogate: Surrogate, adv: float, ratio_N: Tensor) -> Curve:
    """Return what a surrogate says of one token, whatever the ratio has become.

    Args:
        surrogate: of ratio, log-probability and advantage.
        adv: the token's advantage.
        ratio_N: ascending, float64.

    Example:
        >>> ratio_N = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
        >>> curve(clipped(0.2, 0.2), 1.0, ratio_N).pull_N.tolist()
        [0.5, 1.0, 0.0]
    """
    logp_N = ratio_N.log().requires_grad_()  # of an old log-probability of 0: any gives the same
    loss_N, _ = surrogate(logp_N.exp(), logp_N, torch.full_like(ratio_N, adv))
    (grad_N,) = torch.autograd.grad(loss_N.sum(), logp_N)
    pull_N = 0 - grad_N  # never -0
    steps_M = (pull_N[1:] + pull_N[:-1]) / 2 * ratio_N.log().diff()
    gain_N = torch.cat([torch.zeros(1, dtype=torch.float64), steps_M.cumsum(0)])
    at_one = int((ratio_N - 1).abs().argmin())
    return Curve(ratio_N, gain_N - gain_N[at_one], pull_N)


def stopped(drawn: Curve) -> list[tuple[float, float]]:
    """Return the intervals of ratios in which the gradient is 0, within the ratios drawn.

    Example:
        >>> stopped(Curve(torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3), torch.tensor([1.0, 0, 0])))
        [(2.0, 3.0)]
    """
    intervals: list[tuple[float, float]] = []
    inside = False
    for ratio, pull in zip(drawn.ratio_N.tolist(), drawn.pull_N.tolist(), strict=True):
        if pull == 0:
            start = intervals.pop()[0] if inside else ratio
            intervals.append((start, ratio))
        inside = pull == 0
    return intervals


def stops(surrogate: Surrogate, adv: float) -> str:
    """Say at which ratios a surrogate has no gradient.

    Example:
        >>> stops(clipped(0.2, 0.28), 1.0), stops(clipped(0.2, 0.28), -1.0)
        ('ratio > 1.28', 'ratio < 0.8')
        >>> stops(log_probability, 1.0)
        'nowhere'
    """
    texts = []
    for low, high in stopped(curve(surrogate, adv, ratios())):
        if high >= HIGHEST - 1e-6:
            texts.append(f"ratio > {_short(low)}")
        elif low <= LOWEST + 1e-6:
            texts.append(f"ratio < {_short(high)}")
        else:
            texts.append(f"{_short(low)} < ratio < {_short(high)}")
    return " and ".join(texts) or "nowhere"


def _short(ratio: float) -> str:
    return f"{round(ratio, 2):g}"
