"""Why a token moved against its own pull, or without one: told from the numbers.

A token's log-probability can be moved by four things: its own reply's pull; the pulls of other
replies that chose the same token at the same place; the pulls on *other* tokens at that place,
because the probabilities there add up to 1; and what was done at other places, because they share
the network's weights. The first three are exact to first order, if each place had logits of its
own: with pulls ``c_v`` on the log-probabilities of the tokens ``v`` at one place,

    d z_v      = c_v - p_v * sum_u c_u                 gradient of  sum_u c_u log p_u
    d log p_a  = d z_a - sum_v p_v d z_v
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from bakeoff.comparisons.explain.movement import SMALL, Pulls, TokenMove

NO_PULL = 1e-9

OTHERS = "other replies that have the same token there pull it the other way, and harder"
CANCEL = "the pulls of better and worse replies on it cancel; other places share its weights"
COUPLED = "the probabilities at one place add up to 1, and other tokens there were pulled harder"
SHARED_TOKEN = "replies that are learned from have the same token there"
COUPLED_ONLY = "the probabilities at one place add up to 1, and other tokens there were pulled"
WEIGHTS = (
    "that is not how probability is shared out at its place; the same weights serve all tokens and "
    "all places, and AdamW rescales the step of each"
)


def softmax_change(logp_V: Tensor, pulls: Mapping[int, float], token: int) -> float:
    """Return how a small step on one place's own logits changes a token's log-probability.

    The step is of length 1 along the gradient: the sign and the ratios of such numbers count.

    Example:
        >>> import torch
        >>> even_V = torch.tensor([0.5, 0.25, 0.25]).log()
        >>> [round(softmax_change(even_V, {1: -1.0}, token), 4) for token in range(3)]
        [0.375, -0.875, 0.125]
    """
    p_V = logp_V.double().exp()
    step_V = -p_V * sum(pulls.values())
    for pulled, pull in pulls.items():
        step_V[pulled] += pull
    return float(step_V[token] - (p_V * step_V).sum())


def against(token: TokenMove) -> bool:
    """Whether a token moved, and not the way that its own reply pulled it."""
    if abs(token.change) < SMALL:
        return False
    return abs(token.pull) < NO_PULL or token.pull * token.change < 0


def reason(token: TokenMove, pulls: Pulls, logp_V: Tensor) -> str:
    """Return why a token moved against its own pull, or without one.

    Args:
        token: one for which ``against`` is true.
        pulls: what all replies of the batch ask for.
        logp_V: the log-probabilities of all tokens at its place, before the update.
    """
    at_place = pulls.get(token.place, {})
    total = at_place.get(token.token_id, 0.0)
    largest = max(map(abs, at_place.values()), default=0.0)
    own = abs(token.pull) >= NO_PULL
    if total * token.change > 0 and abs(total) > 1e-6 * largest:
        return OTHERS if own else SHARED_TOKEN
    if softmax_change(logp_V, at_place, token.token_id) * token.change > 1e-12:
        return COUPLED if own else COUPLED_ONLY
    if own and abs(total) <= max(NO_PULL, 1e-6 * abs(token.pull)):
        return CANCEL
    return WEIGHTS
