"""Log-probabilities of tokens that were sampled before: the policy's passes in training.

A batch is read in one packed row with every prompt there once, if the model can be read so, and
else padded, prompt by completion. Either way the log-probabilities come from the last hidden
states, a few tokens at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from bakeoff.training.batch import model_inputs
from bakeoff.training.packing.attention import last_states
from bakeoff.training.packing.logps import chosen_logps
from bakeoff.training.packing.packed import packed
from bakeoff.training.packing.support import packs
from bakeoff.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class States(NamedTuple):
    """The last hidden states of a transformer over a batch.

    Attributes:
        hidden_NH: of all tokens that were read.
        state_BU: which of them stands before each token of a completion, and (``U`` is ``T + 1``)
            after each; 0 beyond what was read.
    """

    hidden_NH: Tensor
    state_BU: Tensor


def read(
    model: PreTrainedModel, batch: Batch, *, backbone: Any = None, after: bool = True
) -> States:
    """Return a transformer's last hidden states over a batch.

    Args:
        model: says whether the transformer can be read in packed rows.
        batch: what is read.
        backbone: the transformer, if it is not the model's own but one like it.
        after: whether the state after the last counted token of each completion is needed.
    """
    backbone = model.base_model if backbone is None else backbone
    if packs(model):
        row = packed(batch, after=after)
        return States(last_states(backbone, row), row.state_BU)
    output = backbone(**model_inputs(batch), use_cache=False)
    return _padded_states(output.last_hidden_state, batch)


def token_logps(
    model: PreTrainedModel, batch: Batch, *, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return ``logp_BT`` of the batch's tokens, with gradient, and ``entropy_BT``, without.

    Both are of the distribution at the sampling temperature, computed in fp32, in nats, and 0
    where the mask is.
    """
    return logps_and_states(model, batch, temperature=temperature)[:2]


def logps_and_states(
    model: PreTrainedModel, batch: Batch, *, temperature: float = 1.0, after: bool = False
) -> tuple[Tensor, Tensor, States]:
    """Return what ``token_logps`` does, and the states behind it, all of one pass."""
    if not packs(model):
        logits_BTV, states = _padded_logits(model, batch)
        return *_logps(logits_BTV.float() / temperature, batch), states
    states = read(model, batch, after=after)
    counted_BT = batch.mask_BT > 0
    logp_M, entropy_M = chosen_logps(
        states.hidden_NH[states.state_BU[:, :-1][counted_BT]],
        model.get_output_embeddings().weight,
        batch.token_BT[counted_BT],
        temperature=temperature,
    )
    nothing_BT = torch.zeros(batch.mask_BT.shape, device=logp_M.device)
    logp_BT = nothing_BT.masked_scatter(counted_BT, logp_M)
    return logp_BT, nothing_BT.masked_scatter(counted_BT, entropy_M), states


@torch.no_grad()
def distribution(model: PreTrainedModel, batch: Batch, *, temperature: float = 1.0) -> Tensor:
    """Return ``logp_BTV``, the distribution that each of the batch's tokens was drawn from."""
    if packs(model):
        states = read(model, batch, after=False)
        hidden_BTH = states.hidden_NH[states.state_BU[:, :-1]]
        logits_BTV = model.get_output_embeddings()(hidden_BTH)
    else:
        logits_BTV, _ = _padded_logits(model, batch)
    logp_BTV: Tensor = (logits_BTV.float() / temperature).log_softmax(-1)
    return logp_BTV


def _padded_logits(model: PreTrainedModel, batch: Batch) -> tuple[Tensor, States]:
    """Return ``logits_BTV`` by the model's own forward pass, and its states."""
    seen: list[Tensor] = []
    handle = model.base_model.register_forward_hook(
        lambda module, inputs, output: seen.append(output.last_hidden_state)
    )
    try:
        tokens = batch.token_BT.shape[1]
        output = model(**model_inputs(batch), use_cache=False, logits_to_keep=tokens + 1)
    finally:
        handle.remove()
    return output.logits[:, :-1], _padded_states(seen[0], batch)


def _logps(logits_BTV: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return ``logp_BT``, with gradient, and ``entropy_BT``, without, of all logits at once."""
    normaliser_BT = logits_BTV.logsumexp(-1)
    chosen_BT = logits_BTV.gather(-1, batch.token_BT[..., None])[..., 0]
    with torch.no_grad():
        # row by row: another tensor of B x T x V would be the largest of the whole pass
        entropy_BT = torch.stack(
            [
                torch.special.entr((logits_TV - normaliser_T[:, None]).exp()).sum(-1)
                for logits_TV, normaliser_T in zip(logits_BTV, normaliser_BT, strict=True)
            ]
        )
    logp_BT = (chosen_BT - normaliser_BT).masked_fill(batch.mask_BT == 0, 0.0)
    return logp_BT, entropy_BT * batch.mask_BT


def _padded_states(hidden_BSH: Tensor, batch: Batch) -> States:
    rows, width, _ = hidden_BSH.shape
    before = width - batch.token_BT.shape[1] - 1
    first_B1 = torch.arange(rows, device=hidden_BSH.device)[:, None] * width
    state_BU = first_B1 + torch.arange(before, width, device=hidden_BSH.device)
    return States(hidden_BSH.flatten(0, 1), state_BU)
