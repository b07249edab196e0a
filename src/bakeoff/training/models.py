"""The models of a run: which there are, what of them trains, and which copies are needed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, nn

from bakeoff.algorithms.manifest import KINDS
from bakeoff.errors import unknown
from bakeoff.training import adapters
from bakeoff.training.config import LoraConfig, OptimizerConfig
from bakeoff.training.critics import Critic, low_rank, separate, shared
from bakeoff.training.devices.replicas import check_replicas
from bakeoff.training.devices.world import World
from bakeoff.types import Algorithm

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADAPTER = "policy"
"""The name of a LoRA policy's adapter."""

CRITIC_RANK = 16
"""The rank of a LoRA critic beside a policy whose weights all train."""

LORA_RATE = 10.0
"""How much higher the learning rate of a LoRA is than that of all weights.

Schulman et al., "LoRA Without Regret" (https://thinkingmachines.ai/blog/lora/, 2025).
"""


class Models(NamedTuple):
    """The models of one run.

    Attributes:
        policy: the model that is trained: all of it, or an adapter in it.
        critic: a value model, if the algorithm has a value loss.
        reference: a frozen copy of the initial policy, if the algorithm needs one and the base of a
            LoRA policy is not that already.
    """

    policy: PreTrainedModel
    critic: Critic | None
    reference: PreTrainedModel | None

    def held(self) -> dict[str, list[nn.Parameter]]:
        """Return the parameters of each model; every parameter is of one of them only.

        A critic's adapter may sit on the policy's or the reference's layers: it is the critic's.
        """
        critic = list(self.critic.parameters()) if self.critic is not None else []
        own = {id(parameter) for parameter in critic}

        def others(model: nn.Module | None) -> list[nn.Parameter]:
            return [p for p in model.parameters() if id(p) not in own] if model is not None else []

        return {
            "policy": others(self.policy),
            "critic": critic,
            "reference": others(self.reference),
        }

    def check_alike(self, world: World) -> None:
        """Check that all ranks begin with the same numbers.

        Raises:
            UsageError: one has others than rank 0.
        """
        buffers = {"policy's buffers": self.policy.buffers()}
        parts: dict[str, Iterable[Tensor]] = {**self.held(), **buffers}
        check_replicas(parts, world, "other initial numbers", "give all processes the same model")


def models(
    policy: PreTrainedModel,
    algorithm: Algorithm,
    lora: LoraConfig,
    seed: int,
    copied: Callable[[Any], Any] = copy.deepcopy,
) -> Models:
    """Return what a run needs beside a policy, which is set up in place.

    Args:
        policy: the initial policy.
        algorithm: says what it needs.
        lora: of the policy.
        seed: the experiment's.
        copied: makes the reference and a separate critic of the policy, or of a part of it.

    Raises:
        UsageError: the algorithm's critic is of no known kind.
        ModelError: a LoRA is asked for, and peft is not installed.
    """
    kind = algorithm.critic.kind if algorithm.critic is not None else None
    if kind is not None and kind not in KINDS:
        raise unknown("kind of critic", kind, KINDS)
    reference = None
    if algorithm.needs_reference and not lora.lora_rank:
        reference = copied(policy).requires_grad_(False)
    critic = (
        separate(policy, copied) if kind == "separate" else None
    )  # copied before there is an adapter
    policy.requires_grad_(True)
    if lora.lora_rank:
        adapters.add(policy, ADAPTER, rank=lora.lora_rank, alpha=lora.alpha, seed=seed)
    if kind == "shared":
        critic = shared(policy)
    if kind == "lora":
        critic = low_rank(
            policy,
            policy if lora.lora_rank else reference,
            rank=lora.lora_rank or CRITIC_RANK,
            alpha=lora.alpha or 2.0 * CRITIC_RANK,
            seed=seed,
        )
    return Models(policy, critic, reference)


def learning_rates(
    optimizer: OptimizerConfig, lora: LoraConfig, algorithm: Algorithm
) -> tuple[float, float]:
    """Return the learning rates of policy and critic.

    The critic's is the policy's by default, times ten for a LoRA critic beside a policy whose
    weights all train, and a tenth of it the other way round.

    Example:
        >>> from bakeoff.algorithms import make
        >>> optimizer = OptimizerConfig(learning_rate=0.25)
        >>> learning_rates(optimizer, LoraConfig(), make("ppo:critic=lora"))
        (0.25, 2.5)
    """
    rate, critic_rate = optimizer.learning_rate, optimizer.critic_learning_rate
    assert rate is not None, "the caller resolves the model's default learning rate"
    if critic_rate is None:
        critic_rate = rate
        kind = algorithm.critic.kind if algorithm.critic is not None else None
        if kind == "lora" and not lora.lora_rank:
            critic_rate = rate * LORA_RATE
        if kind == "separate" and lora.lora_rank:
            critic_rate = rate / LORA_RATE
    return rate, critic_rate
