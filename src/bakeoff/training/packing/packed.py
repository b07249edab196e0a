"""A batch in one row: each prompt once, and behind it the completions that answer it.

    prompt 1 | completion 1.1 | completion 1.2 | ... | prompt 2 | completion 2.1 | ...

A token sees its own segment up to itself and, in a completion, all of the prompt. The first is
attention within segments, the second is attention of all completions of a prompt to it; the two are
joined by their normalisers. Nothing is computed twice and nothing is padding but in the segments'
attention, where segments of about the same length are padded to the longest of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bakeoff.training.batch import last_counted, prompts
from bakeoff.training.packing.segments import Across, Segments, segment_attention, segments
from bakeoff.types import Batch


@dataclass(frozen=True)
class Packed:
    """The tokens of a batch, packed: a layout.

    Attributes:
        token_N: the tokens.
        position_N: their places, counted from the start of the prompt.
        state_BU: which of them is read just before each token of a completion, and (``U`` is
            ``T + 1``) after the last; 0 where that is not in the row.
        segments: who sees whom.
    """

    token_N: Tensor
    position_N: Tensor
    state_BU: Tensor
    segments: Segments

    def attend(
        self, layer: int, query_HND: Tensor, key_KND: Tensor, value_KND: Tensor, scale: float
    ) -> Tensor:
        """Return ``out_HND``; see ``bakeoff.training.packing.attention.Layout``."""
        return segment_attention(query_HND, key_KND, value_KND, self.segments, scale)


def packed(batch: Batch, *, after: bool = False) -> Packed:
    """Return a batch's tokens in one row, up to the last counted one of each completion.

    Args:
        batch: with prompts on the left and completions on the right.
        after: whether the last counted tokens are read themselves, which only what comes after
            them is for.

    Example:
        >>> from bakeoff.training.batch import collate
        >>> from bakeoff.types import Completion
        >>> long = Completion((7, 8), (1, 2), (0.0, 0.0), truncated=False, text="")
        >>> short = Completion((7, 8), (3,), (0.0,), truncated=False, text="")
        >>> batch = collate([long, short], [0.0, 1.0], [0, 0], limit=2, pad_id=0)
        >>> row = packed(batch, after=True)
        >>> row.token_N.tolist(), row.position_N.tolist(), row.state_BU.tolist()
        ([7, 8, 1, 2, 3], [0, 1, 2, 3, 2], [[1, 2, 3], [1, 4, 0]])
    """
    prompt_BP, mask_BP = batch.prompt_BP, batch.prompt_mask_BP > 0
    device = batch.token_BT.device
    read_B = last_counted(batch.mask_BT)
    if not after:
        read_B = (read_B - 1).clamp(min=0)
    answers: dict[int, list[int]] = {}
    for row, prompt in enumerate(prompts(batch).tolist()):
        answers.setdefault(prompt, []).append(row)
    prompt_lengths, read = mask_BP.sum(1).tolist(), read_B.tolist()

    pieces: list[Tensor] = []
    positions: list[Tensor] = []
    spans: list[tuple[int, int]] = []
    across: list[Across] = []
    start_of, before_of = [0] * len(read), [0] * len(read)
    at = 0
    for rows in answers.values():
        length = prompt_lengths[rows[0]]
        pieces.append(prompt_BP[rows[0]][mask_BP[rows[0]]])
        positions.append(torch.arange(length, device=device))
        begin, at = at, at + length
        prompt_end = at
        for row in rows:
            start_of[row], before_of[row] = at, prompt_end - 1
            pieces.append(batch.token_BT[row, : read[row]])
            positions.append(torch.arange(length, length + read[row], device=device))
            at += read[row]
        if len(rows) == 1:  # nobody to share the prompt with: one segment
            spans.append((begin, at))
            continue
        spans.append((begin, prompt_end))
        spans += [(start_of[row], start_of[row] + read[row]) for row in rows if read[row]]
        if at > prompt_end:
            across.append(Across(prompt_end, at, begin, prompt_end))

    start_B = torch.tensor(start_of, device=device)
    place_T = torch.arange(batch.token_BT.shape[1], device=device)
    state_BT = (start_B[:, None] + place_T).masked_fill(place_T >= read_B[:, None], 0)
    before_B = torch.tensor(before_of, device=device)
    return Packed(
        token_N=torch.cat(pieces),
        position_N=torch.cat(positions),
        state_BU=torch.cat([before_B[:, None], state_BT], 1),
        segments=segments(spans, across, device),
    )
