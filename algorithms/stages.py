"""What an algorithm makes of a batch before its losses see it, one stage after the other.

    filter -> correction of the sampler -> credit, once for a batch -> weights, for each minibatch

The training loop, the checks, and whatever lays algorithms side by side on the same samples take
these same steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bakeoff.algorithms.manifest import spares_the_silent
from bakeoff.algorithms.ratios import log_ratio
from bakeoff.types import Algorithm, Batch


def kept_rows(algorithm: Algorithm, batch: Batch) -> Tensor:
    """Return which completions are learned from, ``rows_B``: their places in the batch."""
    if algorithm.keep is None:
        return torch.arange(len(batch.reward_B), device=batch.reward_B.device)
    return algorithm.keep(batch).nonzero()[:, 0]


def corrected(algorithm: Algorithm, batch: Batch, logp_BT: Tensor) -> Batch:
    """Return the batch with ratios to the training model, if the algorithm corrects the mismatch.

    Args:
        algorithm: without ``mismatch`` the batch stays as it is.
        batch: with the sampler's log-probabilities.
        logp_BT: the training model's own, before the update.
    """
    if algorithm.mismatch is None:
        return batch
    log_ratio_BT = log_ratio(logp_BT, batch.logp_old_BT, batch.mask_BT)
    correction_BT = algorithm.mismatch(log_ratio_BT, batch.mask_BT)
    return batch._replace(logp_old_BT=logp_BT, correction_BT=correction_BT)


def credited(algorithm: Algorithm, batch: Batch) -> Batch:
    """Return the batch with its credit, the advantages times the correction if there is one.

    If the algorithm allows it, ``silent_B`` marks the groups that need no backward pass.
    """
    credit = algorithm.advantages(batch)
    adv_BT = credit.adv_BT
    if batch.correction_BT is not None:
        adv_BT = adv_BT * batch.correction_BT
    batch = batch._replace(adv_BT=adv_BT, return_BT=credit.return_BT)
    return batch._replace(silent_B=silent(batch)) if spares_the_silent(algorithm) else batch


def silent(batch: Batch) -> Tensor:
    """Return ``silent_B``: 1 where no completion of the group has an advantage other than 0.

    Whole groups only: a completion that is silent beside others that are not shares its prompt's
    passes with them.
    """
    assert batch.adv_BT is not None
    loud_B = ((batch.adv_BT != 0) & (batch.mask_BT > 0)).any(1)
    return 1.0 - torch.isin(batch.group_B, batch.group_B[loud_B]).to(batch.mask_BT.dtype)


def weighted(algorithm: Algorithm, batch: Batch) -> Batch:
    """Return the batch of one optimiser step with its weights, those of imitation too.

    Example:
        >>> from bakeoff.algorithms.sft import sft
        >>> ones_BT, ones_B = torch.ones(1, 2), torch.ones(1)
        >>> batch = Batch(ones_BT, ones_BT, ones_BT, ones_BT, ones_BT, *[ones_B] * 4)
        >>> weighted(sft(), batch).weight_BT.tolist()
        [[0.5, 0.5]]
    """
    batch = batch._replace(weight_BT=algorithm.aggregate(batch.mask_BT, batch.limit_B))
    if algorithm.imitation is None:
        return batch
    return batch._replace(imitation_BT=algorithm.imitation(batch))
