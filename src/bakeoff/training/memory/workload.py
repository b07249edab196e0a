"""What a run does that its memory depends on: which models, how many tokens at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.training.memory.sizes import ModelSizes
from bakeoff.training.memory.spread import Spread

if TYPE_CHECKING:
    from bakeoff.training.config import TrainConfig
    from bakeoff.types import Algorithm


@dataclass(frozen=True)
class Needs:
    """What an algorithm asks for beside the policy.

    Attributes:
        critic: its kind: ``separate``, ``shared`` or ``lora``; empty: none.
        reference: whether it needs log-probabilities of the initial policy.
        corrected: whether the policy reads the batch once more before the update.
        on_gold: whether it learns from gold replies, one for each item.
        min_group_size: how many completions of one item it needs.
    """

    critic: str = ""
    reference: bool = False
    corrected: bool = False
    on_gold: bool = False
    min_group_size: int = 1

    @classmethod
    def of(cls, algorithm: Algorithm) -> Needs:
        """Return what an algorithm asks for."""
        return cls(
            critic="" if algorithm.critic is None else algorithm.critic.kind,
            reference=algorithm.needs_reference,
            corrected=algorithm.mismatch is not None,
            on_gold=algorithm.on_gold,
            min_group_size=algorithm.min_group_size,
        )


@dataclass(frozen=True)
class Lengths:
    """The tokens of prompts and completions.

    Attributes:
        prompt: of a prompt, the mean.
        longest_prompt: of the longest one.
        completion: of a completion that is as long as it may be.
    """

    prompt: float
    longest_prompt: int
    completion: int


@dataclass(frozen=True)
class Machine:
    """Where a run computes.

    Attributes:
        cpu: whether on a CPU, by oneDNN.
        bf16: whether oneDNN multiplies in bf16 there.
        baseline: bytes of the process before it has a model.
    """

    cpu: bool = True
    bf16: bool = False
    baseline: int = 0


@dataclass(frozen=True)
class Run:
    """A run that has not been made.

    Attributes:
        sizes: of its model.
        needs: of its algorithm.
        config: its settings.
        lengths: of prompts and completions.
        machine: where it computes.
        elsewhere: whether completions are written on other devices.
    """

    sizes: ModelSizes
    needs: Needs
    config: TrainConfig
    lengths: Lengths
    machine: Machine = field(default_factory=Machine)
    elsewhere: bool = False

    @property
    def spread(self) -> Spread:
        """Over how many devices it is; what is foretold is of the one that holds the most."""
        return Spread(self.config.processes, self.config.sharding)

    @property
    def rank(self) -> int:
        """The rank of the policy's adapter; 0: all of its weights train."""
        return self.config.lora.lora_rank

    @property
    def item(self) -> int:
        """The bytes of a weight's number."""
        return 2 if self.config.precision == "bf16" else 4


class Piece(NamedTuple):
    """What passes at a time.

    Attributes:
        tokens: that are read, prompts included.
        counted: of these, those that have logits.
        alone: whether it is all that this device has of an optimiser step.
        prompts: that are read.
    """

    tokens: int
    counted: int
    alone: bool
    prompts: int


def backward_piece(
    config: TrainConfig,
    needs: Needs,
    lengths: Lengths,
    *,
    after: bool,
    most: float = math.inf,
) -> Piece:
    """Return the largest piece that makes a backward pass, if no completion ends early.

    An optimiser step gets its share of the completions, dealt at random, so that nearly all prompts
    are in each; a micro-batch keeps those of a prompt together. Of several processes each has its
    share of the step.

    Args:
        config: of the run.
        needs: of the algorithm.
        lengths: of prompts and completions.
        after: whether the last token of a completion is read itself, which a critic asks for.
        most: tokens at a time, unless one completion has more.

    Example:
        >>> from bakeoff.training.config import TrainConfig
        >>> config = TrainConfig(prompts_per_update=4, group_size=8, minibatches=2)
        >>> backward_piece(config, Needs(), Lengths(10, 10, 5), after=False)
        Piece(tokens=104, counted=80, alone=True, prompts=4)
    """
    prompts = config.prompts_per_update
    group = 1 if needs.on_gold else config.group_size
    step = math.ceil(prompts * group / config.minibatches)
    own = math.ceil(step / config.processes)
    rows = min(own, config.micro_batch)
    asked = min(prompts, rows)
    if rows < step:
        asked = min(asked, math.ceil(rows / max(1.0, group / config.minibatches)) + 1)
    read = lengths.completion if after else lengths.completion - 1
    tokens = asked * lengths.prompt + rows * read
    if tokens > most:
        alone = lengths.prompt + read
        share = max(alone, most) / tokens
        tokens, rows = max(alone, most), max(1, math.ceil(rows * share))
    return Piece(math.ceil(tokens), rows * lengths.completion, rows == own, asked)


def forward_piece(config: TrainConfig, lengths: Lengths, needs: Needs, *, after: bool) -> Piece:
    """Return the largest piece of a pass without gradient over a process's share of the batch."""
    group = 1 if needs.on_gold else config.group_size
    batch = math.ceil(config.prompts_per_update * group / config.processes)
    rows = min(batch, config.micro_batch)
    asked = min(config.prompts_per_update, math.ceil(rows / group))
    read = lengths.completion if after else lengths.completion - 1
    tokens = asked * lengths.prompt + rows * read
    return Piece(math.ceil(tokens), rows * lengths.completion, rows == batch, asked)
