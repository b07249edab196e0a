"""Models in shards: FSDP2, whose parts meet for each pass and part again behind it.

``fully_shard`` (https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html) splits each
weight over the ranks along its first dimension. The weights of a transformer's layer meet while it
is passed, those of embeddings, last norm and output head, which may be tied, for the whole of a
pass. A pass here is not a call of the model (it reads the head's weights itself, and what attends
to what is a layout's affair), so it goes through ``through``, which torch has hooks for.

No device has a model whole at the start either: rank 0 has the policy in its host's memory, and
sends it layer by layer; each rank keeps its rows of a layer for the policy, and for the critic and
the reference, which begin as the policy does.

Gradients are added up over ranks in fp32, not averaged, as each backward pass ends. Weights of a
run in bf16 are fp32 in their shards and rounded when they meet: what masters are without shards.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from bakeoff.training.activations import layers
from bakeoff.training.devices.shards import full, is_shard
from bakeoff.training.devices.shares import alike
from bakeoff.training.devices.world import World
from bakeoff.training.ledger import tensor_bytes
from bakeoff.training.packing.support import packs, packs_alike
from bakeoff.training.precision import weight_type

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from bakeoff.models.loading import LanguageModel
    from bakeoff.training.config import TrainConfig
    from bakeoff.training.models import Models

Found = TypeVar("Found")
Model = TypeVar("Model", bound=nn.Module)


def loaded_by_first(world: World, load: Callable[[], LanguageModel]) -> LanguageModel:
    """Return a model that is to be split: rank 0 loads it, the others have it without numbers.

    Args:
        world: the ranks, all of which call this at the same point.
        load: returns it in the memory of the host.

    Raises:
        Exception: what loading has raised, on all ranks alike.

    Example:
        >>> from bakeoff.models.loading import load
        >>> loaded_by_first(World(), lambda: load("tiny")).name
        'tiny'
    """
    own = alike(world, lambda: load() if world.rank == 0 else None)
    bare = world.first(replace(own, model=empty_twin(own.model)) if own is not None else None)
    found = bare if own is None else own
    assert found is not None
    return found


def sharded(models: Models, world: World, config: TrainConfig) -> PreTrainedModel:
    """Split the models of a run over ranks, in place, if its settings say so.

    No optimiser knows of their weights yet. Their numbers are those of rank 0's policy; the others
    need not have any, nor need the critic and the reference, whatever rank they are of.

    Returns:
        What samples: the policy, or a twin that has its weights when they have ``met``.
    """
    policy, critic, reference = models
    if config.sharding == "none":
        return policy
    twin = empty_twin(policy).to(world.device)
    # tried out where it is whole
    answer = world.first(alike(world, lambda: packs(policy) if world.rank == 0 else None))
    packs_alike([one for one in (policy, reference, twin) if one is not None], bool(answer))
    copies: list[tuple[nn.Module, nn.Module]] = []
    if critic is not None and critic.backbone is not None:
        copies.append((critic.backbone, policy.base_model))
    if reference is not None:
        copies.append((reference, policy))
    copies.append((policy, policy))
    _fill_and_split(copies, world, weight_type(config.precision))
    if critic is not None:
        _split(critic.head, world, torch.float32)
    roots = [model for model, _ in copies] + ([] if critic is None else [critic.head])
    for root in roots:
        _make_passable(root)
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


def _fill_and_split(
    copies: Sequence[tuple[nn.Module, nn.Module]], world: World, dtype: torch.dtype
) -> None:
    """Split models layer by layer, with the weights of what they are copies of.

    Args:
        copies: models, and the part of the policy whose numbers on rank 0 they get; the policy
            itself is the last.
        world: the ranks.
        dtype: of the passes.
    """
    held: dict[nn.Parameter, list[nn.Parameter]] = {}
    for model, original in copies:
        for weight, own in zip(original.parameters(), model.parameters(), strict=True):
            held.setdefault(weight, []).append(own)
    sizes = world.first([weight.shape for weight in held])
    shapes = dict(zip(held, sizes, strict=True))
    for parts in zip(*([*layers(model), model] for model, _ in copies), strict=True):
        _fill(parts[-1], held, shapes, world)
        for part in parts:
            _split(part, world, dtype)


def _fill(
    part: nn.Module,
    held: dict[nn.Parameter, list[nn.Parameter]],
    shapes: dict[nn.Parameter, torch.Size],
    world: World,
) -> None:
    """Put rank 0's weights of a part of the policy, whole, into it and its copies.

    They share the memory, which is free when all of them are split: nothing else keeps it.
    """
    for weight in [one for one in part.parameters() if not is_shard(one)]:
        shape = shapes.pop(weight)
        if world.rank == 0:
            whole = weight.detach().to(world.device, torch.float32)
        else:
            whole = torch.empty(shape, device=world.device, dtype=torch.float32)
        world.fill(whole)
        for own in held.pop(weight):
            own.data = whole


def _split(part: nn.Module, world: World, dtype: torch.dtype) -> None:
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    rounding = MixedPrecisionPolicy(
        param_dtype=None if dtype == torch.float32 else dtype,
        reduce_dtype=torch.float32,
        cast_forward_inputs=False,  # they are in the right numbers already
    )
    mesh = _mesh(world.device, world.size)
    # the outermost too, whose weights would stay, as they were, after a pass without gradient
    sharded: Any = fully_shard(part, mesh=mesh, mp_policy=rounding, reshard_after_forward=True)
    sharded.set_gradient_divide_factor(1.0)
    sharded.set_force_sum_reduction_for_comms(True)


def _make_passable(root: nn.Module) -> None:
    from torch.distributed.fsdp import register_fsdp_forward_method

    vars(root)["passed_over"] = _without_views
    register_fsdp_forward_method(root, "passed_over")


def _without_views(pass_over: Callable[[], Found]) -> Found:
    """Return what a pass does; tensors that are views would lose torch's hook if written to."""
    from torch.utils._pytree import tree_map_only

    found: Found = tree_map_only(Tensor, lambda t: t.clone() if t._is_view() else t, pass_over())
    return found


@functools.cache
def _mesh(device: str, size: int) -> Any:
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(device, (size,))
