"""Models in shards: FSDP2, whose parts meet for each pass and part again behind it.

``fully_shard`` (https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html) splits each
weight over the ranks along its first dimension. The weights of a transformer's layer meet while it
is passed, those of embeddings, last norm and output head, which may be tied, for the whole of a
pass. A pass here is not a call of the model (it reads the head's weights itself, and what attends
to what is a layout's affair), so it goes through ``through``, which torch has hooks for.

Gradients are added up over ranks in fp32, not averaged, as each backward pass ends. Weights of a
run in bf16 are fp32 in their shards and rounded when they meet: what masters are without shards.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from bakeoff.training.activations import layers
from bakeoff.training.devices.shards import full, is_shard
from bakeoff.training.devices.world import World
from bakeoff.training.ledger import tensor_bytes
from bakeoff.training.packing.support import packs
from bakeoff.training.precision import weight_type

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from bakeoff.training.config import TrainConfig
    from bakeoff.training.models import Models

Found = TypeVar("Found")
Model = TypeVar("Model", bound=nn.Module)


def sharded(models: Models, world: World, config: TrainConfig) -> PreTrainedModel:
    """Split the models of a run over ranks, in place, if its settings say so.

    No optimiser knows of their weights yet. No two of them share weights, but for the policy and a
    critic that is a head on it.

    Returns:
        What samples: the policy, or a twin that has its weights when they have ``met``.
    """
    policy, critic, reference = models
    if config.sharding == "none":
        return policy
    twin = empty_twin(policy)
    dtype = weight_type(config.precision)
    for transformer in (policy, reference):
        if transformer is not None:
            packs(transformer)  # which is tried out on the whole model, once
            _split(transformer, layers(transformer.base_model), world, dtype)
    if critic is not None:
        if critic.backbone is not None:
            _split(critic.backbone, layers(critic.backbone), world, dtype)
        _split(critic.head, [], world, torch.float32)
    return twin


def through(module: Any, pass_over: Callable[[], Found]) -> Found:
    """Make a pass over a module that is not a call of it; its weights are there meanwhile.

    What is returned may be differentiated.

    Example:
        >>> through(nn.Linear(2, 1), lambda: "passed")
        'passed'
    """
    made = getattr(module, "passed_over", None)
    return pass_over() if made is None else made(pass_over)


def empty_twin(model: Model) -> Model:
    """Return a copy of a model whose weights have no numbers until they have ``met`` its own.

    Those that are tied in one are tied in the other.

    Example:
        >>> sum(weight.numel() for weight in empty_twin(nn.Linear(2, 1)).parameters())
        0
    """
    weights = model.parameters()
    bare = {id(one): nn.Parameter(one.new_empty(0), requires_grad=False) for one in weights}
    return copy.deepcopy(model, dict[int, Any](bare))  # which takes what is in there as copied


@contextmanager
def met(module: nn.Module, twin: nn.Module) -> Iterator[int]:
    """Have the whole weights of a module in its twin, on every rank, and none in it afterwards.

    No collective is needed within, so that ranks may make passes of the twin of their own.

    Yields:
        The bytes of the weights.
    """
    with torch.no_grad():
        for own, weight in zip(twin.parameters(), module.parameters(), strict=True):
            own.data = full(weight.detach()).to(own.dtype)
    try:
        yield tensor_bytes(twin.parameters())
    finally:
        for own in twin.parameters():
            own.data = own.data.new_empty(0)


def _split(module: nn.Module, blocks: list[Any], world: World, dtype: torch.dtype) -> None:
    from torch.distributed.fsdp import (
        MixedPrecisionPolicy,
        fully_shard,
        register_fsdp_forward_method,
    )

    rounding = MixedPrecisionPolicy(
        param_dtype=None if dtype == torch.float32 else dtype,
        reduce_dtype=torch.float32,
        cast_forward_inputs=False,  # they are in the right numbers already
    )
    mesh = _mesh(next(module.parameters()).device.type, world.size)
    for part in [*blocks, module]:
        for weight in part.parameters():
            if not is_shard(weight):
                weight.data = weight.data.float()
        # the outermost too, whose weights would stay, as they were, after a pass without gradient
        sharded: Any = fully_shard(part, mesh=mesh, mp_policy=rounding, reshard_after_forward=True)
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)
    vars(module)["passed_over"] = _without_views
    register_fsdp_forward_method(module, "passed_over")


def _without_views(pass_over: Callable[[], Found]) -> Found:
    """Return what a pass does; tensors that are views would lose torch's hook if written to."""
    from torch.utils._pytree import tree_map_only

    found: Found = tree_map_only(Tensor, lambda t: t.clone() if t._is_view() else t, pass_over())
    return found


@functools.cache
def _mesh(device: str, size: int) -> Any:
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(device, (size,))
