"""Packed rows give what padded rows give, with every prompt read once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from packed_world import MAKES, SIZES, model_of, random_batch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from bakeoff.training import scoring
from bakeoff.training.batch import model_inputs
from bakeoff.training.packing import packed as packed_module
from bakeoff.training.packing.packed import packed
from bakeoff.training.packing.segments import Segments, dense, segment_attention
from bakeoff.training.packing.support import packs
from bakeoff.training.scoring import logps_and_states, read, token_logps
from bakeoff.types import Batch

Outcome = tuple[Tensor, Tensor, list[Tensor]]


def outcome(model: PreTrainedModel, batch: Batch) -> Outcome:
    """Log-probabilities, entropies and the gradient of a random sum of the former."""
    logp_BT, entropy_BT, _ = logps_and_states(model, batch, temperature=0.7)
    weight_BT = torch.randn(logp_BT.shape, generator=torch.Generator().manual_seed(1))
    (logp_BT * weight_BT * batch.mask_BT).sum().backward()
    gradients = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    model.zero_grad()
    return logp_BT.detach(), entropy_BT, gradients


def padded(monkeypatch: pytest.MonkeyPatch, model: PreTrainedModel, batch: Batch) -> Outcome:
    with monkeypatch.context() as patched:
        patched.setattr(scoring, "packs", lambda model: False)
        return outcome(model, batch)


def differences(one: Outcome, other: Outcome) -> tuple[float, float, float]:
    """The largest differences of log-probabilities, entropies, and gradients (to their largest)."""
    largest = max(float(grad.abs().max()) for grad in other[2])
    gaps = [float((a - b).abs().max()) for a, b in zip(one[2], other[2], strict=True)]
    return (
        float((one[0] - other[0]).abs().max()),
        float((one[1] - other[1]).abs().max()),
        max(gaps) / largest,
    )


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("seed", range(3))
def test_packed_rows_give_the_numbers_and_gradients_of_padded_ones(
    make: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = model_of(make), random_batch(seed)
    assert packs(model)
    # the same sums in another order: some 1e-7 each
    assert max(differences(outcome(model, batch), padded(monkeypatch, model, batch))) < 1e-5


@pytest.mark.parametrize("make", ["llama", "gpt2"])
def test_the_way_of_other_devices_gives_the_same(
    make: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = model_of(make), random_batch(3)
    expected = outcome(model, batch)
    monkeypatch.setattr(packed_module, "segment_attention", dense)
    assert max(differences(outcome(model, batch), expected)) < 1e-5


def test_a_row_whose_completions_do_not_see_their_prompt_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # planted bug: without the part across, completions would not know their prompts
    model, batch, new = model_of("llama"), random_batch(4), model_of("llama")
    expected = padded(monkeypatch, model, batch)
    assert packs(model)

    def blind(q: Tensor, k: Tensor, v: Tensor, row: Segments, scale: float) -> Tensor:
        return segment_attention(q, k, v, row._replace(across=()), scale)

    monkeypatch.setattr(packed_module, "segment_attention", blind)
    assert differences(outcome(model, batch), expected)[0] > 0.01
    assert not packs(new)  # a model that it is seen in for the first time is read padded


def test_a_prompt_is_in_the_row_once_and_a_completion_up_to_its_last_input() -> None:
    batch = random_batch(5)
    prompts = {
        tuple(row[mask > 0].tolist())
        for row, mask in zip(batch.prompt_BP, batch.prompt_mask_BP, strict=True)
    }
    last_B = (batch.mask_BT * torch.arange(1, batch.mask_BT.shape[1] + 1)).amax(1)
    # the last token of a completion predicts nothing
    assert len(packed(batch).token_N) == sum(map(len, prompts)) + int((last_B - 1).sum())
    assert len(packed(batch, after=True).token_N) == sum(map(len, prompts)) + int(last_B.sum())


def test_a_row_of_one_completion_and_one_token_is_just_its_prompt() -> None:
    batch = random_batch(0, prompts=1)
    one = batch.rows(torch.tensor([0]))
    one = one._replace(token_BT=one.token_BT[:, :1], mask_BT=torch.ones(1, 1))
    assert packed(one).token_N.tolist() == one.prompt_BP[0][one.prompt_mask_BP[0] > 0].tolist()


@pytest.mark.parametrize("make", ["llama", "gpt2"])
def test_states_are_those_of_padded_rows_also_after_the_last_token(
    make: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = model_of(make), random_batch(6)
    found = read(model, batch)
    monkeypatch.setattr(scoring, "packs", lambda model: False)
    expected = read(model, batch)
    tokens = batch.mask_BT.shape[1]
    last_B = (batch.mask_BT * torch.arange(1, tokens + 1)).amax(1)
    there_BU = torch.arange(tokens + 1) <= last_B[:, None]
    hidden, expected_hidden = (s.hidden_NH[s.state_BU][there_BU] for s in (found, expected))
    assert torch.allclose(hidden, expected_hidden, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_are_read_too(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = model_of("llama").to(dtype), random_batch(7)
    assert packs(model)
    # bf16 has 8 bits: logits of about 10 are rounded by up to 0.03, twice
    bound = 0.2 if dtype == torch.bfloat16 else 1e-5
    assert differences(outcome(model, batch), padded(monkeypatch, model, batch))[0] < bound


def test_under_autocast_the_weights_get_fp32_gradients_near_those_of_fp32() -> None:
    model, batch = model_of("llama"), random_batch(8)
    expected = outcome(model, batch)
    with torch.autocast("cpu", torch.bfloat16):
        logp_BT, _ = token_logps(model, batch, temperature=0.7)
    assert logp_BT.dtype == torch.float32
    gap = float((logp_BT.detach() - expected[0]).abs().max())
    assert 0 < gap < 0.3
    logp_BT.sum().backward()
    assert {weight.grad.dtype for weight in model.parameters() if weight.grad is not None} == {
        torch.float32
    }


UNPACKABLE: dict[str, Callable[[], PreTrainedModel]] = {
    "sees only the tokens nearby": lambda: model_of("mistral", sliding_window=8),
    "some layers see only the tokens nearby": lambda: model_of("gemma3_text"),
    "caps its attention and its logits": lambda: model_of("gemma2"),
    "scales its logits": lambda: model_of("cohere", logit_scale=0.25),
    "has a bias in its head": lambda: model_of("phi"),
}


@pytest.mark.parametrize("what", UNPACKABLE)
def test_a_model_that_is_read_otherwise_is_read_padded(what: str) -> None:
    model, batch = UNPACKABLE[what](), random_batch(9)
    assert not packs(model)
    inputs = model_inputs(batch)
    logits_BSV = model(**inputs, use_cache=False).logits
    expected_BTV = logits_BSV[:, batch.prompt_BP.shape[1] - 1 : -1].log_softmax(-1)
    expected_BT = expected_BTV.gather(-1, batch.token_BT[..., None])[..., 0] * batch.mask_BT
    assert torch.allclose(token_logps(model, batch)[0], expected_BT, atol=1e-5)


FULL = {"layer_types": ["full_attention"] * 2, "attn_logit_softcapping": None}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("make", "changes"),
    [
        ("gemma2", {**FULL, "final_logit_softcapping": 30.0}),  # caps its logits
        ("cohere", {"logit_scale": 0.25}),  # scales them
        ("bloom", {"n_layer": 2, "n_head": 4}),  # has attention of its own, which knows no layout
    ],
)
def test_fresh_weights_do_not_hide_what_a_model_does_otherwise(
    make: str, changes: dict[str, Any], dtype: torch.dtype
) -> None:
    # small weights: logits below 1, which a cap of 30 hardly changes, and nearly equal
    torch.manual_seed(0)
    config = AutoConfig.for_model(make, **{**SIZES, **changes})
    model = AutoModelForCausalLM.from_config(config).eval().to(dtype)
    assert not packs(model)


def test_a_pass_leaves_the_model_attending_as_before() -> None:
    model = model_of("llama")
    before = model.config._attn_implementation
    token_logps(model, random_batch(0))
    assert model.config._attn_implementation == before
