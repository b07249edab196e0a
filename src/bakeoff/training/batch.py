"""From completions to tensors, and from an update's batch to the pieces that fit in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from bakeoff.streams import stream
from bakeoff.training.devices.shares import dealt
from bakeoff.training.devices.world import World
from bakeoff.types import Batch, Completion


def collate(
    completions: Sequence[Completion],
    rewards: Sequence[float],
    groups: Sequence[int],
    *,
    limit: int,
    pad_id: int,
    device: str = "cpu",
    greedy: Sequence[float] | None = None,
) -> Batch:
    """Return the batch of some scored completions, prompts padded left and completions right.

    Args:
        completions: what was written, at least one.
        rewards: the score of each; nan of a gold reply, which has none.
        groups: which of them answer the same item.
        limit: how many tokens the policy might have written in each of them.
        pad_id: the token that fills the padding; it is never attended to or counted.
        device: where the tensors go.
        greedy: the score of the greedy reply to the item of each, if there is one.
    """

    def padded(
        rows: Sequence[Sequence[float]], dtype: torch.dtype, *, left: bool = False
    ) -> torch.Tensor:
        width = max(len(row) for row in rows)
        fill = pad_id if dtype == torch.long else 0
        filled = [[fill] * (width - len(row)) for row in rows]
        pairs = zip(rows, filled, strict=True)
        return torch.tensor(
            [[*f, *row] if left else [*row, *f] for row, f in pairs], dtype=dtype, device=device
        )

    prompts = [c.prompt_ids for c in completions]
    tokens = [c.token_ids for c in completions]
    truncated = [float(c.truncated) for c in completions]
    return Batch(
        prompt_BP=padded(prompts, torch.long, left=True),
        prompt_mask_BP=padded([(1,) * len(p) for p in prompts], torch.float32, left=True),
        token_BT=padded(tokens, torch.long),
        mask_BT=padded([c.mask or (1,) * len(c.token_ids) for c in completions], torch.float32),
        logp_old_BT=padded([c.logprobs for c in completions], torch.float32),
        reward_B=torch.tensor(rewards, dtype=torch.float32, device=device),
        group_B=torch.tensor(groups, device=device),
        truncated_B=torch.tensor(truncated, device=device),
        limit_B=torch.full((len(rewards),), float(limit), device=device),
        greedy_reward_B=None
        if greedy is None
        else torch.tensor(greedy, dtype=torch.float32, device=device),
    )


def minibatches(batch: Batch, n: int, *keys: object) -> Iterator[Batch]:
    """Split a batch into ``n`` optimiser steps of (nearly) equal numbers of completions.

    Completions are shuffled by the stream of ``keys``. The advantages are in the batch already, so
    a group may be split.
    """
    order = list(range(len(batch.reward_B)))
    stream("minibatches", *keys).shuffle(order)
    for rows_B in torch.tensor(order, device=batch.reward_B.device).tensor_split(n):
        if len(rows_B):
            yield batch.rows(rows_B)


def micro_batches(batch: Batch, size: int, tokens: float = math.inf) -> Iterator[Batch]:
    """Split one optimiser step into backward passes, trimmed of padding; see ``micro_rows``."""
    for rows in micro_rows(batch, size, tokens):
        yield cut(batch, rows)


def cut(batch: Batch, rows: Sequence[int]) -> Batch:
    """Return some rows of a batch, trimmed of padding."""
    return trim(batch.rows(torch.tensor(rows, device=batch.reward_B.device)))


def micro_rows(
    batch: Batch, size: int, tokens: float = math.inf, world: World | None = None
) -> list[list[int]]:
    """Return which rows of one optimiser step each backward pass is of.

    Rows of one prompt stay together, so that it is read in few of the pieces, and are sorted by
    length. The weights stand in the batch, so the gradients of the pieces add up to that of the
    whole.

    Args:
        batch: what the step learns from.
        size: completions of a piece, at most.
        tokens: tokens of a piece, at most, unless one completion has more; a prompt counts once.
        world: ranks that share the pieces; those of this one are returned.
    """
    length_B, prompt_B = batch.mask_BT.sum(1), prompts(batch)
    width_B = batch.prompt_mask_BP.sum(1)
    order_B = (width_B + length_B).argsort(stable=True)
    order_B = order_B[prompt_B[order_B].argsort(stable=True)]
    read = last_counted(batch.mask_BT).tolist()
    widths, prompt_of = width_B.tolist(), prompt_B.tolist()

    pieces: list[list[int]] = []
    piece: list[int] = []
    held = 0.0
    for row in dealt(order_B.tolist(), read, world or World()):
        alone = widths[row] + read[row]
        more = read[row] if piece and prompt_of[piece[-1]] == prompt_of[row] else alone
        if piece and (len(piece) == size or held + more > tokens):
            pieces.append(piece)
            piece, held, more = [], 0.0, alone
        piece.append(row)
        held += more
    return [*pieces, piece] if piece else pieces


def last_counted(mask_BT: torch.Tensor) -> torch.Tensor:
    """Return how many tokens each completion has up to the last one that counts, ``length_B``.

    Example:
        >>> last_counted(torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0]])).tolist()
        [3, 0]
    """
    upto_T = torch.arange(1, mask_BT.shape[1] + 1, device=mask_BT.device)
    return ((mask_BT > 0) * upto_T).amax(1)


def model_inputs(batch: Batch) -> dict[str, torch.Tensor]:
    """Return a transformers model's inputs for ``[prompt_BP | token_BT]``.

    Only the padding left of the prompts has to be masked: attention is causal, so no counted token
    sees the padding on the right.
    """
    attention_BS = torch.cat([batch.prompt_mask_BP, torch.ones_like(batch.mask_BT)], 1).long()
    return {
        "input_ids": torch.cat([batch.prompt_BP, batch.token_BT], 1),
        "attention_mask": attention_BS,
        "position_ids": (attention_BS.cumsum(1) - 1).clamp(min=0),
    }


def prompts(batch: Batch) -> torch.Tensor:
    """Return ``prompt_B``, numbers that are equal where completions have the same prompt."""
    token_BP = batch.prompt_BP.where(batch.prompt_mask_BP > 0, -1)
    prompt_B: torch.Tensor = torch.unique(token_BP, dim=0, return_inverse=True)[1]
    return prompt_B


def trim(batch: Batch) -> Batch:
    """Return the batch without columns that are padding in every row."""
    prompt = int(batch.prompt_mask_BP.sum(1).max())
    width = batch.prompt_mask_BP.shape[1]
    counted_T = torch.nonzero(batch.mask_BT.sum(0))
    completion = int(counted_T[-1]) + 1 if len(counted_T) else 1

    fields = zip(batch._fields, batch, strict=True)
    cut = {
        name: field[:, width - prompt :] if name.endswith("_BP") else field[:, :completion]
        for name, field in fields
        if field is not None and not name.endswith("_B")
    }
    return batch._replace(**cut)
