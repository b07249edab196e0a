"""Supervised fine-tuning on gold replies, under the same loop and the same tables.

    L = -mean_t log pi(gold reply)

The items are those that the other algorithms are asked in the same update, each with its one gold
reply: nothing is sampled, and there is no reward. What it costs is a forward and a backward pass
over one reply of each item.
"""

from __future__ import annotations

from bakeoff.algorithms.aggregation import token_mean
from bakeoff.algorithms.credit import likelihood_credit
from bakeoff.algorithms.losses import cross_entropy
from bakeoff.algorithms.manifest import described
from bakeoff.types import Algorithm


def sft() -> Algorithm:
    """Return supervised fine-tuning; it has no arguments of its own.

    Example:
        >>> sft().semantics["data"]
        'gold replies'
    """
    return described(
        Algorithm(
            advantages=likelihood_credit,
            aggregate=token_mean,
            policy_loss=cross_entropy,
            on_gold=True,
        )
    )
