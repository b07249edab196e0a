"""What moved: the probabilities of tokens and replies before and after an update, side by side.

Pure functions of token ids and tensors. A *place* is a prompt and what was written after it so far:
the same for all replies that begin alike. A *pull* is what the loss asks for: minus its gradient by
a token's log-probability.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from bakeoff.types import Batch

SMALL = 1e-3
"""A change of log-probability below this is called none: 0.1 % of the probability."""

Place = tuple[int, ...]
Pulls = Mapping[Place, Mapping[int, float]]


class TokenMove(NamedTuple):
    """One token of a reply, and what an update did to it.

    Attributes:
        token_id: which token.
        place: what it follows.
        adv: its advantage, ``None`` if the algorithm learned nothing from the reply.
        pull: what this reply's own loss asked for, all its copies together.
        before, after: its log-probability.
    """

    token_id: int
    place: Place
    adv: float | None
    pull: float
    before: float
    after: float

    @property
    def change(self) -> float:
        """The change of its log-probability."""
        return self.after - self.before


class ReplyMove(NamedTuple):
    """One of the different replies to an item, and what an update did to it.

    Attributes:
        text: what was written.
        copies: how many of the samples are this reply.
        reward: its score.
        better: whether the score is above the mean of the group; ``None`` if it is the mean.
        tokens: the tokens that the policy wrote.
    """

    text: str
    copies: int
    reward: float
    better: bool | None
    tokens: tuple[TokenMove, ...]

    @property
    def before(self) -> float:
        """The log-probability of the whole reply before the update."""
        return math.fsum(token.before for token in self.tokens)

    @property
    def after(self) -> float:
        """The log-probability of the whole reply after it."""
        return math.fsum(token.after for token in self.tokens)

    @property
    def change(self) -> float:
        """The change of the whole reply's log-probability."""
        return self.after - self.before


def places(batch: Batch) -> list[list[tuple[int, Place, int]]]:
    """Return ``(column, place, token)`` of the tokens that the policy wrote, for each row.

    Example:
        >>> import torch
        >>> token_BT = torch.tensor([[5, 6]])
        >>> ones = torch.ones(1, 1)
        >>> batch = Batch(torch.tensor([[4]]), ones, token_BT, torch.ones(1, 2), *[ones] * 5)
        >>> places(batch)
        [[(0, (4,), 5), (1, (4, 5), 6)]]
    """
    rows = zip(
        batch.prompt_BP.tolist(),
        batch.prompt_mask_BP.tolist(),
        batch.token_BT.tolist(),
        batch.mask_BT.tolist(),
        strict=True,
    )
    found = []
    for prompt, prompt_mask, tokens, mask in rows:
        asked = tuple(t for t, counts in zip(prompt, prompt_mask, strict=True) if counts)
        found.append(
            [
                (column, asked + tuple(tokens[:column]), token)
                for column, (token, counts) in enumerate(zip(tokens, mask, strict=True))
                if counts
            ]
        )
    return found


def pulls_at(batch: Batch, pull_BT: Tensor) -> dict[Place, dict[int, float]]:
    """Return what all completions of a batch together ask of each token at each place."""
    found: dict[Place, dict[int, float]] = {}
    for row, pull_T in zip(places(batch), pull_BT.tolist(), strict=True):
        for column, place, token in row:
            at_place = found.setdefault(place, {})
            at_place[token] = at_place.get(token, 0.0) + pull_T[column]
    return found


def alike(keys: Iterable[Hashable]) -> list[list[int]]:
    """Return the places of equal keys, in the order in which the first of each comes.

    Example:
        >>> alike("abac")
        [[0, 2], [1], [3]]
    """
    found: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        found.setdefault(key, []).append(place)
    return list(found.values())


def replies(
    texts: Sequence[str],
    batch: Batch,
    before_BT: Tensor,
    after_BT: Tensor,
    *,
    adv_BT: Tensor,
    pull_BT: Tensor,
) -> list[ReplyMove]:
    """Return the different replies of one group, the best first, the most frequent before others.

    Args:
        texts: the text of each row.
        batch: the samples of one item.
        before_BT, after_BT: log-probabilities of its tokens.
        adv_BT: their advantages, nan in rows that the algorithm learned nothing from.
        pull_BT: what the loss asks for in each row.
    """
    rows = places(batch)
    keys = [tuple((place, token) for _, place, token in row) for row in rows]
    mean = float(batch.reward_B.double().mean())
    found = []
    for own in alike(keys):
        first, reward = own[0], float(batch.reward_B[own[0]])
        better = None if abs(reward - mean) < 1e-9 else reward > mean
        tokens = tuple(
            TokenMove(
                token_id=token,
                place=place,
                adv=None if math.isnan(adv := float(adv_BT[first, column])) else adv,
                pull=math.fsum(float(pull_BT[row, column]) for row in own),
                before=float(before_BT[first, column]),
                after=float(after_BT[first, column]),
            )
            for column, place, token in rows[first]
        )
        found.append(ReplyMove(texts[first], len(own), reward, better, tokens))
    return sorted(found, key=lambda reply: (-reply.reward, -reply.copies, reply.text))
