"""The file that ``bakeoff algorithms new`` writes: a small algorithm that works."""

from __future__ import annotations

from pathlib import Path

from bakeoff.comparisons.commands.starter import module_name
from bakeoff.errors import UsageError

ALGORITHM = '''"""{name}: a policy gradient with bounded ratios. Change it into your own."""

from bakeoff.algorithms.advantages import group_mean, per_token
from bakeoff.algorithms.aggregation import token_mean
from bakeoff.algorithms.manifest import described, says
from bakeoff.algorithms.ratios import log_ratio
from bakeoff.types import Algorithm, Credit


def {name}(*, cap: float = 2.0) -> Algorithm:
    """Return an algorithm; its argument is set by name, {name}.py:{name}:cap=3.

    Args:
        cap: the largest ratio that counts.
    """

    @says("reward - mean of the group")
    def advantages(batch):
        adv_B = batch.reward_B - group_mean(batch.reward_B, batch.group_B)
        return Credit(per_token(adv_B, batch.mask_BT))

    @says(f"ratio up to {{cap:g}} * advantage")
    def policy_loss(batch, logp_BT):
        ratio_BT = log_ratio(logp_BT, batch.logp_old_BT, batch.mask_BT).exp()
        loss_BT = -ratio_BT.clamp(max=cap) * batch.adv_BT
        return (batch.weight_BT * loss_BT).sum(), {{}}

    return described(Algorithm(advantages, token_mean, policy_loss, min_group_size=2))
'''


def write_starter(name: str, folder: Path) -> list[str]:
    """Write ``NAME.py`` and return the commands to go on with.

    Args:
        name: what the module and its function are called.
        folder: where the file goes.

    Raises:
        UsageError: it is no name for a module, or the file exists.
    """
    file = f"{module_name(name)}.py"
    if (folder / file).exists():
        raise UsageError(f"{file} exists already; nothing was written")
    with (folder / file).open("x", encoding="utf-8") as written:
        written.write(ALGORITHM.format(name=name))
    return [
        f"bakeoff algorithms show {file}:{name}",
        f"bakeoff algorithms check {file}:{name}",
        f"bakeoff compare --algorithms grpo,{file}:{name}",
    ]
