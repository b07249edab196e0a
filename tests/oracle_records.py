"""Numbers recorded from other libraries, and the batch that they were made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bakeoff.types import Batch

RECORDS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "oracles" / "policy_gradient.json").read_text()
)


def recorded(name: str) -> Tensor:
    """A recorded array; if another record has the very same numbers, that one."""
    value = RECORDS[name]
    return recorded(value) if isinstance(value, str) else torch.tensor(value, dtype=torch.float)


def names(prefix: str) -> list[str]:
    """The records whose names begin so."""
    return [name for name in RECORDS if name.startswith(prefix)]


MASK_BT = recorded("input/mask")
REWARD_B = recorded("input/rewards")
GROUP_B = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
VALUE_BT = recorded("input/values")
TOKEN_REWARD_BT = recorded("input/token_level_rewards")


def logps(which: str) -> Tensor:
    """Log-probabilities as the recorded losses had them, ``new``, ``old``, ``ref``, ``rollout``."""
    logp_BT = recorded(f"input/{which}_logp")
    for row, token, value in RECORDS[f"replaced/{which}_logp"]:
        logp_BT[row, token] = value
    return logp_BT


def oracle_batch() -> Batch:
    """The batch of the recorded losses; each row has one advantage for all its tokens."""
    return Batch(
        prompt_BP=torch.zeros(8, 1, dtype=torch.long),
        prompt_mask_BP=torch.ones(8, 1),
        token_BT=torch.zeros(8, 10, dtype=torch.long),
        mask_BT=MASK_BT,
        logp_old_BT=logps("old"),
        reward_B=REWARD_B,
        group_B=GROUP_B,
        truncated_B=torch.zeros(8),
        limit_B=torch.full((8,), 10.0),
        value_BT=VALUE_BT,
        logp_ref_BT=logps("ref"),
        adv_BT=recorded("input/advantages")[:, None] * MASK_BT,
    )
