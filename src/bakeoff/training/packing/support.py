"""Which models can be read in packed rows: seen once for each, by comparing numbers.

A model may do more than its attention tells: mix neighbouring tokens, cap or scale its logits, keep
a state. So nothing is concluded from its class: a few tokens are read both ways. Fresh weights say
nearly the same of all tokens, whatever is wrong, most of all in 16 bits. So it is seen besides that
every layer asks the layout who sees whom, and that large logits are those of the head alone.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from bakeoff.training.batch import model_inputs
from bakeoff.training.packing.attention import Unsupported, last_states
from bakeoff.training.packing.logps import chosen_logps
from bakeoff.training.packing.packed import Packed, packed
from bakeoff.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FINE, COARSE = 1e-3, 0.2
"""How far log-probabilities may be apart, in nats: in fp32, and in 16 bits."""

LARGE = 100.0
"""Logits that no model leaves alone if it caps any; a scale shows in all of them."""

_seen: weakref.WeakKeyDictionary[object, bool] = weakref.WeakKeyDictionary()


@torch.no_grad()
def packs(model: PreTrainedModel) -> bool:
    """Tell whether packed rows give a model's log-probabilities; the answer is kept.

    Example:
        >>> from bakeoff.models.loading import load
        >>> packs(load("tiny").model)
        True
    """
    if model not in _seen:
        with torch.autocast(model.device.type, enabled=False):
            _seen[model] = _sees_all(model) and _has_plain_head(model) and _agrees(model)
    return _seen[model]


def packs_alike(models: Iterable[PreTrainedModel], answer: bool) -> None:
    """Keep the answer that ``packs`` gave of a model for others that are copies of it."""
    for model in models:
        _seen[model] = answer


def _sees_all(model: PreTrainedModel) -> bool:
    """Tell whether no layer sees only the tokens nearby, which a few tokens would not show."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return kinds == {"full_attention"}


def _has_plain_head(model: PreTrainedModel) -> bool:
    """Tell whether logits are the weights of the head times the last hidden states, no more."""
    head = model.get_output_embeddings()
    if not isinstance(head, torch.nn.Linear) or len(list(head.parameters())) > 1:
        return False
    hidden_H = head.weight[1] * (LARGE / head.weight[1].float().square().sum().clamp(min=1e-12))

    def replace(module: torch.nn.Module, inputs: object, output: Any) -> Any:
        output.last_hidden_state = hidden_H.expand_as(output.last_hidden_state)
        return output

    handle = model.base_model.register_forward_hook(replace)
    try:
        token_1P = _few_tokens(model).prompt_BP[:1]
        seen_1P = torch.ones_like(token_1P)
        logits_V = model(token_1P, attention_mask=seen_1P, use_cache=False).logits[0, -1].float()
    except AttributeError:  # there are no last hidden states
        return False
    finally:
        handle.remove()
    alone_V = head(hidden_H[None])[0].float()
    return float((logits_V - alone_V).abs().max()) < 0.05 * LARGE


class _Watched(NamedTuple):
    """A layout that notes which layers ask it."""

    row: Packed
    asked: set[int]

    @property
    def token_N(self) -> Tensor:
        return self.row.token_N

    @property
    def position_N(self) -> Tensor:
        return self.row.position_N

    def attend(
        self, layer: int, query_HND: Tensor, key_KND: Tensor, value_KND: Tensor, scale: float
    ) -> Tensor:
        self.asked.add(layer)
        return self.row.attend(layer, query_HND, key_KND, value_KND, scale)


def _agrees(model: PreTrainedModel) -> bool:
    batch, head = _few_tokens(model), model.get_output_embeddings()
    try:
        row = packed(batch)
        watched = _Watched(row, set())
        hidden_NH = last_states(model.base_model, watched)
    except (Unsupported, TypeError, ValueError, AttributeError, RuntimeError):
        return False
    if len(watched.asked) < int(model.config.get_text_config().num_hidden_layers):
        return False  # a layer that has its own way mixes sequences, or tokens
    hidden_BTH = hidden_NH[row.state_BU[:, :-1]]
    logp_M, _ = chosen_logps(hidden_BTH.flatten(0, 1), head.weight, batch.token_BT.flatten())
    logits_BSV = model(**model_inputs(batch), use_cache=False).logits
    before = slice(batch.prompt_BP.shape[1] - 1, -1)
    expected_BTV = logits_BSV[:, before].float().log_softmax(-1)
    expected_BT = expected_BTV.gather(-1, batch.token_BT[..., None])[..., 0]
    gap_BT = (logp_M.view_as(expected_BT) - expected_BT).abs() * batch.mask_BT
    return float(gap_BT.max()) < (FINE if model.dtype.itemsize > 2 else COARSE)


def _few_tokens(model: PreTrainedModel) -> Batch:
    """Return two prompts with two completions each, all of different lengths."""
    vocabulary = int(model.config.get_text_config().vocab_size)
    device = model.device

    def tokens(rows: int, columns: int, step: int) -> Tensor:
        ids = torch.arange(rows * columns, device=device) * step + 1
        return ids.remainder(vocabulary).view(rows, columns)

    prompt_BP = tokens(2, 5, 7).repeat_interleave(2, 0)
    prompt_mask_BP = torch.ones(4, 5, device=device)
    prompt_mask_BP[2:, :2] = 0
    mask_BT = torch.ones(4, 4, device=device).tril()
    zero_B, zero_BT = torch.zeros(4, device=device), torch.zeros(4, 4, device=device)
    return Batch(
        prompt_BP=prompt_BP,
        prompt_mask_BP=prompt_mask_BP,
        token_BT=tokens(4, 4, 11),
        mask_BT=mask_BT,
        logp_old_BT=zero_BT,
        reward_B=zero_B,
        group_B=torch.arange(4, device=device) // 2,
        truncated_B=zero_B,
        limit_B=zero_B + 4,
    )
