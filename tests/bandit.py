"""A bandit as a batch: one item, replies of one token, every outcome of a batch enumerated exactly.

The policy is a softmax over ``K`` arms, ``logits_K``; a batch is ``G`` completions of one item. The
gradient of an algorithm's loss is taken by the same code as that of a language model's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bakeoff.comparisons.replay.gradients import backward, prepared
from bakeoff.types import Algorithm, Batch


class Bandit:
    """Arms with rewards, and a policy that pulls them."""

    def __init__(self, probabilities: Sequence[float], rewards: Sequence[float]) -> None:
        self.probability_K = torch.tensor(probabilities, dtype=torch.float64)
        self.reward_K = torch.tensor(rewards, dtype=torch.float64)
        self.logits_K = torch.nn.Parameter(self.probability_K.log())

    def batch(self, arms: Sequence[int]) -> Batch:
        """The batch in which these arms were pulled."""
        token_B1 = torch.tensor(arms)[:, None]
        logp_B1 = self.logits_K.detach().log_softmax(0)[token_B1]
        n = len(arms)
        return Batch(
            prompt_BP=torch.zeros(n, 1, dtype=torch.long),
            prompt_mask_BP=torch.ones(n, 1, dtype=torch.float64),
            token_BT=token_B1,
            mask_BT=torch.ones(n, 1, dtype=torch.float64),
            logp_old_BT=logp_B1,
            reward_B=self.reward_K[token_B1[:, 0]],
            group_B=torch.zeros(n, dtype=torch.long),
            truncated_B=torch.zeros(n),
            limit_B=torch.ones(n),
            logp_ref_BT=logp_B1,
        )

    def gradient(self, algorithm: Algorithm, arms: Sequence[int]) -> Tensor:
        """The ascent direction ``-d loss / d logits_K`` of an algorithm on these arms."""

        def forward(batch: Batch) -> Tensor:
            return self.logits_K.log_softmax(0)[batch.token_BT]

        step = prepared(algorithm, self.batch(arms))
        backward(algorithm, step, forward, [self.logits_K], micro_batch=len(arms))
        assert self.logits_K.grad is not None
        return -self.logits_K.grad.clone()

    def value_gradient(self) -> Tensor:
        """``d E[reward] / d logits_K = p_k (r_k - E r)``."""
        mean = (self.probability_K * self.reward_K).sum()
        return self.probability_K * (self.reward_K - mean)

    def outcomes(self, algorithm: Algorithm, n: int) -> Outcomes:
        """All batches of ``n`` pulls, as counts of arms: probability and gradient of each."""
        arms = range(len(self.probability_K))
        found = []
        for pulled in itertools.combinations_with_replacement(arms, n):
            ways = math.factorial(n)
            for arm in arms:
                ways //= math.factorial(pulled.count(arm))
            probability = ways * float(self.probability_K[list(pulled)].prod())
            found.append((probability, self.gradient(algorithm, pulled)))
        return Outcomes(
            torch.tensor([p for p, _ in found], dtype=torch.float64),
            torch.stack([g for _, g in found]),
        )


class Outcomes(NamedTuple):
    """``M`` possible batches: how likely each is, and its gradient."""

    probability_M: Tensor
    gradient_MK: Tensor

    @property
    def mean_K(self) -> Tensor:
        return self.probability_M @ self.gradient_MK

    @property
    def noise(self) -> float:
        """``tr Cov(g)``, exactly."""
        return float(self.probability_M @ ((self.gradient_MK - self.mean_K) ** 2).sum(1))

    @property
    def signal(self) -> float:
        """``|E g|^2``, exactly."""
        return float(self.mean_K @ self.mean_K)
