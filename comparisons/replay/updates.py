"""How far one optimiser step moves the policy, measured on a copy of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from bakeoff.algorithms.kl import k3
from bakeoff.training.batch import micro_batches
from bakeoff.training.config import OptimizerConfig
from bakeoff.training.matching import distance
from bakeoff.training.optimizer import adamw
from bakeoff.training.scoring import distribution
from bakeoff.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Update(NamedTuple):
    """What one optimiser step did.

    Attributes:
        norm: of the change of the parameters.
        kl_k3: k3 of KL(old || new) over the recorded tokens, the mean per token.
        kl_exact: KL(old || new) summed over the vocabulary, the mean over the recorded contexts.
    """

    norm: float
    kl_k3: float
    kl_exact: float


class Twin:
    """A copy of a policy that may be changed and is put back to the bit.

    Attributes:
        model: the copy.
        parameters: those of it that are trained.
    """

    def __init__(self, policy: PreTrainedModel) -> None:
        self.policy = policy
        self.model: PreTrainedModel = copy.deepcopy(policy).eval().requires_grad_(True)
        self.parameters: list[nn.Parameter] = list(self.model.parameters())

    def step(
        self, batch: Batch, learning_rate: float, *, temperature: float, micro_batch: int
    ) -> Update:
        """Make one step of AdamW, from fresh averages, with the gradient that the copy holds.

        The gradient is clipped as in a run. Afterwards the copy is the policy again.

        Args:
            batch: the recorded samples, on whose contexts the KL is measured.
            learning_rate: AdamW step size.
            temperature: of the distributions that are compared.
            micro_batch: completions in one pass.
        """
        config = OptimizerConfig()
        nn.utils.clip_grad_norm_(self.parameters, config.max_grad_norm)
        adamw(self.parameters, learning_rate, config).step()
        try:
            kls = mean_kls(
                lambda micro: distribution(self.policy, micro, temperature=temperature),
                lambda micro: distribution(self.model, micro, temperature=temperature),
                batch,
                micro_batch=micro_batch,
            )
            return Update(distance(self.parameters, list(self.policy.parameters())), *kls)
        finally:
            self.restore()

    def restore(self) -> None:
        """Give the copy the policy's weights."""
        self.model.load_state_dict(self.policy.state_dict())


@torch.no_grad()
def mean_kls(
    old: Callable[[Batch], Tensor],
    new: Callable[[Batch], Tensor],
    batch: Batch,
    *,
    micro_batch: int,
) -> tuple[float, float]:
    """Return k3 and the exact KL(old || new), both means over the counted tokens.

    Args:
        old, new: ``batch -> logp_BTV``, log-probabilities of all tokens.
        batch: the contexts, and the tokens that ``old`` sampled there.
        micro_batch: completions in one pass.
    """
    sums, tokens = [0.0, 0.0], float(batch.mask_BT.sum())
    for micro in micro_batches(batch, micro_batch):
        old_BTV, new_BTV = old(micro), new(micro)
        delta_BTV = old_BTV - new_BTV
        chosen_BT = delta_BTV.gather(-1, micro.token_BT[..., None])[..., 0]
        exact_BT = (old_BTV.exp() * delta_BTV).sum(-1)
        sums[0] += float((k3(chosen_BT, chosen_BT).double() * micro.mask_BT).sum())
        sums[1] += float((exact_BT.double() * micro.mask_BT).sum())
    return sums[0] / tokens, sums[1] / tokens
