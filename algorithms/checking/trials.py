"""One update of an algorithm on made-up completions, without a model.

The log-probabilities and the values are free parameters here, so that the gradient of a loss by
them is all that an algorithm says to a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bakeoff.algorithms import stages
from bakeoff.types import Algorithm, Batch, Metrics

GROUPS, TOKENS, LIMIT = 3, 5, 8


class Trial(NamedTuple):
    """A batch, and what the models say of it at the moment of the step.

    Attributes:
        batch: with only those optional fields that the algorithm asks for.
        logp_BT: log-probabilities under the policy that is trained.
        value_BT: values of the critic that is trained.
        logp_train_BT: log-probabilities under the training model before the update.
    """

    batch: Batch
    logp_BT: Tensor
    value_BT: Tensor
    logp_train_BT: Tensor

    def rows(self, rows_B: Tensor) -> Trial:
        """Return the trial of some rows only, in the given order."""
        return Trial(self.batch.rows(rows_B), *(field[rows_B] for field in self[1:]))

    def columns(self, width: int) -> Trial:
        """Return the trial cut, or padded with what nothing counts in, to a number of tokens."""

        def fitted(name: str, field: Tensor) -> Tensor:
            if not name.endswith("_BT"):
                return field
            return torch.nn.functional.pad(field, (0, width - field.shape[1]))

        pairs = zip(self.batch._fields, self.batch, strict=True)
        fields = {name: fitted(name, field) for name, field in pairs if field is not None}
        return Trial(self.batch._replace(**fields), *(fitted("_BT", field) for field in self[1:]))

    def copy(self) -> Trial:
        """Return a trial whose tensors are its own."""
        return self.rows(torch.arange(len(self.batch.reward_B)))


class Outcome(NamedTuple):
    """What one optimiser step makes of a trial.

    Attributes:
        adv_BT, return_BT: the credit of the completions that were kept.
        weight_BT: their weights.
        loss: of the policy, and of the critic if there is one.
        grad_BT: its gradient by ``logp_BT``, 0 for completions that were not kept.
        value_grad_BT: its gradient by ``value_BT``.
        sums: the metrics.
    """

    adv_BT: Tensor
    return_BT: Tensor | None
    weight_BT: Tensor
    loss: Tensor
    grad_BT: Tensor
    value_grad_BT: Tensor
    sums: Metrics

    @property
    def numbers(self) -> dict[str, Tensor]:
        """All of it that must be finite, by name."""
        tensors = {name: field for name, field in zip(self._fields, self, strict=True)
                   if isinstance(field, Tensor)}  # fmt: skip
        return tensors | {f"metric {name}": torch.tensor(x) for name, x in self.sums.items()}


def trial_of(algorithm: Algorithm, *, on_policy: bool = False) -> Trial:
    """Return completions of uneven lengths, some cut, some with observations in between.

    Three groups with rewards of 0 and 1, as many of each. Off-policy, log-ratios are up to 0.5.

    Args:
        algorithm: what will be tried on it: it says which fields are there.
        on_policy: whether policy, sampler and reference agree, the critic knows nothing, and no
            completion was cut.
    """
    generator = torch.Generator().manual_seed(0)
    n = 2 * ((max(4, algorithm.min_group_size) + 1) // 2)
    row_B = torch.arange(GROUPS * n)
    group_B, place_B = row_B // n, row_B % n
    ones_B = torch.where(group_B == 0, place_B % 2 == 0, place_B == 1)
    ones_B = torch.where(group_B == 2, place_B != 2, ones_B)
    mask_BT = (torch.arange(TOKENS) < 1 + (3 * row_B[:, None]) % TOKENS).float()
    mask_BT[(mask_BT.sum(1) > 2) & (row_B % 2 == 1), 1] = 0  # an observation
    shape = mask_BT.shape

    def noise(low: float, high: float) -> Tensor:
        return (low + (high - low) * torch.rand(shape, generator=generator)) * mask_BT

    wide = 0.0 if on_policy else 0.5
    logp_old_BT, shift_BT = noise(-4.0, -0.1), noise(-wide, wide)
    drift_BT = noise(-wide / 10, wide / 10)
    value_BT = 0.5 * mask_BT if on_policy else noise(0.2, 0.8)
    greedy_G = torch.tensor([0.5, 0.5, 0.5] if on_policy else [0.0, 1.0, 0.5])
    batch = Batch(
        prompt_BP=torch.zeros(len(row_B), 1, dtype=torch.long),
        prompt_mask_BP=torch.ones(len(row_B), 1),
        token_BT=torch.randint(1, 9, shape, generator=generator) * mask_BT.long(),
        mask_BT=mask_BT,
        logp_old_BT=logp_old_BT,
        reward_B=ones_B.float(),
        group_B=group_B,
        truncated_B=(row_B % 4 == 3).float() * (not on_policy),
        limit_B=torch.full((len(row_B),), float(LIMIT)),
        value_BT=value_BT if algorithm.critic else None,
        value_end_B=value_BT.amax(1) if algorithm.critic else None,
        logp_ref_BT=logp_old_BT + noise(-wide, wide) if algorithm.needs_reference else None,
        greedy_reward_B=greedy_G[group_B] if algorithm.needs_greedy else None,
    )
    if algorithm.on_gold:
        batch = gold(batch)._replace(group_B=row_B)  # one reply of each item
    return Trial(batch, logp_old_BT + shift_BT, value_BT + shift_BT, logp_old_BT + drift_BT)


def gold(batch: Batch) -> Batch:
    """Return the batch as if its completions were gold replies: not sampled, and not scored."""
    nobody_BT = torch.where(batch.mask_BT > 0, torch.nan, 0.0)
    unscored_B = torch.full_like(batch.reward_B, torch.nan)
    return batch._replace(logp_old_BT=nobody_BT, reward_B=unscored_B)


def credited(algorithm: Algorithm, trial: Trial) -> Trial:
    """Return the completions that are kept, with the algorithm's credit in the batch."""
    trial = trial.rows(stages.kept_rows(algorithm, trial.batch))
    if not len(trial.batch.reward_B):
        return trial
    batch = stages.corrected(algorithm, trial.batch, trial.logp_train_BT)
    return trial._replace(batch=stages.credited(algorithm, batch))


