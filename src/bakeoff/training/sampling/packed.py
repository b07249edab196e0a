"""Sampling in packed rows with a cache of its own: a prompt stands there once for its completions.

Completions enter as soon as others have ended (continuous batching), so none is held up by a long
one. A step reads one token of each that is running, whatever prompts they are of, and writes the
token's keys and values where they stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bakeoff.training.packing.attention import last_states
from bakeoff.training.sampling.cache import Slots
from bakeoff.training.sampling.choice import choose
from bakeoff.training.sampling.layouts import Both, Groups, Step, groups, prefill, visible_up_to
from bakeoff.training.sampling.protocol import Decoding, Finished
from bakeoff.training.sampling.request import check_context, completion, uniforms
from bakeoff.training.sampling.schedule import (
    Prompt,
    Row,
    Schedule,
    better_order,
    counts,
)
from bakeoff.types import Completion

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel

PREFILL_TOKENS = 4096
"""Prompts that enter together are read so many tokens at a time, at least one prompt."""


class PackedSampler:
    """Samples with the training model itself, in its own precision.

    Attributes:
        kv_cache_bytes: the most bytes that keys and values took in the last call.
        steps: the passes over newest tokens in the last call.
    """

    def __init__(self, language_model: LanguageModel, *, rows: int = 128) -> None:
        """Sample from ``language_model``, at most ``rows`` completions at a time."""
        self.language_model = language_model
        self.rows = rows
        self.kv_cache_bytes = 0
        self.steps = 0

    @torch.no_grad()
    def sample(
        self,
        prompts: Sequence[tuple[int, ...]],
        n: int,
        decoding: Decoding,
        seed: int,
        finished: Finished | None = None,
        *,
        first: int = 0,
    ) -> list[Completion]:
        """Return ``n`` completions of each prompt; see ``Sampler``.

        Raises:
            UsageError: a prompt and ``max_new_tokens`` do not fit the model's context.
            FloatingPointError: the model's logits are not finite.
        """
        check_context(self.language_model, prompts, decoding)
        uniform_BT = uniforms(len(prompts) * n, decoding, seed, first)
        schedule = Schedule.of(prompts, n, self.rows)
        call = _Call(self.language_model, schedule, decoding, uniform_BT)
        done: dict[int, Completion] = {}
        for row, ended in call.run():
            done[row] = ended
            if finished is not None:
                finished(row, ended)
        self.kv_cache_bytes, self.steps = call.most_bytes, call.step
        return [done[row] for row in range(len(done))]


class _Call:
    """One call of a sampler, from the first prompt to the last token.

    Tensors of the rows that are running, ``R``, are in the order of the schedule's slots.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        schedule: Schedule,
        decoding: Decoding,
        uniform_BT: Tensor,
    ) -> None:
        self.language_model, self.schedule, self.decoding = language_model, schedule, decoding
        self.model = language_model.model
        self.device = self.model.device
        self.uniform_BT = uniform_BT.to(self.device)
        self.token_BT = torch.zeros(uniform_BT.shape, dtype=torch.long, device=self.device)
        self.logp_BT = torch.zeros(uniform_BT.shape, device=self.device)
        self.prompts, self.own = Slots(), Slots()
        self.most_prompts = len({row.prompt for row in schedule.waiting})
        self.prompt_states: dict[Prompt, Tensor] = {}
        self.groups: Groups | None = None
        self.most_bytes = 0
        self.step = 0

    def run(self) -> Iterator[tuple[int, Completion]]:
        """Yield completions as they end, each with its place in the list to come."""
        ends = frozenset(self.language_model.eos_ids)
        token_R = torch.zeros(0, dtype=torch.long, device=self.device)
        while True:
            entering, prompts = self.schedule.enter(self.step)
            rows = self.schedule.rows
            if not rows:
                return
            hidden_RH = self._read(token_R, entering, prompts)
            token_R = self._drawn(hidden_RH)
            oldest = self.step - self.decoding.max_new_tokens + 1
            tokens = token_R.tolist()
            ended = [
                slot
                for slot, (row, token) in enumerate(zip(rows, tokens, strict=True))
                if token in ends or row.entered == oldest
            ]
            if ended:
                yield from self._completions([(rows[slot], tokens[slot] in ends) for slot in ended])
                token_R = self._leave(ended, token_R)
            self.step += 1

    def _read(self, token_R: Tensor, entering: Sequence[Row], new: Sequence[Prompt]) -> Tensor:
        """Read the newest tokens, and new prompts; return ``hidden_RH``, what the next follow."""
        backbone = self.model.base_model
        if entering:
            self._follow()
        slot = len(self.schedule.prompts) - len(new)
        self._make_room(slot, len(token_R))
        step = self._step(token_R, slot) if len(token_R) else None
        hidden_RH = []
        for some in pieces(new, PREFILL_TOKENS):
            layout = prefill([p.token_ids for p in some], slot, self.prompts, self.device)
            hidden_NH = last_states(backbone, layout if step is None else Both(layout, step))
            hidden_RH += [] if step is None else [hidden_NH[len(layout.token_N) :]]
            self.prompt_states |= zip(some, hidden_NH[layout.last_P], strict=True)
            slot, step = slot + len(some), None
        hidden_RH += [] if step is None else [last_states(backbone, step)]
        if entering:
            hidden_RH.append(torch.stack([self.prompt_states[row.prompt] for row in entering]))
            self.groups = None
        self.most_bytes = max(self.most_bytes, self.prompts.nbytes + self.own.nbytes)
        return hidden_RH[0] if len(hidden_RH) == 1 else torch.cat(hidden_RH)

    def _make_room(self, prompts: int, running: int) -> None:
        """Reserve the cache of the next pass; so many prompts and rows are in it already."""
        schedule = self.schedule
        held = schedule.prompts
        longest = max(len(prompt.token_ids) for prompt in held)
        most = min(self.most_prompts, schedule.limit)
        self.prompts.reserve(len(held), longest, used=prompts, most=(most, longest))
        if running:
            slots = min(schedule.limit, len(schedule.rows) + len(schedule.waiting))
            tokens = self.step - min(row.entered for row in schedule.rows[:running])
            most = self.decoding.max_new_tokens - 1
            self.own.reserve(slots, tokens, used=running, most=(slots, most))

    def _step(self, token_R: Tensor, prompts: int) -> Step:
        """Return the layout of the newest tokens, of rows that continue the first prompts."""
        running = len(token_R)
        entered = [row.entered for row in self.schedule.rows[:running]]
        age_R = self.step - self.entered_R[:running]
        tokens = self.step - min(entered)
        even = min(entered) == max(entered)
        return Step(
            token_N=token_R,
            position_N=self.length_R[:running] + age_R - 1,
            place_N=torch.arange(running, device=self.device) * self.own.tokens + age_R - 1,
            tokens=tokens,
            bias_RT=None if even else visible_up_to(age_R[:, None], tokens),
            groups=self._grouped(running, prompts),
            prompts=self.prompts,
            own=self.own,
        )

    def _grouped(self, running: int, held: int) -> Groups:
        """Return which rows attend to which prompts, as long as they are the same."""
        if self.groups is None:
            rows, prompts = self.schedule.rows[:running], self.schedule.prompts
            if (order := better_order(counts(rows, prompts[:held]))) is not None:
                self.prompts.move(list(enumerate(order)))
                prompts[:held] = [prompts[slot] for slot in order]
            slot_of = {prompt: slot for slot, prompt in enumerate(prompts[:held])}
            self.groups = groups(
                [slot_of[row.prompt] for row in rows],
                [len(prompt.token_ids) for prompt in prompts[:held]],
                self.device,
            )
        return self.groups

    def _drawn(self, hidden_RH: Tensor) -> Tensor:
        """Return the next token of each row, and keep it with its log-probability."""
        logits_RV = self.model.get_output_embeddings()(hidden_RH)
        place = self.row_R, self.step - self.entered_R
        token_R, logp_R = choose(logits_RV, self.uniform_BT[place], self.decoding)
        self.token_BT[place], self.logp_BT[place] = token_R, logp_R
        return token_R

    def _completions(self, done: Sequence[tuple[Row, bool]]) -> Iterator[tuple[int, Completion]]:
        """Yield the completions of rows, and whether each ended: all of this step."""
        index_R = torch.tensor([row.index for row, _ in done], device=self.device)
        token_rows, logp_rows = self.token_BT[index_R].tolist(), self.logp_BT[index_R].tolist()
        for (row, ended), tokens, logps in zip(done, token_rows, logp_rows, strict=True):
            length = self.step - row.entered + 1
            prompt, token_ids, logprobs = row.prompt.token_ids, tokens[:length], logps[:length]
            made = completion(self.language_model, prompt, token_ids, logprobs, ended=ended)
            yield row.index, made

    def _leave(self, ended: Sequence[int], token_R: Tensor) -> Tensor:
        """Take rows out; return the newest tokens of those that stay."""
        row_moves, prompt_moves = self.schedule.leave(ended)
        self.own.move(row_moves)
        self.prompts.move(prompt_moves)
        held = set(self.schedule.prompts)
        self.prompt_states = {p: h for p, h in self.prompt_states.items() if p in held}
        kept = list(range(len(self.schedule.rows)))
        for to, source in row_moves:
            kept[to] = source
        self.groups = None
        self._follow()
        return token_R[torch.tensor(kept, dtype=torch.long, device=self.device)]

    def _follow(self) -> None:
        """Keep what is known of the schedule's rows as tensors."""
        rows = self.schedule.rows
        facts = [(row.index, row.entered, len(row.prompt.token_ids)) for row in rows]
        fact_R3 = torch.tensor(facts, dtype=torch.long, device=self.device).view(-1, 3)
        self.row_R, self.entered_R, self.length_R = fact_R3.T.contiguous()


def pieces(prompts: Sequence[Prompt], tokens: int) -> Iterator[list[Prompt]]:
    """Split prompts into runs of so many tokens at most, or of one prompt.

    Example:
        >>> prompts = [Prompt((0,) * length, 1) for length in (2, 3, 9, 1)]
        >>> [len(some) for some in pieces(prompts, 5)]
        [2, 1, 1]
    """
    some: list[Prompt] = []
    for prompt in prompts:
        if some and sum(len(p.token_ids) for p in [*some, prompt]) > tokens:
            yield some
            some = []
        some.append(prompt)
    yield from [some] if some else []
