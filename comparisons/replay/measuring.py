"""What each algorithm makes of a recording: credit, gradients, and one update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from bakeoff.algorithms.advantages import leave_one_out
from bakeoff.algorithms.aggregation import sequence_sum
from bakeoff.algorithms.reinforce import reinforce
from bakeoff.algorithms.stages import kept_rows
from bakeoff.comparisons.commands.working import Count
from bakeoff.comparisons.replay.gradients import Gram, backward, norm, prepared, sketch
from bakeoff.comparisons.replay.recording import GOLD, GREEDY, SAMPLE, Recording, Row
from bakeoff.comparisons.replay.rollouts import TEMPERATURE
from bakeoff.comparisons.replay.updates import Twin, Update
from bakeoff.errors import UsageError
from bakeoff.streams import stream
from bakeoff.training.scoring import token_logps
from bakeoff.types import Algorithm, Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

REFERENCE = "reference"
"""The unbiased policy gradient: leave-one-out baseline, sum over a completion's tokens."""


class Piece(NamedTuple):
    """The samples of one gradient, and the gold replies to the same items."""

    samples: list[Row]
    gold: list[Row]


class Measured(NamedTuple):
    """One algorithm on one piece.

    Attributes:
        norm: of the gradient.
        completions: how many it was given.
        kept: the share of them that it learns from.
        generated: tokens that it has sampled for this, greedy replies included.
        learned: tokens that it learns from.
        update: what one optimiser step did.
    """

    norm: float
    completions: int
    kept: float
    generated: int
    learned: int
    update: Update


class Shown(NamedTuple):
    """The completions that an algorithm learns from, and the credit and weight of their tokens."""

    rows: list[Row]
    step: Batch | None


class Replay(NamedTuple):
    """What all algorithms make of one recording.

    Attributes:
        measured: by algorithm, one for each piece.
        gram: inner products of the gradients of all algorithms and of ``REFERENCE``.
        halves: whether the pieces are two halves of one replicate's items, and not replicates.
        first: the first piece.
        shown: by algorithm, what it learns from in the first piece.
    """

    measured: dict[str, list[Measured]]
    gram: Gram
    halves: bool
    first: Piece
    shown: dict[str, Shown]


def reference() -> Algorithm:
    """Return the estimator that others are compared to: unbiased for the expected reward."""
    return reinforce(baseline=leave_one_out, aggregate=sequence_sum)


def replay(
    recording: Recording,
    policy: PreTrainedModel,
    algorithms: Mapping[str, Algorithm],
    *,
    learning_rate: float,
    micro_batch: int,
    progress: Count,
) -> Replay:
    """Feed the recorded samples to each algorithm.

    Args:
        recording: the samples.
        policy: the model that wrote them; it is not changed.
        algorithms: by the names of the tables.
        learning_rate: AdamW step size of the update.
        micro_batch: completions in one backward pass.
        progress: told how many gradients are done.

    Raises:
        UsageError: nothing could be scored, or there are no gold replies for an algorithm that
            learns from them.
        FloatingPointError: a loss is not finite.
    """
    parts, halves = pieces(recording)
    player = _Player(recording, policy, learning_rate, micro_batch)
    measured: dict[str, list[Measured]] = {name: [] for name in algorithms}
    gradients: dict[str, list[Tensor]] = {name: [] for name in (*algorithms, REFERENCE)}
    shown: dict[str, Shown] = {}
    done, total = 0, len(parts) * len(algorithms)
    progress("gradients", 0, total)
    for piece in parts:
        gradients[REFERENCE].append(player.gradient(reference(), piece.samples).sketched_K)
        for name, algorithm in algorithms.items():
            found, counted = player.play(name, algorithm, piece)
            gradients[name].append(found.sketched_K)
            measured[name].append(counted)
            shown.setdefault(name, found.shown)
            done += 1
            progress("gradients", done, total)
    return Replay(measured, Gram(gradients), halves, parts[0], shown)


class _Gradient(NamedTuple):
    sketched_K: Tensor
    norm: float
    shown: Shown


