"""LoRA: a frozen model, and low-rank matrices beside its linear layers that train in its place.

Each linear layer ``W`` of the backbone becomes ``W x + (alpha / rank) B A x``, where ``A`` has
``rank`` rows and ``B`` as many columns (https://arxiv.org/abs/2106.09685, section 4.1). ``B`` is 0
at first, so a new adapter changes nothing. The layers are peft's, put into the model in place: its
class stays, several adapters can share one base, and the base without any is the initial model.

Which adapter is on says nothing about which one trains: all adapters always require gradients, the
base never does. peft couples the two; here every function leaves the flags as they were.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bakeoff.models import ModelError, require_peft
from bakeoff.streams import stream_seed

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PREFIX = "base_model.model."
"""What peft puts before the names of the layers in its files."""

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def add(model: PreTrainedModel, name: str, *, rank: int, alpha: float, seed: int = 0) -> None:
    """Put a new adapter beside every linear layer of a model but its output head, and freeze these.

    What was switched on before stays so; the first adapter of a model is on. ``B`` is 0 and ``A``
    uniform as in a new linear layer, drawn from a stream of the seed and the adapter's name, so all
    algorithms of a seed start with the same adapter.

    Args:
        model: a transformers model; changed in place.
        name: of the adapter; no other of this model has it.
        rank: rows of ``A``.
        alpha: the adapter's share is scaled by ``alpha / rank``.
        seed: the experiment's seed.

    Raises:
        UsageError: peft is not installed.
        ModelError: the model has an adapter of this name, or no linear layers.

    Example:
        >>> from bakeoff.models.loading import load
        >>> model = load("tiny").model
        >>> add(model, "policy", rank=4, alpha=8)
        >>> sum(p.requires_grad for p in model.parameters()) == len(parameters(model, "policy"))
        True
    """
    lora = _peft().LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        bias="none",
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    _inject(model, name, lora)
    generator = torch.Generator().manual_seed(stream_seed("adapter", seed, name))
    with torch.no_grad():
        for layer in _layers(model, name):
            weight = layer.lora_A[name].weight
            drawn = torch.empty(weight.shape)
            nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)
            weight.copy_(drawn)


@contextmanager
def using(model: nn.Module, name: str | None) -> Iterator[None]:
    """Switch one adapter on, alone; ``None``: the base alone. What was on before is so after.

    Losses made within may be differentiated outside.

    Raises:
        KeyError: the model has no adapter of this name.

    Example:
        >>> from bakeoff.models.loading import load
        >>> model = load("tiny").model
        >>> add(model, "policy", rank=4, alpha=8)
        >>> with using(model, None):
        ...     logits = model(torch.tensor([[3, 4]])).logits
    """
    _layers(model, name)
    with switched(model, {layer: [name] if name else [] for layer in switches(model)}):
        yield


@contextmanager
def switched(model: nn.Module, names: dict[Any, list[str]]) -> Iterator[None]:
    """Switch adapters as ``switches`` has seen them; what was on before is so after."""
    before = switches(model)
    _switch(model, names)
    try:
        yield
    finally:
        _switch(model, before)


@contextmanager
def merged(model: nn.Module, name: str) -> Iterator[int]:
    """Add an adapter into the base's weights; afterwards the base is what it was, to the bit.

    A forward pass then costs what the base's does, which pays where there are many: in sampling.
    The base's own weights are kept aside and put back: subtracting again, as peft's ``unmerge``
    does, drifts by rounding. No gradients are to be taken within.

    Yields:
        The bytes of the weights that are held twice meanwhile.

    Raises:
        KeyError: the model has no adapter of this name.

    Example:
        >>> from bakeoff.models.loading import load
        >>> model = load("tiny").model
        >>> add(model, "policy", rank=4, alpha=8)
        >>> with merged(model, "policy") as extra_bytes:
        ...     logits = model(torch.tensor([[3, 4]])).logits
        >>> extra_bytes > 0
        True
    """
    kept: list[tuple[nn.Parameter, Tensor]] = []
    try:
        with torch.no_grad():
            for layer in _layers(model, name):
                weight = layer.get_base_layer().weight
                delta = layer.get_delta_weight(name)  # fp32, even if the base is bf16
                total = (weight.to(delta.dtype) + delta).to(weight.dtype)
                kept.append((weight, weight.data))
                weight.data = total
        with using(model, None):
            yield sum(own.nbytes for _, own in kept)
    finally:
        for weight, own in kept:
            weight.data = own


def parameters(model: nn.Module, name: str) -> list[nn.Parameter]:
    """Return an adapter's parameters, layer by layer, ``A`` before ``B``.

    Raises:
        KeyError: the model has no adapter of this name.
    """
    layers = _layers(model, name)
    return [part[name].weight for layer in layers for part in (layer.lora_A, layer.lora_B)]


def save(model: PreTrainedModel, name: str, folder: Path, *, base: str | None = None) -> None:
    """Write an adapter as peft does: ``adapter_config.json`` and ``adapter_model.safetensors``.

    Args:
        model: the model that has it.
        name: of the adapter.
        folder: where the files go; made if need be.
        base: the name that the model without adapters is loaded by; it stands in the file.

    Raises:
        KeyError: the model has no adapter of this name.
    """
    _layers(model, name)
    configs: Any = model.peft_config
    values = {**configs[name].to_dict(), "base_model_name_or_path": base}
    values |= {key: sorted(value) for key, value in values.items() if isinstance(value, set)}
    values["inference_mode"] = True  # whoever loads it wants to use it, unless they say otherwise
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")
    found = _peft().get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    tensors = {PREFIX + key: tensor.contiguous() for key, tensor in found.items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def _peft() -> Any:
    """Return the library, which is imported only if an adapter is asked for."""
    require_peft("LoRA")
    import peft

    return peft


def _inject(model: PreTrainedModel, name: str, lora: Any) -> None:
    """Put peft's layers into a model, in fp32 whatever the base is; global random numbers stay."""
    before = switches(model)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # of layers whose weights are transposed, and the like
        try:
            model.add_adapter(lora, name)
        except ValueError as error:
            raise ModelError(" ".join(str(error).split())[:300]) from error
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for layer in _layers(model, None):
        for part in (*layer.lora_A.values(), *layer.lora_B.values()):
            part.float().requires_grad_(True)
    _switch(model, before)


def _layers(model: nn.Module, name: str | None) -> list[Any]:
    """Return the layers that have an adapter of this name; ``None``: any."""
    layers: list[Any] = [module for module in model.modules() if hasattr(module, "lora_A")]
    if name is None:
        return layers
    found = [layer for layer in layers if name in layer.lora_A]
    if not found:
        raise KeyError(f"the model has no adapter '{name}'")
    return found


def switches(model: nn.Module) -> dict[Any, list[str]]:
    """Return the names that are on in each layer; none if the base is alone."""
    layers = _layers(model, None)
    return {
        layer: [] if layer.disable_adapters else list(layer.active_adapters) for layer in layers
    }


def _switch(model: nn.Module, names: dict[Any, list[str]]) -> None:
    """Switch on the adapters named for each layer; every parameter trains if it did before."""
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    for layer, on in names.items():
        layer.enable_adapters(bool(on))
        if on:
            layer.set_adapter(on)
    for parameter, flag in flags:
        parameter.requires_grad_(flag)
