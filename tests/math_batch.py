"""Batches small enough to do their arithmetic by hand, and what an update makes of them."""

from __future__ import annotations

import torch
from torch import Tensor

from bakeoff.algorithms import ALGORITHMS
from bakeoff.algorithms.stages import credited, kept_rows, weighted
from bakeoff.types import Algorithm, Batch

PRESETS = [
    *ALGORITHMS,
    "reinforce:baseline=leave_one_out:aggregate=sequence_constant",
    "reinforce++:gamma=0.9:kl_coef=0.1",
    "reinforce++-baseline:kl_coef=0.1",
    "rloo:kl_coef=0.1",
    "grpo:kl_coef=0.1:kl=k3_weighted",
    "dapo:drop_truncated=true",
    "ppo:gamma=0.9:lam=0.8:bootstrap=true:kl_coef=0.1",
]
"""Every algorithm that ships as it comes, and the options that add a term or a branch."""


def example_batch() -> Batch:
    """Two groups of two completions; lengths 3, 2, 1, 3; rewards 1, 0 | 1, .5."""
    mask_BT = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]], dtype=torch.float)
    values = [[0.1, 0.2, 0.3], [0.4, 0.5, 9.0], [0.6, 9.0, 9.0], [0.7, 0.8, 0.9]]
    return Batch(
        prompt_BP=torch.zeros(4, 2, dtype=torch.long),
        prompt_mask_BP=torch.ones(4, 2),
        token_BT=torch.zeros(4, 3, dtype=torch.long),
        mask_BT=mask_BT,
        logp_old_BT=torch.log(torch.tensor(0.5)) * mask_BT,
        reward_B=torch.tensor([1.0, 0.0, 1.0, 0.5]),
        group_B=torch.tensor([0, 0, 1, 1]),
        truncated_B=torch.zeros(4),
        limit_B=torch.full((4,), 4.0),
        value_BT=torch.tensor(values),
        value_end_B=torch.full((4,), 0.5),
        logp_ref_BT=torch.log(torch.tensor(0.4)) * mask_BT,
        greedy_reward_B=torch.full((4,), 0.5),
    )


def random_batch(seed: int, *, groups: int = 2, size: int = 3, tokens: int = 5) -> Batch:
    """A batch in float64 with observations in between, and every other completion cut.

    The first completion is right and the second wrong, so that the first group has spread; the last
    one has no token that counts if the seed is odd.
    """
    generator = torch.Generator().manual_seed(seed)
    b = groups * size

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    mask_BT = (torch.rand(b, tokens, generator=generator) < 0.7).double()
    mask_BT[:2, 0] = 1
    if seed % 2:
        mask_BT[-1] = 0
    reward_B = torch.tensor([0.0, 0.25, 1.0]).double()[torch.randint(3, (b,), generator=generator)]
    reward_B[0], reward_B[1] = 1, 0
    return Batch(
        prompt_BP=torch.zeros(b, 1, dtype=torch.long),
        prompt_mask_BP=torch.ones(b, 1),
        token_BT=torch.zeros(b, tokens, dtype=torch.long),
        mask_BT=mask_BT,
        logp_old_BT=-normal(b, tokens).abs(),
        reward_B=reward_B,
        group_B=torch.arange(groups).repeat_interleave(size),
        truncated_B=(torch.arange(b) % 2).double(),
        limit_B=torch.full((b,), tokens + 3.0, dtype=torch.float64),
        value_BT=normal(b, tokens),
        value_end_B=normal(b),
        logp_ref_BT=-normal(b, tokens).abs(),
        greedy_reward_B=torch.full((b,), 0.25, dtype=torch.float64),
    )


def moved(batch: Batch) -> Tensor:
    """Log-probabilities after a step, some of them beyond every clip."""
    return batch.logp_old_BT + torch.linspace(-1, 1, batch.mask_BT.numel()).double().reshape(
        batch.mask_BT.shape
    )


def step_of(algorithm: Algorithm, batch: Batch) -> Batch:
    """The batch as its losses see it: credit, weights and imitation, of one optimiser step."""
    return weighted(algorithm, credited(algorithm, batch))


def policy_gradient(algorithm: Algorithm, batch: Batch, logp_BT: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of one whole step, and its gradient ``grad_BT``: 0 of rows that were not kept."""
    rows_B = kept_rows(algorithm, batch)
    leaf_BT = logp_BT.detach().clone().requires_grad_()
    loss, _ = algorithm.policy_loss(step_of(algorithm, batch.rows(rows_B)), leaf_BT[rows_B])
    (grad_BT,) = torch.autograd.grad(loss, leaf_BT)
    return loss.detach(), grad_BT


def value_gradient(algorithm: Algorithm, batch: Batch, value_BT: Tensor) -> tuple[Tensor, Tensor]:
    """The critic's loss of one whole step, and its gradient with respect to the new values."""
    assert algorithm.critic is not None
    leaf_BT = value_BT.detach().clone().requires_grad_()
    loss, _ = algorithm.critic.loss(step_of(algorithm, batch), leaf_BT)
    (grad_BT,) = torch.autograd.grad(loss, leaf_BT)
    return loss.detach(), grad_BT
