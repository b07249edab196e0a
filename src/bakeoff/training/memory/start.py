"""The bytes of a run whose models are in shards before it begins: on each device, and on a host.

Rank 0 has the policy in the memory of its host. Its weights go to the devices layer by layer, and
each rank keeps its rows of a layer for all models that begin so.
"""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.training.memory.prediction import models_of
from bakeoff.training.memory.sizes import Weight
from bakeoff.training.memory.spread import root_numbers
from bakeoff.training.memory.workload import Run


def at_start(run: Run) -> int:
    """Return the most bytes that a device holds while models are split; 0: they never are.

    Beside the shards so far, one layer is whole, in fp32, for all models at once; in the end it is
    the embeddings, last norm and output layer. A critic's head is split last.
    """
    if not run.spread.sharded:
        return 0
    sizes, held, needs = run.sizes, run.spread.held, run.needs
    head = sizes.value_head() if needs.critic else []
    models = 1 + needs.reference + (needs.critic == "separate")
    layers = models * sizes.layers * _fp32(held(sizes.layer())) + _fp32(sizes.layer())
    shards = sum(n for name, n in models_of(run).items() if name.endswith("_weights"))
    ended = shards - _fp32(held(head)) + 4 * root_numbers(sizes, head=True)
    return _fp32(head) + max(layers, ended)


def on_host(run: Run) -> int:
    """Return the bytes of the policy that rank 0 has on its host; 0: models are not split."""
    return run.item * sum(w.numbers for w in run.sizes.weights()) if run.spread.sharded else 0


def _fp32(weights: Sequence[Weight]) -> int:
    return 4 * sum(weight.numbers for weight in weights)
