"""What the models of a run hold: weights, gradients, AdamW's averages and masters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from bakeoff.training.memory.sizes import Weight

SMALL, BLOCK = 4096, 256
"""bitsandbytes' sizes: averages of fewer weights stay in fp32; others have a scale for each block.

https://arxiv.org/abs/2110.02861, section 2.
"""


def average_bytes(counts: Iterable[int], bits: int) -> int:
    """Return the bytes of AdamW's two averages of tensors of so many numbers.

    In 8 bits, a block of weights has an fp32 scale beside its codes.

    Example:
        >>> average_bytes([8192, 10], 8)  # 2 * (8192 + 4 * 32 + 40)
        16720
    """
    if bits == 32:
        return 2 * sum(4 * n for n in counts)
    return 2 * sum(4 * n if n < SMALL else n + 4 * math.ceil(n / BLOCK) for n in counts)


def model_bytes(
    held: Mapping[str, Sequence[Weight]], moved: Mapping[str, Sequence[Weight]], bits: int
) -> dict[str, int]:
    """Return what each model holds: weights, gradients, and AdamW's averages and masters.

    Gradients are added up in fp32; weights below fp32 have fp32 masters.

    Args:
        held: the weights of each model.
        moved: those that an optimiser moves.
        bits: of AdamW's averages.

    Example:
        >>> weight = Weight(1000)
        >>> model_bytes({"policy": [weight]}, {"policy": [weight]}, 32)
        {'policy_weights': 4000, 'policy_grads': 4000, 'policy_optimizer': 8000}
    """
    found = {
        f"{name}_weights": sum(weight.numbers * weight.itemsize for weight in weights)
        for name, weights in held.items()
        if weights
    }
    for name, weights in moved.items():
        masters = sum(4 * weight.numbers for weight in weights if weight.itemsize < 4)
        averages = average_bytes((weight.numbers for weight in weights), bits)
        found[f"{name}_grads"] = sum(4 * weight.numbers for weight in weights)
        found[f"{name}_optimizer"] = averages + masters
    return found
