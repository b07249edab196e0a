"""Learners with a critic of every kind, and what is compared of them."""

from __future__ import annotations

import torch
from small_world import small_config, small_model

from bakeoff.algorithms import make
from bakeoff.training.learner import Learner
from bakeoff.training.ledger import Ledger

KINDS = ["separate", "shared", "lora"]
EVERY = [*((kind, {}) for kind in KINDS), *((kind, {"lora_rank": 4}) for kind in KINDS)]
"""Kinds of critic, beside a policy whose weights all train and beside a LoRA."""


def learner_with(kind: str, extra: str = "", **knobs: object) -> Learner:
    config = small_config(minibatches=1, **knobs)
    return Learner(small_model(1), make(f"ppo:critic={kind}{extra}"), config, Ledger())


def awake(learner: Learner) -> Learner:
    """The learner with a head that is not zero, so that values differ and gradients pass it."""
    assert learner.critic is not None
    torch.nn.init.normal_(
        learner.critic.head.weight, generator=torch.Generator().manual_seed(0), std=0.3
    )
    return learner


def copies(parameters: object) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in parameters]  # type: ignore[attr-defined]


def equal(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))