class _Player:
    """Takes gradients on a copy of the policy, and steps along them."""

    def __init__(
        self,
        recording: Recording,
        policy: PreTrainedModel,
        learning_rate: float,
        micro_batch: int,
    ) -> None:
        self.recording, self.twin = recording, Twin(policy)
        self.device = str(policy.device)
        self.learning_rate, self.micro_batch = learning_rate, micro_batch

    def play(self, name: str, algorithm: Algorithm, piece: Piece) -> tuple[_Gradient, Measured]:
        """Take an algorithm's gradient on a piece, and one step along it."""
        if algorithm.on_gold and not piece.gold:
            raise UsageError(
                f"{name} learns from gold replies, and these items have none; leave it out with "
                "--algorithms"
            )
        try:
            found = self.gradient(algorithm, self.rows(algorithm, piece))
        except FloatingPointError as error:
            raise FloatingPointError(f"{name}: {error}") from error
        return found, self.measured(algorithm, piece, found)

    def rows(self, algorithm: Algorithm, piece: Piece) -> list[Row]:
        """Return what an algorithm is given: gold replies, or samples that have what it needs."""
        if algorithm.on_gold:
            return piece.gold
        if not algorithm.needs_greedy:
            return piece.samples
        with_baseline = {row.group for row in self.recording.of(GREEDY)}
        return [row for row in piece.samples if row.group in with_baseline]

    def gradient(self, algorithm: Algorithm, rows: list[Row]) -> _Gradient:
        """Leave an algorithm's gradient in the copy, and return what is kept of it."""
        batch = self.recording.batch(rows, self.device) if rows else None
        step = prepared(algorithm, batch) if batch is not None else None
        kept = [rows[row] for row in kept_rows(algorithm, batch)] if batch is not None else []
        backward(
            algorithm,
            step,
            lambda micro: token_logps(self.twin.model, micro, temperature=TEMPERATURE)[0],
            self.twin.parameters,
            micro_batch=self.micro_batch,
        )
        parameters = self.twin.parameters
        return _Gradient(sketch(parameters), norm(parameters), Shown(kept, step))

    def measured(self, algorithm: Algorithm, piece: Piece, found: _Gradient) -> Measured:
        """Step along the gradient that the copy holds, put the copy back, and count tokens."""
        rows = self.rows(algorithm, piece)
        generated = 0 if algorithm.on_gold else _tokens(piece.samples)
        if algorithm.needs_greedy:
            asked = {row.group for row in piece.samples}
            generated += _tokens([r for r in self.recording.of(GREEDY) if r.group in asked])
        return Measured(
            norm=found.norm,
            completions=len(rows),
            kept=len(found.shown.rows) / len(rows) if rows else 0.0,
            generated=generated,
            learned=_tokens(found.shown.rows),
            update=self.twin.step(
                self.recording.batch(piece.samples, self.device),
                self.learning_rate,
                temperature=TEMPERATURE,
                micro_batch=self.micro_batch,
            ),
        )


def pieces(recording: Recording) -> tuple[list[Piece], bool]:
    """Return the samples by replicate; of a single replicate, two halves of its items.

    Returns:
        The pieces, and whether they are halves.

    Raises:
        UsageError: nothing could be scored in one of them.
    """
    gold, settings = recording.of(GOLD), recording.settings
    if settings.replicates > 1:
        found = [Piece(recording.of(SAMPLE, r), gold) for r in range(settings.replicates)]
    else:
        items = list(range(settings.prompts))
        stream("replay halves", settings.seed).shuffle(items)
        halves = items[: len(items) // 2], items[len(items) // 2 :]
        rows = recording.of(SAMPLE)
        found = [
            Piece([r for r in rows if r.group in half], [r for r in gold if r.group in half])
            for half in map(set, halves)
        ]
    if not all(piece.samples for piece in found):
        raise UsageError("nothing that was sampled could be scored: see rollouts.jsonl for why")
    return found, settings.replicates == 1


def _tokens(rows: list[Row]) -> int:
    return sum(row.completion.sampled for row in rows)
