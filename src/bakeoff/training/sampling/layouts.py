"""Who sees whom while sampling: prompts by themselves, and then each row's newest token.

A prompt's keys and values stand in the cache once. The newest tokens of its rows attend to them
together, as one batch, and each to its own row's; the two parts are joined into one softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from bakeoff.training.packing.segments import Segments, segment_attention, segments
from bakeoff.training.sampling.cache import Slots
from bakeoff.training.sampling.parts import attend_part, joined
from bakeoff.training.sampling.schedule import spans


@dataclass(frozen=True)
class Prefill:
    """Whole prompts, one behind the other: each token sees its own prompt up to itself.

    Attributes:
        token_N, position_N: of all prompts.
        place_N: where each goes in the cache.
        last_P: the last token of each prompt.
        segments: the prompts.
        cache: is written.
    """

    token_N: Tensor
    position_N: Tensor
    place_N: Tensor
    last_P: Tensor
    segments: Segments
    cache: Slots

    def attend(
        self, layer: int, query_HND: Tensor, key_KND: Tensor, value_KND: Tensor, scale: float
    ) -> Tensor:
        """Return ``out_HND``; see ``bakeoff.training.packing.attention.Layout``."""
        query_HND, key_KND, value_KND = alike(query_HND, key_KND, value_KND)
        key_NKD, value_NKD = key_KND.transpose(0, 1), value_KND.transpose(0, 1)
        self.cache.write(layer, self.place_N, key_NKD, value_NKD)
        return segment_attention(query_HND, key_KND, value_KND, self.segments, scale)


def prefill(
    prompts: Sequence[tuple[int, ...]], first_slot: int, cache: Slots, device: torch.device
) -> Prefill:
    """Return the layout of some prompts that go into neighbouring slots of a cache."""
    lengths = [len(prompt) for prompt in prompts]
    ends = torch.tensor(lengths).cumsum(0).tolist()
    positions = [torch.arange(length) for length in lengths]
    slots = range(first_slot, first_slot + len(prompts))
    places = [at + slot * cache.tokens for at, slot in zip(positions, slots, strict=True)]
    return Prefill(
        token_N=torch.tensor([token for prompt in prompts for token in prompt], device=device),
        position_N=torch.cat(positions).to(device),
        place_N=torch.cat(places).to(device),
        last_P=torch.tensor(ends, device=device) - 1,
        segments=segments(list(zip([0, *ends], ends, strict=False)), (), device),
        cache=cache,
    )


class Run(NamedTuple):
    """Neighbouring prompts, and the rows that attend to them, padded to the most of one prompt.

    Attributes:
        slots: of the prompts.
        rows_C: the row in each of ``prompts x most rows`` cells; any row in an empty one.
            ``None``: all rows, in order.
        bias_PL: -inf beyond the end of each prompt; ``None``: all are of one length.
        tokens: of the longest of the prompts.
    """

    slots: slice
    rows_C: Tensor | None
    bias_PL: Tensor | None
    tokens: int


@dataclass(frozen=True)
class Groups:
    """Which rows attend to which prompts.

    Attributes:
        runs: the prompts.
        cell_R: the cell of each row, counted through all runs; ``None``: the cells are the rows.
    """

    runs: list[Run]
    cell_R: Tensor | None


def groups(prompt_R: Sequence[int], lengths: Sequence[int], device: torch.device) -> Groups:
    """Return which rows attend to which prompts.

    Args:
        prompt_R: the slot of each row's prompt.
        lengths: of the prompts, by slot.
        device: of the cache.
    """
    rows_of: list[list[int]] = [[] for _ in lengths]
    for row, prompt in enumerate(prompt_R):
        rows_of[prompt].append(row)
    runs: list[Run] = []
    cells: list[int] = []
    cell_of = [0] * len(prompt_R)
    for start, end in spans([len(rows) for rows in rows_of]):
        most = max(len(rows) for rows in rows_of[start:end])
        if not most:  # all of its rows wait
            continue
        first = len(cells)
        for rows in rows_of[start:end]:
            for cell, row in enumerate(rows, len(cells)):
                cell_of[row] = cell
            cells += rows + [0] * (most - len(rows))
        runs.append(_run(slice(start, end), lengths[start:end], cells[first:], device))
    if len(runs) == 1 and cells == list(range(len(prompt_R))):
        return Groups([runs[0]._replace(rows_C=None)], None)
    return Groups(runs, torch.tensor(cell_of, device=device))


def _run(slots: slice, lengths: Sequence[int], rows: Sequence[int], device: torch.device) -> Run:
    longest, bias_PL = max(lengths), None
    if min(lengths) < longest:
        length_P1 = torch.tensor(lengths, device=device)[:, None]
        bias_PL = visible_up_to(length_P1, longest)
    return Run(slots, torch.tensor(rows, device=device), bias_PL, longest)


def visible_up_to(length_X1: Tensor, tokens: int) -> Tensor:
    """Return ``bias_XT``: 0 for the first tokens of each, and -inf for the others."""
    beyond_XT = torch.arange(tokens, device=length_X1.device) >= length_X1
    return torch.zeros(beyond_XT.shape, device=length_X1.device).masked_fill(beyond_XT, -torch.inf)


@dataclass(frozen=True)
class Step:
    """The newest token of each row.

    Attributes:
        token_N, position_N: of the rows.
        place_N: where each goes in the rows' own cache.
        tokens: of the longest row, the newest included.
        bias_RT: -inf beyond each row's newest token; ``None``: all are of one length.
        groups: which rows attend to which prompts.
        prompts: the prompts' cache, which is read.
        own: the rows' cache, which is written.
    """

    token_N: Tensor
    position_N: Tensor
    place_N: Tensor
    tokens: int
    bias_RT: Tensor | None
    groups: Groups
    prompts: Slots
    own: Slots

    def attend(
        self, layer: int, query_HND: Tensor, key_KND: Tensor, value_KND: Tensor, scale: float
    ) -> Tensor:
        """Return ``out_HND``; see ``bakeoff.training.packing.attention.Layout``."""
        query_HND, key_KND, value_KND = alike(query_HND, key_KND, value_KND)
        self.own.write(layer, self.place_N, key_KND.transpose(0, 1), value_KND.transpose(0, 1))
        rows = query_HND.shape[1]
        # the queries of all heads that one head of keys serves, as so many queries of that head
        query_RKGD = query_HND.transpose(0, 1).reshape(rows, len(key_KND), -1, query_HND.shape[-1])
        key_RKTD, value_RKTD = self.own.read(layer, slice(0, rows), self.tokens)
        own = attend_part(query_RKGD, key_RKTD, value_RKTD, self.bias_RT, scale)
        out_RKGD = joined(own, self._to_prompts(layer, query_RKGD, scale))
        return out_RKGD.flatten(1, 2).transpose(0, 1)

    def _to_prompts(self, layer: int, query_RKGD: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Return ``out_RKGD`` and ``normaliser_RKG`` of each row's attention to its prompt."""
        _, heads, serves, width = query_RKGD.shape
        found = []
        for run in self.groups.runs:
            query_CKGD = query_RKGD if run.rows_C is None else query_RKGD[run.rows_C]
            key_PKLD, value_PKLD = self.prompts.read(layer, run.slots, run.tokens)
            cells = len(key_PKLD), -1, heads, serves
            query_PKMGD = query_CKGD.reshape(*cells, width).transpose(1, 2)
            out_PKXD, normaliser_PKX = attend_part(
                query_PKMGD.flatten(2, 3), key_PKLD, value_PKLD, run.bias_PL, scale
            )
            # the queries of all rows and heads, X, apart again
            split = len(key_PKLD), heads, -1, serves
            out_PMKGD = out_PKXD.reshape(*split, out_PKXD.shape[-1]).transpose(1, 2)
            normaliser_PMKG = normaliser_PKX.reshape(*split).transpose(1, 2)
            found.append((out_PMKGD.flatten(0, 1), normaliser_PMKG.flatten(0, 1)))
        out_CKGD, normaliser_CKG = (
            parts[0] if len(parts) == 1 else torch.cat(parts) for parts in zip(*found, strict=True)
        )
        cell_R = self.groups.cell_R
        if cell_R is None:
            return out_CKGD, normaliser_CKG
        return out_CKGD[cell_R], normaliser_CKG[cell_R]


