"""How the models of a run pass over a batch: in which numbers, how much at a time, what is held."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from bakeoff.training.activations import recomputing, tokens_that_fit
from bakeoff.training.config import TrainConfig
from bakeoff.training.devices.sharding import through
from bakeoff.training.devices.shares import share, whole
from bakeoff.training.devices.world import World
from bakeoff.training.precision import passes_in
from bakeoff.training.scoring import States, logps_and_states
from bakeoff.training.steps import Losses, backward, clipped
from bakeoff.types import Batch, Metrics

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Passing:
    """Forward and backward passes as a configuration has them.

    Attributes:
        temperature: of the distribution that completions were drawn from.
        tokens: how many of them make a backward pass at a time, at most.
    """

    def __init__(self, config: TrainConfig, policy: PreTrainedModel, world: World) -> None:
        """Pass as ``config`` says, on the ranks of a world.

        Other models are of the policy's size at most.
        """
        self.config, self.policy, self.world = config, policy, world
        self.temperature = config.sampling.temperature or 1.0
        self.tokens = math.inf

    def in_numbers(self) -> AbstractContextManager[None]:
        """Make the forward passes within in the numbers of the run."""
        return passes_in(self.config.precision, self.policy.device)

    @contextmanager
    def learning(self, backbone: Any) -> Iterator[None]:
        """Make the forward passes of a transformer within that a backward pass follows."""
        with self.in_numbers():
            if self.config.recompute == "none":
                yield
                return
            with recomputing(backbone):
                yield

    def bound(self, batch: Batch) -> None:
        """See how many tokens of a batch's kind fit, if activations are bounded; once for a run."""
        gib = self.config.activation_gib
        if gib is not None and math.isinf(self.tokens):
            again = self.config.recompute != "none"
            with self.in_numbers():
                self.tokens = tokens_that_fit(self.policy, batch, gib * 2**30, again=again)

    def logps(
        self, model: PreTrainedModel, batch: Batch, *, after: bool = False
    ) -> tuple[Tensor, Tensor, States]:
        """Return log-probabilities, entropies and states; see ``logps_and_states``."""
        made = functools.partial(logps_and_states, model, batch, after=after)
        return through(model, lambda: made(temperature=self.temperature))

    def policy_logps(self, batch: Batch) -> tuple[Tensor]:
        """Return the policy's log-probabilities alone."""
        return self.logps(self.policy, batch)[:1]

    def in_pieces(
        self, batch: Batch, forward: Callable[[Batch], tuple[Tensor, ...]]
    ) -> list[Tensor]:
        """Return what a forward pass without gradient says of a batch, piece by piece.

        Each rank passes over its share of the rows, and all over as many pieces, since shards of
        weights meet in each pass.
        """
        n, size = len(batch.reward_B), self.config.micro_batch
        own = share(n, self.world)
        rows = torch.arange(n, device=batch.reward_B.device)
        cuts = [r for r in torch.split(rows[own], size) if len(r)]
        most = math.ceil(math.ceil(n / self.world.size) / size)
        spare = [rows[:1]] * (most - len(cuts))
        with torch.no_grad(), self.in_numbers():
            pieces = [forward(batch.rows(r)) for r in [*cuts, *spare]]
        columns = [torch.cat(column) for column in zip(*pieces, strict=True)]
        return whole(self.world, n, own, [column[: len(rows[own])] for column in columns])

    def clipped(self, optimizer: Optimizer, name: str) -> float:
        """Add up a gradient over ranks and shorten it; see ``bakeoff.training.steps.clipped``."""
        return clipped(optimizer, self.config.optimizer.max_grad_norm, name, self.world)

    def backward(
        self,
        mini: Batch,
        losses_of: Callable[[Batch], tuple[Losses, Metrics]],
        *,
        value_coef: float = 1.0,
    ) -> Metrics:
        """Add up the gradients of an optimiser step; see ``bakeoff.training.steps.backward``."""
        return backward(
            mini,
            self.config.micro_batch,
            losses_of,
            value_coef=value_coef,
            tokens=self.tokens,
            world=self.world,
            evenly=self.config.sharding == "full",
        )
