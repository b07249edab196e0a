"""How many parameters the models of a run have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from bakeoff.training.loop import Training


def parameter_counts(training: Training) -> dict[str, object]:
    """Return the numbers of parameters of the run's models, and their type."""
    from bakeoff.training.optimizer import trained

    learner = training.learner

    def count(parameters: Iterable[Tensor]) -> int:
        return sum(parameter.numel() for parameter in parameters)

    optimizers = [o for o in (learner.optimizer, learner.critic_optimizer) if o is not None]
    return {
        **{f"params_{name}": count(held) for name, held in learner.models.held().items()},
        "params_trainable": sum(count(trained(optimizer)) for optimizer in optimizers),
        "dtype": str(next(learner.policy.parameters()).dtype).removeprefix("torch."),
        "flops_method": "analytic",
    }
