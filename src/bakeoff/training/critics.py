"""Critics: what a completion is expected to earn, before each of its tokens and after the last.

A critic is a linear head on the last hidden states of a transformer, its backbone:

    separate   a copy of the policy's, all of it trained
    shared     the policy's own: one forward pass gives log-probabilities and values
    lora       the initial weights, frozen, with a low-rank adapter that is trained

A copy of the initial weights that is there anyway serves ``lora`` too: the base of a LoRA policy,
or the reference model. The head is fp32 and starts at zero, so every value is 0 at first and the
first advantages are the plain returns; a bf16 head could not tell values near 1 apart.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bakeoff.training import adapters
from bakeoff.training.batch import last_counted
from bakeoff.training.devices.sharding import through
from bakeoff.training.scoring import States, read
from bakeoff.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADAPTER = "critic"
"""The name of a critic's adapter."""


class Critic(nn.Module):
    """A value head and the hidden states that it reads.

    Attributes:
        head: from a hidden state to a value.
        transformer: returns what the hidden states are of, which need not be the critic's own.
        backbone: the transformer, if it is the critic's own.
        adapter: the parameters of its adapter, if it has one.
    """

    def __init__(
        self,
        states: Callable[[Batch], States],
        transformer: Callable[[], PreTrainedModel],
        *,
        backbone: nn.Module | None = None,
        adapter: Sequence[nn.Parameter] = (),
    ) -> None:
        """Put a head of zeros on hidden states.

        Args:
            states: the last hidden states of a transformer over a batch.
            transformer: returns that transformer.
            backbone: the same, if it belongs to this critic alone.
            adapter: those of its parameters that train, if they are an adapter.
        """
        super().__init__()
        self.states, self.transformer = states, transformer
        self.backbone = backbone
        self.adapter = nn.ParameterList(adapter)
        like = transformer()
        hidden_size = like.config.get_text_config().hidden_size
        self.head = nn.Linear(hidden_size, 1, dtype=torch.float32).to(like.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: Batch) -> Tensor:
        """Return ``value_BT``: the expected score just before each token is written."""
        return self.values(batch)[0]

    def values(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return ``value_BT``, and ``value_end_B``: the value after the last counted token."""
        return self.read(self.states(batch), batch)

    def read(self, states: States, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return ``value_BT`` and ``value_end_B`` of states that are there already.

        Args:
            states: the last hidden states over the batch.
            batch: what they are the states of.
        """
        mask_BT = batch.mask_BT
        with torch.autocast(mask_BT.device.type, enabled=False):  # the head is fp32 in all
            value_N = self.head(states.hidden_NH.float())[:, 0]
        value_BU = value_N[states.state_BU]
        last_B1 = last_counted(mask_BT)[:, None]
        value_end_B: Tensor = value_BU.gather(1, last_B1)[:, 0]
        return value_BU[:, :-1] * mask_BT, value_end_B


def separate(policy: PreTrainedModel, copied: Callable[[Any], Any] = copy.deepcopy) -> Critic:
    """Return a critic on a copy of the policy's transformer; the policy has no adapter yet."""
    backbone = copied(policy.base_model).requires_grad_(True)

    def states(batch: Batch) -> States:
        return through(backbone, lambda: read(policy, batch, backbone=backbone))

    return Critic(states, lambda: backbone, backbone=backbone)


def shared(policy: PreTrainedModel) -> Critic:
    """Return a head on the policy's own transformer.

    Called by itself it gives no gradient to the transformer: only the head learns from it, as in
    the warm-up. In a step of the policy it reads the states that the policy's pass has made.
    """

    @torch.no_grad()
    def states(batch: Batch) -> States:
        return through(policy, lambda: read(policy, batch))

    return Critic(states, lambda: policy.base_model)


def low_rank(
    policy: PreTrainedModel,
    base: PreTrainedModel | None,
    *,
    rank: int,
    alpha: float,
    seed: int,
) -> Critic:
    """Return a critic that is an adapter on frozen initial weights.

    Args:
        policy: the policy, which has not moved yet.
        base: a model that holds the initial weights, frozen; if there is none, the policy's
            transformer is copied.
        rank, alpha, seed: of the adapter; see ``bakeoff.training.adapters.add``.

    Raises:
        ModelError: peft is not installed.
    """
    backbone = None
    if base is None:
        base = backbone = copy.deepcopy(policy.base_model).requires_grad_(False)
    adapters.add(base, ADAPTER, rank=rank, alpha=alpha, seed=seed)

    def states(batch: Batch) -> States:
        with adapters.using(base, ADAPTER):
            return read(policy, batch, backbone=base.base_model)

    adapter = adapters.parameters(base, ADAPTER)
    return Critic(states, lambda: base.base_model, backbone=backbone, adapter=adapter)
