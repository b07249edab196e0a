"""ReMax: the greedy reply's reward as the baseline, https://arxiv.org/abs/2310.10505 (algorithm 1).

    A_i = r_i - r(greedy reply to the same item)
    L   = -1/B sum_i A_i sum_t log pi

It needs no group and no critic, but one more rollout of each item, which is counted as any other.
"""

from __future__ import annotations

from bakeoff.algorithms.advantages import per_token
from bakeoff.algorithms.aggregation import sequence_sum
from bakeoff.algorithms.losses import PolicyLoss
from bakeoff.algorithms.manifest import described, says
from bakeoff.algorithms.surrogates import log_probability
from bakeoff.types import Algorithm, Batch, Credit


@says("reward - reward of the greedy reply to the item")
def greedy_credit(batch: Batch) -> Credit:
    """ReMax's credit: the greedy reply's reward subtracted."""
    assert batch.greedy_reward_B is not None
    return Credit(per_token(batch.reward_B - batch.greedy_reward_B, batch.mask_BT))


def remax() -> Algorithm:
    """Return ReMax; it has no arguments of its own.

    Example:
        >>> remax().semantics["data"]
        'samples of the policy, and the greedy reply to each item'
    """
    return described(
        Algorithm(
            advantages=greedy_credit,
            aggregate=sequence_sum,
            policy_loss=PolicyLoss(log_probability),
            needs_greedy=True,
        )
    )
