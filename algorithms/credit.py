"""Credit that several algorithms share: a whole batch in, an advantage for every token out."""

from __future__ import annotations

from bakeoff.algorithms.advantages import (
    group_mean,
    group_normalised,
    leave_one_out,
    per_token,
)
from bakeoff.algorithms.manifest import says
from bakeoff.types import Batch, Credit


@says("(reward - mean of the group) / (std of the group, ddof 1, + 1e-6)")
def group_credit(batch: Batch) -> Credit:
    """GRPO's credit: the group's mean subtracted, divided by its deviation."""
    return Credit(per_token(group_normalised(batch.reward_B, batch.group_B), batch.mask_BT))


@says("reward - mean of the group")
def centred_credit(batch: Batch) -> Credit:
    """Dr. GRPO's credit: the group's mean subtracted."""
    adv_B = batch.reward_B - group_mean(batch.reward_B, batch.group_B)
    return Credit(per_token(adv_B, batch.mask_BT))


@says("reward - mean of the other completions of the item")
def leave_one_out_credit(batch: Batch) -> Credit:
    """RLOO's credit: the mean of the other completions subtracted."""
    adv_B = batch.reward_B - leave_one_out(batch.reward_B, batch.group_B)
    return Credit(per_token(adv_B, batch.mask_BT))


@says("1")
def likelihood_credit(batch: Batch) -> Credit:
    """Supervised learning's credit: every token is to be made likelier."""
    return Credit(batch.mask_BT.clone())
