"""Keys and values of sequences that come and go, one slot each, written in place.

Buffers grow in steps, and only the slots that are in use move to a larger one, so what is held
follows what is needed. Slots in use stand first: whoever attends to them looks at them where they
are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

GROWTH = 1.5
"""A buffer that is too short becomes this much longer, or wider, as far as it may."""

FIRST_TOKENS = 16
"""The length of a buffer at first, if it may be that long."""


class Slots:
    """Keys and values of every layer, ``(slots, tokens, heads, width)`` each.

    Attributes:
        slots, tokens: how many sequences there is room for, and of what length.
        nbytes: what the buffers take.
    """

    def __init__(self) -> None:
        """Hold nothing, until there is something to write."""
        self.slots = self.tokens = self.nbytes = 0
        self._layers: list[tuple[Tensor, Tensor]] = []

    def reserve(self, slots: int, tokens: int, *, used: int, most: tuple[int, int]) -> None:
        """Make room for so many sequences of such a length; nothing happens if there is enough.

        A buffer that has to be longer is made no wider than it must be.

        Args:
            slots: sequences.
            tokens: of the longest of them.
            used: the first slots, whose content is kept.
            most: slots and tokens that will never be exceeded.
        """
        if slots <= self.slots and tokens <= self.tokens:
            return
        if tokens > self.tokens:
            longer = max(FIRST_TOKENS, int(self.tokens * GROWTH))
            self.slots, self.tokens = slots, max(tokens, min(most[1], longer))
        else:
            self.slots = max(slots, min(most[0], int(self.slots * GROWTH)))
        for layer, (key_STKD, value_STKD) in enumerate(self._layers):  # so that little is twice
            self._layers[layer] = self._larger(key_STKD, used), self._larger(value_STKD, used)
        self.nbytes = sum(t.nbytes for buffers in self._layers for t in buffers)

    def _larger(self, old_STKD: Tensor, used: int) -> Tensor:
        new_STKD = old_STKD.new_zeros(self.slots, self.tokens, *old_STKD.shape[2:])
        new_STKD[:used, : old_STKD.shape[1]] = old_STKD[:used]
        return new_STKD

    def write(self, layer: int, place_N: Tensor, key_NKD: Tensor, value_NKD: Tensor) -> None:
        """Put a layer's keys and values at ``slot * tokens + token``."""
        written = key_NKD, value_NKD
        if layer == len(self._layers):
            room = self.slots, self.tokens
            # zeros: what is masked is multiplied by 0 and may not be nan
            key_STKD, value_STKD = (t.new_zeros(*room, *t.shape[1:]) for t in written)
            self._layers.append((key_STKD, value_STKD))
            self.nbytes += key_STKD.nbytes + value_STKD.nbytes
        for buffer_STKD, t_NKD in zip(self._layers[layer], written, strict=True):
            buffer_STKD.flatten(0, 1).index_copy_(0, place_N, t_NKD)

    def read(self, layer: int, slots: slice, tokens: int) -> tuple[Tensor, Tensor]:
        """Return ``key_SKTD`` and ``value_SKTD`` of some slots and their first tokens: views."""
        key_STKD, value_STKD = self._layers[layer]
        return key_STKD[slots, :tokens].transpose(1, 2), value_STKD[slots, :tokens].transpose(1, 2)

    def move(self, moves: Sequence[tuple[int, int]]) -> None:
        """Copy sequences ``(to, from)``, all at once."""
        if not moves or not self._layers:
            return
        to_M, from_M = torch.tensor(moves, device=self._layers[0][0].device).T
        for buffers in self._layers:
            for buffer_STKD in buffers:
                buffer_STKD[to_M] = buffer_STKD[from_M]
