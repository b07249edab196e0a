"""Floating-point operations of transformer passes, by formula.

A forward pass costs ``2 N`` a token for the ``N`` weights of matrix products (embeddings are looked
up, not multiplied), ``2 V H`` a token whose logits are computed, and ``4 L D`` per pair of tokens
that attend (``L`` layers, ``D`` the width of all query heads); a backward pass costs twice that
(https://arxiv.org/abs/2001.08361, section 2.1). Padding is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.types import Algorithm

if TYPE_CHECKING:
    from transformers import PreTrainedModel

METHOD = "analytic"


@dataclass(frozen=True)
class FlopModel:
    """The sizes that the formula needs."""

    body_weights: int
    head_weights: int
    attention_width: int
    linear_sides: int

    def adapter(self, tokens: int) -> int:
        """FLOPs of ``tokens`` through an adapter of rank 1 beside every matrix."""
        return 2 * self.linear_sides * tokens

    def forward(self, prompt: int, completion: int, logits: int) -> int:
        """FLOPs of a sequence of ``prompt + completion`` tokens, ``logits`` of them with logits."""
        tokens = prompt + completion
        pairs = tokens * (tokens + 1) // 2
        return (
            2 * self.body_weights * tokens
            + 2 * self.head_weights * logits
            + 4 * self.attention_width * pairs
        )


def flop_model(model: PreTrainedModel) -> FlopModel:
    """Read the sizes off a transformers model; those of adapters in it are not counted."""
    config = model.config.get_text_config()
    embedding = model.get_input_embeddings().weight
    matrices = [
        weight
        for name, weight in model.base_model.named_parameters()
        if weight.dim() >= 2 and weight is not embedding and "lora_" not in name
    ]
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return FlopModel(
        body_weights=sum(weight.numel() for weight in matrices),
        head_weights=embedding.numel(),
        attention_width=config.num_hidden_layers * config.num_attention_heads * head_dim,
        linear_sides=sum(sum(weight.shape[-2:]) for weight in matrices),
    )


class Passes(NamedTuple):
    """What learning from a completion costs in one phase of an update, in forward passes.

    Attributes:
        policy: passes with logits, of the policy and the reference.
        critic: passes without.
        adapter: passes through an adapter, times its rank.
    """

    policy: int = 0
    critic: int = 0
    adapter: int = 0


def passes(
    algorithm: Algorithm,
    update: int,
    *,
    rank: int = 0,
    critic_rank: int = 0,
    silent: bool = False,
) -> dict[str, Passes]:
    """Return what the phases of an update cost for each completion that it learns from.

    A backward pass is two forward ones, for the gradients of the activations and of the weights;
    frozen weights under an adapter save the second. A head costs next to nothing, so a critic that
    is one costs the pass before the update, and a pass for each step in which it learns alone.

    Args:
        algorithm: whose update it is.
        update: which one, 0 for the first: the first may be the critic's alone.
        rank: of the policy's adapter on frozen weights; 0 if all of its weights train.
        critic_rank: of the critic's, if that is one.
        silent: whether the completion makes no backward pass of the policy (``Batch.silent_B``).

    Example:
        >>> from bakeoff.algorithms import make
        >>> for phase, cost in passes(make("ppo:epochs=2"), 0).items():
        ...     print(phase, *cost)
        values 0 1 0
        update_policy 6 0 0
        update_critic 0 6 0
    """
    plan, epochs = algorithm.critic, algorithm.epochs
    alone = plan is not None and update < plan.warmup
    found: dict[str, Passes] = {}
    if plan is not None:
        beside = {"separate": 0, "shared": rank, "lora": critic_rank}[plan.kind]
        found["values"] = Passes(critic=1, adapter=beside)
    if algorithm.needs_reference:
        found["ref_logprob"] = Passes(policy=1)
    if algorithm.mismatch is not None:
        found["old_logprob"] = Passes(policy=1, adapter=rank)
    if not alone:
        each = 1 if silent else 2 if rank else 3
        again = 1 if silent else 3
        found["update_policy"] = Passes(policy=each * epochs, adapter=again * rank * epochs)
    if plan is not None:
        step, adapted = {"separate": (3, 0), "shared": (int(alone),) * 2, "lora": (2, 3)}[plan.kind]
        found["update_critic"] = Passes(critic=step * epochs, adapter=adapted * beside * epochs)
    return found
