"""The critic of a recording: fitted to samples of the policy as it stands, then asked for values.

It stands for the critic that a run has after some updates of a policy that has not moved. Its
target is the reward at every token (gamma = lambda = 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bakeoff.algorithms.advantages import per_token
from bakeoff.algorithms.aggregation import token_mean
from bakeoff.comparisons.commands.working import Count
from bakeoff.training.batch import micro_batches, minibatches
from bakeoff.training.config import OptimizerConfig
from bakeoff.training.critics import Critic, separate
from bakeoff.training.optimizer import adamw
from bakeoff.training.statistics import critic_metrics
from bakeoff.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

STEPS = 2
"""Optimiser steps on each batch, as many as a run's default."""


def fitted(
    policy: PreTrainedModel,
    batches: Sequence[Batch],
    *,
    learning_rate: float,
    micro_batch: int,
    seed: int,
    progress: Count,
) -> Critic:
    """Return a critic that has seen each batch once, ``1/2 mean_t (V - R)^2`` its loss.

    Args:
        policy: whose transformer the critic starts from; it is not changed.
        batches: scored samples.
        learning_rate: AdamW step size.
        micro_batch: completions in one backward pass.
        seed: of the order within a batch.
        progress: told how many batches are done.
    """
    critic = separate(policy).eval()
    config = OptimizerConfig()
    optimizer = adamw(critic.parameters(), learning_rate, config)
    progress("fitting the critic", 0, len(batches))
    for number, batch in enumerate(batches):
        for mini in minibatches(batch, STEPS, "replay critic", seed, number):
            step = mini._replace(weight_BT=token_mean(mini.mask_BT, mini.limit_B))
            for micro in micro_batches(step, micro_batch):
                assert micro.weight_BT is not None
                error_BT = critic(micro) - per_token(micro.reward_B, micro.mask_BT)
                (0.5 * micro.weight_BT * error_BT**2).sum().backward()
            torch.nn.utils.clip_grad_norm_(critic.parameters(), config.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        progress("fitting the critic", number + 1, len(batches))
    return critic


@torch.no_grad()
def values(critic: Critic, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the critic's value before each token, ``value_BT``, and after the last, ``end_B``."""
    return critic.read(critic.states(batch), batch)


def explained_variance(batch: Batch) -> float | None:
    """Return ``1 - Var(R - V) / Var(R)`` over tokens; None if all rewards are the same."""
    return_BT = per_token(batch.reward_B, batch.mask_BT)
    return critic_metrics(batch._replace(return_BT=return_BT)).get("explained_variance")