def _scaled(batch: Batch, scale: float) -> Batch:
    """Return a minibatch with its weights times ``scale``."""
    fields = {"weight_BT": batch.weight_BT, "imitation_BT": batch.imitation_BT}
    scaled = {name: scale * field for name, field in fields.items() if field is not None}
    return batch._replace(**scaled)


def outcome(
    algorithm: Algorithm, trial: Trial, *, size: int | None = None, scale: float = 1.0
) -> Outcome | None:
    """Return what one optimiser step makes of a trial, or ``None`` if nothing is kept.

    Args:
        algorithm: what is tried.
        trial: what it is tried on; it is copied first.
        size: completions in a micro-batch; all of them by default. Micro-batches are cut to their
            longest completion.
        scale: a factor of the weights.
    """
    logp_BT = trial.logp_BT.detach().clone().requires_grad_()
    value_BT = trial.value_BT.detach().clone().requires_grad_()
    own = trial.copy()._replace(logp_BT=logp_BT, value_BT=value_BT)
    own = credited(algorithm, own)
    if not len(own.batch.reward_B):
        return None
    own = own._replace(batch=_scaled(stages.weighted(algorithm, own.batch), scale))
    pieces = [own] if size is None else pieces_of(own, size)
    losses, sums = [], dict[str, float]()
    for piece in pieces:
        loss, found = loss_of(algorithm, piece)
        losses.append(loss)
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + float(value)
    total = torch.stack(losses).sum()
    assert own.batch.adv_BT is not None and own.batch.weight_BT is not None
    grad_BT, value_grad_BT = gradients(total, [logp_BT, value_BT])
    return Outcome(
        adv_BT=own.batch.adv_BT.detach(),
        return_BT=own.batch.return_BT,
        weight_BT=own.batch.weight_BT,
        loss=total.detach(),
        grad_BT=grad_BT,
        value_grad_BT=value_grad_BT,
        sums=sums,
    )


def loss_of(algorithm: Algorithm, trial: Trial) -> tuple[Tensor, Metrics]:
    """Return the losses of policy and critic together, and the metrics of both."""
    loss, sums = algorithm.policy_loss(trial.batch, trial.logp_BT)
    if algorithm.critic is not None:
        value_loss, value_sums = algorithm.critic.loss(trial.batch, trial.value_BT)
        loss, sums = loss + value_loss, {**sums, **value_sums}
    return loss, sums


def pieces_of(trial: Trial, size: int) -> list[Trial]:
    """Return the micro-batches of a trial, each cut to its longest completion."""
    order_B = trial.batch.mask_BT.sum(1).argsort(stable=True)
    pieces = [trial.rows(rows_B) for rows_B in torch.split(order_B, size)]
    return [piece.columns(longest(piece.batch.mask_BT)) for piece in pieces]


def longest(mask_BT: Tensor) -> int:
    """Return how many columns there are up to the last counted token; at least 1."""
    counted_T = mask_BT.sum(0).nonzero()
    return int(counted_T[-1]) + 1 if len(counted_T) else 1


def gradients(loss: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient of a loss by each input, 0 by those it does not depend on."""
    if not loss.requires_grad:
        return [torch.zeros_like(field) for field in inputs]
    found = torch.autograd.grad(loss, inputs, allow_unused=True)
    pairs = zip(found, inputs, strict=True)
    return [torch.zeros_like(field) if grad is None else grad for grad, field in pairs]
