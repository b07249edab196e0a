"""Matched step size: an optimiser's step, made as long as it is asked to be.

At one learning rate, estimators differ in the length of the step as well as in its direction: they
rescale the gradient by up to 2.3 times (GRPO's division by the deviation), and AdamW undoes some of
that and not all. Here the direction stays what the optimiser proposes and the length is given,

    norm   ||new - old|| = target
    kl     mean over tokens of k3(old || new) = target

so that what is left of a difference between algorithms is their direction. The KL of a short step
grows as the square of its length: from one measurement follows a guess, which is measured again,
and from two the power with which it grows here, a few forward passes in all. A copy of the weights
is held meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bakeoff.algorithms.kl import k3
from bakeoff.algorithms.ratios import log_ratio
from bakeoff.training.config import OptimizerConfig
from bakeoff.training.devices.world import World
from bakeoff.training.masters import publish
from bakeoff.training.optimizer import trained
from bakeoff.types import Metrics

TOLERANCE = 0.05
"""How far from its target, relatively, a KL may end."""

PASSES = 5
"""Measurements of the KL at most, one after each guess."""


class Step:
    """A step from ``before`` to where the weights are now, that can be made longer or shorter.

    Attributes:
        scale: its length now, in units of the optimiser's own step.

    Example:
        >>> weight = nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> step = Step([weight])
        >>> with torch.no_grad():
        ...     weight += torch.tensor([3.0, 4.0])
        >>> step.norm()
        5.0
        >>> step.rescale(2.0)
        >>> weight.tolist()
        [7.0, 9.0]
    """

    @torch.no_grad()
    def __init__(self, weights: Sequence[nn.Parameter]) -> None:
        """Keep a copy of some weights that are about to be moved."""
        self.weights = weights
        self.before = [weight.clone() for weight in weights]
        self.scale = 1.0

    def norm(self) -> float:
        """Return the Euclidean norm of the change of all weights together."""
        return distance(self.weights, self.before)

    @torch.no_grad()
    def rescale(self, scale: float) -> None:
        """Move the weights to where ``scale`` times the optimiser's step leads."""
        for new, old in zip(self.weights, self.before, strict=True):
            new.copy_(torch.lerp(old, new, scale / self.scale))
        publish(self.weights)
        self.scale = scale


@torch.no_grad()
def distance(new: Sequence[Tensor], old: Sequence[Tensor]) -> float:
    """Return the Euclidean norm of the difference of two sets of weights."""
    pairs = zip(new, old, strict=True)
    norms = [torch.linalg.vector_norm((one - other).float()) for one, other in pairs]
    return float(torch.linalg.vector_norm(torch.stack(norms)))


def match_norm(step: Step, target: float) -> Metrics:
    """Give a step the norm ``target``; one that goes nowhere stays.

    Returns:
        ``update_norm``, as it is in the weights after rounding, and ``step_scale``.
    """
    norm = step.norm()
    if norm > 0:
        step.rescale(target / norm)
    return {"update_norm": step.norm(), "step_scale": step.scale}


def match_kl(step: Step, target: float, kl_now: Callable[[], float]) -> Metrics:
    """Give a step the KL ``target``, within 5 % unless ``PASSES`` guesses do not get there.

    Args:
        step: as the optimiser made it; one that makes no KL stays.
        target: in nats per token.
        kl_now: measures the KL that the step makes as it is.

    Returns:
        ``step_kl``, what was reached; ``match/passes``, how often it was measured; ``update_norm``
        and ``step_scale``.
    """
    kl = kl_now()
    passes, power = 1, 2.0
    while kl > 0 and abs(kl / target - 1) > TOLERANCE and passes < PASSES:
        longer, before = (target / kl) ** (1 / power), kl
        step.rescale(step.scale * longer)
        kl = kl_now()
        passes += 1
        if kl > 0:
            power = min(max(math.log(kl / before) / math.log(longer), 1.0), 8.0)
    return {
        "step_kl": kl,
        "match/passes": float(passes),
        "update_norm": step.norm(),
        "step_scale": step.scale,
    }


def matched(
    optimizer: Optimizer,
    config: OptimizerConfig,
    factor: float,
    make_step: Callable[[], None],
    kl_now: Callable[[], float],
) -> Metrics:
    """Make an optimiser's step and give it the length that the configuration asks for.

    Args:
        optimizer: moves the weights.
        config: with ``match`` and ``match_target``.
        factor: the schedule's, on the length; a KL is of the second order in it.
        make_step: makes the optimiser's own step.
        kl_now: measures the KL that the step makes as it is.
    """
    assert config.match_target is not None
    step = Step(trained(optimizer))
    make_step()
    if config.match == "norm":
        return match_norm(step, config.match_target * factor)
    return match_kl(step, config.match_target * factor**2, kl_now)


def moved(
    optimizer: Optimizer,
    config: OptimizerConfig,
    factor: float,
    norm: float,
    make_step: Callable[[], None],
    kl_now: Callable[[], float],
) -> Metrics:
    """Make an optimiser's step, as long as the configuration asks for, if it asks; see ``matched``.

    Args:
        optimizer, config, factor, make_step, kl_now: as for ``matched``.
        norm: of the gradient; without one there is no direction to go a given length.
    """
    if config.match == "none":
        make_step()
        return {}
    if norm > 0:
        return matched(optimizer, config, factor, make_step, kl_now)
    optimizer.zero_grad(set_to_none=True)
    return no_step(config)


def copy_bytes(optimizer: Optimizer) -> int:
    """Return what the copy of the weights holds while a step is matched."""
    return sum(weight.nbytes for weight in trained(optimizer))


def no_step(config: OptimizerConfig) -> Metrics:
    """Return what is said of a step that is not made, because the gradient is zero."""
    metrics = {"update_norm": 0.0, "step_scale": 0.0}
    return metrics if config.match == "norm" else {**metrics, "step_kl": 0.0, "match/passes": 0.0}


def mean_kl(pairs: Sequence[tuple[Tensor, Tensor, Tensor]], world: World | None = None) -> float:
    """Return the mean of k3 of KL(old || new) over counted tokens, in nats.

    Args:
        pairs: ``(logp_old_BT, logp_new_BT, mask_BT)`` of each piece of a batch.
        world: the ranks that have pieces of it.

    Example:
        >>> old_BT, new_BT = torch.tensor([[-1.0, -5.0]]), torch.tensor([[-1.0, 0.0]])
        >>> mean_kl([(old_BT, new_BT, torch.tensor([[1.0, 0.0]]))])
        0.0
    """
    total = tokens = 0.0
    for logp_old_BT, logp_new_BT, mask_BT in pairs:
        moved_BT = log_ratio(logp_new_BT, logp_old_BT, mask_BT)
        total += float(k3(-moved_BT, moved_BT).sum())
        tokens += float(mask_BT.sum())
    found = (world or World()).everyone((total, tokens))
    return sum(one for one, _ in found) / sum(n for _, n in found)
