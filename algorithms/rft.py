"""Rejection-sampling fine-tuning: supervised learning of one's own right replies.

    keep = r_i >= right
    L    = -mean_t log pi   over the kept completions

https://arxiv.org/abs/2308.01825, https://arxiv.org/abs/2304.06767 (RAFT). It is a policy gradient
whose advantage is 1 for right replies and 0 for wrong ones: nothing pushes wrong ones down. Where
it departs from the papers: online, on each update's fresh samples, without removing duplicates.
"""

from __future__ import annotations

from torch import Tensor

from bakeoff.algorithms.aggregation import token_mean
from bakeoff.algorithms.credit import likelihood_credit
from bakeoff.algorithms.filters import reaches
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.manifest import described, says
from bakeoff.algorithms.ranges import require
from bakeoff.algorithms.surrogates import log_probability
from bakeoff.types import Algorithm, Batch


def rft(*, right: float = 1.0) -> Algorithm:
    """Return rejection-sampling fine-tuning.

    Args:
        right: the reward from which a completion is learned.

    Raises:
        ValueError: a value out of its range.

    Example:
        >>> rft(right=0.5).semantics["filter"]
        'completions with a reward below 0.5 are dropped'
    """
    require(right=(right, 0, None))

    @says(f"completions with a reward below {right:g} are dropped")
    def keep(batch: Batch) -> Tensor:
        return reaches(batch, right)

    return described(
        Algorithm(
            advantages=likelihood_credit,
            aggregate=token_mean,
            policy_loss=PolicyLoss(log_probability),
            keep=keep,
        )
    )
