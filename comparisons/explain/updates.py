"""One algorithm's gradient on a batch, and what a step along it does to the policy.

The steps are made on copies: the policy that sampled stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from bakeoff.algorithms.stages import corrected, credited, kept_rows, weighted
from bakeoff.training import critics
from bakeoff.training.config import OptimizerConfig
from bakeoff.training.optimizer import adamw
from bakeoff.training.scoring import token_logps
from bakeoff.types import Algorithm, Batch, CriticPlan, Metrics

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CRITIC_STEPS, CRITIC_RATE = 40, 1e-3
"""How a critic is fitted to the replies before it judges them: AdamW steps and their size."""


class Lesson(NamedTuple):
    """What an algorithm learns from, in one optimiser step.

    Attributes:
        batch: the completions that it keeps, with credit and weights.
        row_B: which rows of the samples they are, or of the gold replies.
        on_gold: whether they are gold replies.
    """

    batch: Batch
    row_B: Tensor
    on_gold: bool


class Step(NamedTuple):
    """What the loss says of a batch just before an optimiser step.

    Attributes:
        logp_BT: the log-probabilities of its tokens.
        pull_BT: minus the gradient of the loss with respect to them: what the step is asked to do.
        sums: the loss's metrics, sums over tokens.
    """

    logp_BT: Tensor
    pull_BT: Tensor
    sums: Metrics


def lesson(
    algorithm: Algorithm, samples: Batch, golds: Batch | None, policy: PreTrainedModel
) -> Lesson | None:
    """Return what an algorithm makes of some samples; ``None`` if it learns from none of them.

    A reference model is the policy itself, as at the start of a run. A critic is a new one, fitted
    to the scores of these very replies: at the start of a run it would know nothing.

    Args:
        algorithm: what assigns the credit.
        samples: the completions, all of the policy.
        golds: the gold replies to the same items, for an algorithm that learns from them.
        policy: the policy that sampled; it is not changed.
    """
    batch = golds if algorithm.on_gold else samples
    if batch is None:
        return None
    row_B = kept_rows(algorithm, batch)
    if not len(row_B):
        return None
    batch = batch.rows(row_B)
    logp_BT = token_logps(policy, batch)[0].detach()
    if algorithm.needs_reference:
        batch = batch._replace(logp_ref_BT=logp_BT)
    batch = corrected(algorithm, batch, logp_BT)
    if algorithm.critic is not None:
        batch = fitted_values(batch, policy, algorithm.critic)
    batch = weighted(algorithm, credited(algorithm, batch))
    return Lesson(batch, row_B, algorithm.on_gold)


def fitted_values(batch: Batch, policy: PreTrainedModel, plan: CriticPlan) -> Batch:
    """Return the batch with the values of a critic that was fitted to its scores.

    A critic of its own is fitted, whatever the plan's kind: the kinds differ in memory. A reply
    that was sampled several times is passed through it once, and counted as often.
    """
    critic = critics.separate(policy).eval()
    optimizer = adamw(critic.parameters(), CRITIC_RATE, OptimizerConfig())
    ids_BS = torch.cat([batch.prompt_BP, batch.token_BT], 1)
    _, kind_B, copies_K = torch.unique(ids_BS, dim=0, return_inverse=True, return_counts=True)
    first_K = torch.stack([(kind_B == kind).nonzero()[0, 0] for kind in range(len(copies_K))])
    different = batch.rows(first_K)
    different = different._replace(
        return_BT=different.reward_B[:, None] * different.mask_BT,
        weight_BT=copies_K[:, None] * different.mask_BT / batch.mask_BT.sum(),
    )
    for _ in range(CRITIC_STEPS):
        value_BT = critic(different)
        loss, _ = plan.loss(different._replace(value_BT=value_BT.detach()), value_BT)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        value_BT, value_end_B = critic.read(critic.states(batch), batch)
    return batch._replace(value_BT=value_BT, value_end_B=value_end_B)


def pulled(algorithm: Algorithm, batch: Batch, logp_BT: Tensor) -> tuple[Tensor, Metrics]:
    """Return ``pull_BT``, minus the gradient of the policy loss by log-probability, and its sums.

    Example:
        >>> from bakeoff.algorithms.sft import sft
        >>> ones = torch.ones(1, 2)
        >>> batch = Batch(*[ones] * 9, weight_BT=ones / 2)
        >>> pulled(sft(), batch, torch.zeros(1, 2))[0].tolist()
        [[0.5, 0.5]]
    """
    logp_BT = logp_BT.detach().requires_grad_()
    loss, sums = algorithm.policy_loss(batch, logp_BT)
    (grad_BT,) = torch.autograd.grad(loss, logp_BT)
    return -grad_BT, sums


def gradient(algorithm: Algorithm, batch: Batch, policy: PreTrainedModel) -> Tensor:
    """Return the gradient of the policy loss by all of the policy's weights, as one vector.

    That of a batch without rows is 0.
    """
    parameters = list(policy.parameters())
    if not len(batch.reward_B):
        return torch.zeros(sum(p.numel() for p in parameters))
    logp_BT, _ = token_logps(policy, batch)
    pull_BT, _ = pulled(algorithm, batch, logp_BT)
    return parameters_to_vector(torch.autograd.grad(logp_BT, parameters, -pull_BT))


def moved_by(policy: PreTrainedModel, gradient: Tensor, norm: float) -> PreTrainedModel:
    """Return a copy of the policy, moved against a gradient by a distance of ``norm``.

    A gradient of 0 moves nothing.
    """
    moved = copy.deepcopy(policy)
    length = gradient.norm()
    if length > 0:
        vector = parameters_to_vector(policy.parameters()).detach()
        vector_to_parameters(vector - norm / length * gradient, moved.parameters())
    return moved


def adamw_steps(
    algorithm: Algorithm, batch: Batch, policy: PreTrainedModel, learning_rate: float
) -> Iterator[Step]:
    """Make AdamW steps on one batch for as long as they are asked for; the policy is moved.

    The optimiser is that of training, and gradients are shortened to a norm of 1 as there.
    """
    config = OptimizerConfig()
    optimizer = adamw(policy.parameters(), learning_rate, config)
    while True:
        logp_BT, _ = token_logps(policy, batch)
        pull_BT, sums = pulled(algorithm, batch, logp_BT)
        yield Step(logp_BT.detach(), pull_BT, sums)
        optimizer.zero_grad()
        logp_BT.backward(-pull_BT)  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)
        optimizer.step()
