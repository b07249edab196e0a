"""Which completions are being sampled, in which slots, and which wait: plain bookkeeping.

Completions enter in order, as soon as a share of the slots is free, whichever prompt they are of.
Those being sampled stand in the first slots: where one leaves, the last one moves in. The same
holds for the prompts that they attend to: one slot each, from its first completion's entry until
its last one's end.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeVar

ENTER_SHARE = 4
"""Completions enter when one in so many slots is free: few prompts at a time are read slowly."""

Moves = list[tuple[int, int]]
"""What goes where: ``(to, from)``, slots."""


Held = TypeVar("Held")


@dataclass(eq=False, slots=True)
class Prompt:
    """A prompt, and how many of its completions have not ended."""

    token_ids: tuple[int, ...]
    unfinished: int


@dataclass(eq=False, slots=True)
class Row:
    """A completion: its place in the list to come, and the step in which it entered."""

    index: int
    prompt: Prompt
    entered: int = 0


@dataclass(slots=True)
class Schedule:
    """What is sampled and what waits.

    Attributes:
        limit: how many completions may be sampled at a time.
        waiting: completions that have not entered, in order.
        rows: those being sampled, by slot.
        prompts: those that they continue, by slot.
    """

    limit: int
    waiting: deque[Row]
    rows: list[Row] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)

    @classmethod
    def of(cls, prompts: Sequence[tuple[int, ...]], n: int, limit: int) -> Schedule:
        """Return one with ``n`` completions of each prompt waiting."""
        asked = [Prompt(token_ids, n) for token_ids in prompts]
        rows = [Row(place * n + i, prompt) for place, prompt in enumerate(asked) for i in range(n)]
        return cls(max(1, min(limit, len(rows))), deque(rows))

    def enter(self, step: int) -> tuple[list[Row], list[Prompt]]:
        """Let completions in, if it is worth while; return them and the prompts that came along.

        Example:
            >>> schedule = Schedule.of([(7,), (8,)], n=2, limit=3)
            >>> rows, prompts = schedule.enter(step=0)
            >>> [row.index for row in rows], [prompt.token_ids for prompt in prompts]
            ([0, 1, 2], [(7,), (8,)])
        """
        free = self.limit - len(self.rows)
        if not self.waiting or (self.rows and free * ENTER_SHARE < self.limit):
            return [], []
        rows = [self.waiting.popleft() for _ in range(min(free, len(self.waiting)))]
        known = set(self.prompts)
        prompts = list(dict.fromkeys(row.prompt for row in rows if row.prompt not in known))
        for row in rows:
            row.entered = step
        self.rows += rows
        self.prompts += prompts
        return rows, prompts

    def leave(self, ended: Sequence[int]) -> tuple[Moves, Moves]:
        """Take completions out, by slot; return which rows and which prompts moved.

        Example:
            >>> schedule = Schedule.of([(7,), (8,)], n=2, limit=4)
            >>> _ = schedule.enter(step=0)
            >>> schedule.leave([0, 1])
            ([(0, 2), (1, 3)], [(0, 1)])
        """
        for slot in ended:
            self.rows[slot].prompt.unfinished -= 1
        row_moves = moves_into_gaps(ended, len(self.rows))
        _apply(self.rows, row_moves, len(self.rows) - len(ended))
        done = [slot for slot, prompt in enumerate(self.prompts) if not prompt.unfinished]
        prompt_moves = moves_into_gaps(done, len(self.prompts))
        _apply(self.prompts, prompt_moves, len(self.prompts) - len(done))
        return row_moves, prompt_moves


def counts(rows: Iterable[Row], prompts: Sequence[Prompt]) -> list[int]:
    """Return how many of the rows continue each prompt."""
    found = Counter(row.prompt for row in rows)
    return [found[prompt] for prompt in prompts]


def moves_into_gaps(gaps: Iterable[int], n: int) -> Moves:
    """Return the moves of the last of ``n`` slots in use into those that became free.

    Example:
        >>> moves_into_gaps([1, 4], n=6)
        [(1, 5)]
    """
    free = set(gaps)
    left = n - len(free)
    movers = [slot for slot in range(left, n) if slot not in free]
    return list(zip(sorted(slot for slot in free if slot < left), movers, strict=True))


def _apply(held: list[Held], moves: Moves, left: int) -> None:
    for to, source in moves:
        held[to] = held[source]
    del held[left:]


def spans(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Split prompts into one or two runs, so that few cells of ``prompts x most rows`` are empty.

    Attention to the prompts pads each run to its fullest prompt. Those that came first are down to
    their stragglers while the last ones are complete: one run would be nearly empty.

    Args:
        counts: completions of each prompt.

    Example:
        >>> spans([4, 4, 4]), spans([1, 1, 1, 8])
        ([(0, 3)], [(0, 3), (3, 4)])
    """
    n = len(counts)
    ahead = list(accumulate(counts, max))
    behind = list(accumulate(reversed(counts), max))[::-1]
    cells = [split * ahead[split - 1] + (n - split) * behind[split] for split in range(1, n)]
    if not cells or min(cells) > 0.75 * n * max(counts):
        return [(0, n)]
    split = 1 + cells.index(min(cells))
    return [(0, split), (split, n)]


def cells(counts: Sequence[int]) -> int:
    """Return how many cells the spans have, empty ones included."""
    return sum((end - start) * max(counts[start:end]) for start, end in spans(counts))


def better_order(counts: Sequence[int]) -> list[int] | None:
    """Return the prompts by falling counts if that saves much of the cells; ``None``: it does not.

    Example:
        >>> better_order([8, 1, 1, 1, 1, 8, 1, 1])
        [0, 5, 1, 2, 3, 4, 6, 7]
        >>> better_order([8, 8, 1, 1]) is None
        True
    """
    now = cells(counts)
    if now <= 2 * sum(counts):
        return None
    order = sorted(range(len(counts)), key=lambda slot: -counts[slot])
    return order if 1.5 * cells([counts[slot] for slot in order]) < now else None
