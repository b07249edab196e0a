"""A batch small enough to do its arithmetic by hand."""

import torch

from bakeoff.types import Batch


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
        value_BT=torch.tensor(values),
        logp_ref_BT=torch.log(torch.tensor(0.4)) * mask_BT,
    )


def credited(algorithm, batch: Batch) -> Batch:  # type: ignore[no-untyped-def]
    """The batch with the algorithm's credit and weights in it, ready for its losses."""
    credit = algorithm.advantages(batch)
    return batch._replace(
        weight_BT=algorithm.aggregate(batch.mask_BT),
        adv_BT=credit.adv_BT,
        return_BT=credit.return_BT,
    )
