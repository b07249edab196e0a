"""Activations: what a backward pass needs of its forward pass, and how to hold less of it.

They grow with the tokens of a micro-batch and are most of the memory of an update. Either fewer
tokens pass at a time, or each layer keeps its input alone and is run again when its turn comes in
the backward pass (https://arxiv.org/abs/1604.06174): a third more time for a fraction of the bytes.
Neither changes a gradient by more than its rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bakeoff.training import adapters
from bakeoff.training.packing.attention import attending
from bakeoff.training.packing.packed import packed
from bakeoff.training.packing.support import packs
from bakeoff.training.scoring import token_logps
from bakeoff.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@contextmanager
def recomputing(backbone: Any) -> Iterator[None]:
    """Have the layers of a transformer hold only their inputs, of the passes made meanwhile.

    Its backward pass may come later. Dropout is none of this project's: random numbers are not kept
    for the second run.
    """
    wrapped, config = layers(backbone), backbone.config.get_text_config()
    for layer in wrapped:
        layer.forward = _run_twice(layer, config)
    try:
        yield
    finally:
        for layer in wrapped:
            del layer.forward


def layers(backbone: nn.Module) -> list[Any]:
    """Return the layers of a transformer, in the order that it has them.

    Example:
        >>> from bakeoff.models.loading import load
        >>> model = load("tiny").model
        >>> len(layers(model.base_model)) == model.config.num_hidden_layers
        True
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    return [m for m in backbone.modules() if isinstance(m, GradientCheckpointingLayer)]


def tokens_that_fit(model: PreTrainedModel, batch: Batch, n_bytes: float, *, again: bool) -> int:
    """Return how many tokens of a batch may pass at once for their activations to fit.

    The bytes of a token are not guessed: two forward passes of different lengths are made, and what
    torch keeps of the longer one more than of the other is added up.

    Args:
        model: the policy, which is what passes.
        batch: at least one completion.
        n_bytes: what the activations may take.
        again: whether the layers will be run again; see ``recomputing``.

    Returns:
        A number of prompts' and completions' tokens together, at least 1.
    """
    few, more = (batch.rows(torch.arange(min(n, len(batch.reward_B)))) for n in (1, 8))
    tokens, n_kept = _read_tokens(model, few), _kept_bytes(model, few)
    per_token = n_kept / tokens
    if (more_tokens := _read_tokens(model, more) - tokens) > 0:
        # what is kept whatever the length cancels out, unless there is too little to tell
        slope = (_kept_bytes(model, more) - n_kept) / more_tokens
        per_token = slope if slope > 0 else per_token
    if again:
        depth = len(layers(model.base_model))
        config = model.config.get_text_config()
        per_token = per_token / depth + depth * config.hidden_size * model.dtype.itemsize
    return max(1, int(n_bytes / per_token))


def _kept_bytes(model: PreTrainedModel, batch: Batch) -> int:
    """Return the bytes that a forward pass keeps for its backward pass, beside the weights."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = dict[int, int]()

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logp_BT, _ = token_logps(model, batch)
    n_bytes = sum(kept.values())
    del logp_BT  # alive until here: no address was used twice
    return n_bytes


def _read_tokens(model: PreTrainedModel, batch: Batch) -> int:
    if packs(model):
        return len(packed(batch).token_N)
    return batch.prompt_BP.numel() + batch.token_BT.numel()


def _run_twice(layer: nn.Module, config: Any) -> Callable[..., Any]:
    """Return a layer's forward pass; a second run has the attention and adapters of the first."""
    forward = layer.forward

    def twice(*args: Any, **kwargs: Any) -> Any:
        attention, on = config._attn_implementation, adapters.switches(layer)

        def run(*args: Any, **kwargs: Any) -> Any:
            with attending(config, attention), adapters.switched(layer, on):
                return forward(*args, **kwargs)

        return checkpoint(run, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)

    return twice
