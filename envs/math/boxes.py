r"""What the math environments share: the request for a ``\boxed{}``, and what a box is worth."""

from __future__ import annotations

from collections.abc import Mapping

from bakeoff.errors import UsageError
from bakeoff.rewards import RewardFunction
from bakeoff.rewards.math import boxed

INSTRUCTION = r"Put the answer in \boxed{}."


def box_rewards(
    correct: RewardFunction, format_weight: float
) -> Mapping[str, tuple[float, RewardFunction]]:
    r"""Return the named parts ``correct`` (weight 1) and ``format``, an answer in ``\boxed{}``.

    The score is ``correct + format_weight * format``, from 0 to 1 + ``format_weight``. A weight
    of 0 makes the format a metric that is only logged.

    Raises:
        UsageError: the weight is not from 0 to 1; a box may not be worth more than being right.

    Example:
        >>> from bakeoff.rewards.math import same_value
        >>> {name: weight for name, (weight, _) in box_rewards(same_value, 0.1).items()}
        {'correct': 1.0, 'format': 0.1}
    """
    if not 0.0 <= format_weight <= 1.0:
        raise UsageError(f"format_weight must be from 0 to 1, not {format_weight!r}")
    return {"correct": (1.0, correct), "format": (float(format_weight), boxed)}
