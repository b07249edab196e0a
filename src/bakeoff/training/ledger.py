"""Who holds the memory: bytes by component, and those of them that stood at the peak.

Weights, gradients and optimiser states are summed over the tensors that exist. Activations and the
allocator's slack cannot be told apart from outside, so they stay in ``unattributed``, which is what
the peak holds beyond everything that was counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor
from torch.optim import Optimizer

from bakeoff.training.devices.shards import here
from bakeoff.training.masters import Master, master_bytes, rounded
from bakeoff.training.memory.sizes import Weight
from bakeoff.training.optimizer import trained

COMPONENTS = (
    "policy_weights",
    "critic_weights",
    "reference_weights",
    "merged_weights",
    "sampler_weights",
    "policy_grads",
    "critic_grads",
    "policy_optimizer",
    "critic_optimizer",
    "kv_cache",
    "activations",
    "logits",
    "rollout_buffer",
    "other_tensors",
    "process_baseline",
    "unattributed",
)

LIVES_IN = {
    "policy_grads": ("update_policy",),
    "critic_grads": ("update_critic",),
    "merged_weights": ("rollout", "eval"),
    "sampler_weights": ("rollout", "eval"),
    "kv_cache": ("rollout", "eval"),
    "rollout_buffer": (
        *("values", "ref_logprob", "old_logprob", "advantage"),
        *("update_policy", "update_critic"),
    ),
    "other_tensors": ("update_policy",),
}
"""Components that exist only within some phases."""


@dataclass
class Ledger:
    """Bytes by component: as last seen, at their own highest, and at the run's peak."""

    now: dict[str, int] = field(default_factory=dict)
    highest: dict[str, int] = field(default_factory=dict)
    at_peak: dict[str, int] = field(default_factory=dict)
    lasting: set[str] = field(default_factory=set)

    def set(self, component: str, n_bytes: int, *, always: bool = False) -> None:
        """Record what a component holds, in the phases in which it exists, or in all of them."""
        self.now[component] = n_bytes
        if always:
            self.lasting.add(component)
        self.highest[component] = max(self.highest.get(component, 0), n_bytes)

    def mark_peak(self, phase: str) -> None:
        """Record that the components as they are in ``phase`` stood at the peak."""
        self.at_peak = {
            component: n_bytes if self._lives(component, phase) else 0
            for component, n_bytes in self.now.items()
        }

    def _lives(self, component: str, phase: str) -> bool:
        return component in self.lasting or phase in LIVES_IN.get(component, (phase,))

    def rows(
        self, peak_bytes: int, predicted: Mapping[str, int], method: str
    ) -> list[dict[str, object]]:
        """Return the rows of ``memory.csv``; ``bytes_at_peak`` adds up to ``peak_bytes``."""
        rest = peak_bytes - sum(self.at_peak.values())
        counted = {**dict.fromkeys(self.highest, 0), **self.at_peak}
        residual = "cuda_allocator" if method == "cuda_allocator" else "rss"
        rows: list[dict[str, object]] = [
            {
                "component": component,
                "bytes_at_peak": counted[component],
                "bytes_max": self.highest[component],
                "bytes_predicted": predicted.get(component),
                "method": "rss" if component == "process_baseline" else "accountant",
            }
            for component in COMPONENTS
            if component in counted
        ]
        return [*rows, {"component": "unattributed", "bytes_at_peak": rest, "method": residual}]


def tensor_bytes(tensors: Iterable[Tensor | None]) -> int:
    """Bytes of the distinct storages behind some tensors; shared ones, and shards here, once."""
    parts = (here(t).untyped_storage() for t in tensors if t is not None)
    storages = {storage._cdata: storage for storage in parts}
    return sum(storage.nbytes() for storage in storages.values())


def optimizer_bytes(optimizer: Optimizer) -> int:
    """Bytes of an optimiser's state, fp32 masters of a model's weights included."""
    values = (value for state in optimizer.state.values() for value in state.values())
    held = tensor_bytes(value for value in values if isinstance(value, Tensor))
    return held + master_bytes(trained(optimizer))


def counts(weights: Iterable[Tensor]) -> list[Weight]:
    """Return the numbers in weights and the bytes of each in a model, whose masters may be given.

    Example:
        >>> import torch
        >>> counts([torch.empty(2, 3, dtype=torch.bfloat16)])
        [Weight(numbers=6, itemsize=2, rows=0)]
    """
    own = (rounded(weight) if isinstance(weight, Master) else weight for weight in weights)
    return [Weight(here(weight).numel(), weight.dtype.itemsize) for weight in own]