@dataclass(frozen=True)
class Both:
    """Prompts and newest tokens in one pass, which reads the model's weights once.

    Attributes:
        prompts: come first.
        step: comes after.
    """

    prompts: Prefill
    step: Step

    @property
    def token_N(self) -> Tensor:
        """The tokens of both."""
        return torch.cat([self.prompts.token_N, self.step.token_N])

    @property
    def position_N(self) -> Tensor:
        """The place of each in its sequence."""
        return torch.cat([self.prompts.position_N, self.step.position_N])

    def attend(
        self, layer: int, query_HND: Tensor, key_KND: Tensor, value_KND: Tensor, scale: float
    ) -> Tensor:
        """Return ``out_HND``; see ``bakeoff.training.packing.attention.Layout``."""
        n = len(self.prompts.token_N)
        query, key, value = query_HND, key_KND, value_KND
        prompts_HND = self.prompts.attend(layer, query[:, :n], key[:, :n], value[:, :n], scale)
        rows_HND = self.step.attend(layer, query[:, n:], key[:, n:], value[:, n:], scale)
        return torch.cat([prompts_HND.transpose(0, 1), rows_HND.transpose(0, 1)]).transpose(0, 1)


def alike(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return tensors in autocast's precision, if it is on; else in the last one's.

    What is cached is what is attended to, not something that is converted again at every step.
    """
    device = tensors[-1].device.type
    on = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if on else tensors[-1].dtype
    return tuple(tensor.to(dtype) for tensor in tensors)
