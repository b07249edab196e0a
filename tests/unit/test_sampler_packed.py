"""The packed sampler beside the padded one: the same completions, in less memory and time."""

from contextlib import nullcontext

import pytest
import torch
from small_world import small_model
from transformers import LlamaForCausalLM

from bakeoff.models.loading import LanguageModel
from bakeoff.training import adapters
from bakeoff.training.batch import collate
from bakeoff.training.sampling.builtin import sampler_of
from bakeoff.training.sampling.packed import PackedSampler
from bakeoff.training.sampling.padded import PaddedSampler
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.training.scoring import token_logps
from bakeoff.types import Completion

MODEL = small_model(1, layers=2)
TEXTS = ("1?", "23?", "456789?", "0?", "5555555555?", "1?", "77?")
PROMPTS = [MODEL.prompt_ids(text) for text in TEXTS]
ONE_TOKEN_BYTES = 2 * 2 * 1 * 16 * 4
"""2 layers x (keys + values) x 1 head x 16 wide x 4 bytes."""


def alike(some: list[Completion], others: list[Completion]) -> bool:
    """Tell whether two samplers wrote the same, with the same log-probabilities to 1e-5."""
    return all(
        one.token_ids == other.token_ids
        and one.truncated == other.truncated
        and (one.prompt_ids, one.text) == (other.prompt_ids, other.text)
        and one.logprobs == pytest.approx(other.logprobs, rel=0, abs=1e-5)
        for one, other in zip(some, others, strict=True)
    )


@pytest.mark.parametrize(
    ("n", "rows", "temperature"),
    [
        (1, 3, 1.0),
        (3, 16, 1.0),
        (8, 6, 1.0),
        (8, 100, 1.0),
        (3, 5, 0.0),
    ],
)
def test_completions_are_those_of_the_padded_sampler(n: int, rows: int, temperature: float) -> None:
    """Uneven prompts, early ends, rows that wait and enter in several rounds: nothing shows."""
    decoding = Decoding(max_new_tokens=16, temperature=temperature)

    packed = PackedSampler(MODEL, rows=rows).sample(PROMPTS, n, decoding, 3)

    assert alike(packed, PaddedSampler(MODEL, rows=100).sample(PROMPTS, n, decoding, 3))


def test_prompts_that_do_not_fit_one_pass_are_read_in_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoding = Decoding(max_new_tokens=8)
    at_once = PackedSampler(MODEL, rows=14).sample(PROMPTS * 2, 2, decoding, 0)

    monkeypatch.setattr("bakeoff.training.sampling.packed.PREFILL_TOKENS", 7)
    pieces = PackedSampler(MODEL, rows=14).sample(PROMPTS * 2, 2, decoding, 0)

    assert alike(pieces, at_once)


def test_a_straggler_does_not_hold_the_others() -> None:
    sampler = PackedSampler(MODEL, rows=4)
    completions = sampler.sample(PROMPTS, 4, Decoding(max_new_tokens=48), 0)
    lengths = [len(one.token_ids) for one in completions]

    # a batch that waits for its longest completion takes as many passes as that has tokens
    batches = sum(max(lengths[start : start + 4]) for start in range(0, 28, 4))

    assert max(lengths) > 4 * min(lengths)
    assert sampler.steps < 0.8 * batches


def test_each_pass_writes_a_token_of_every_row_that_is_running() -> None:
    sampler = PackedSampler(MODEL, rows=8)
    completions = sampler.sample(PROMPTS[:2], 4, Decoding(max_new_tokens=24), 0)

    # all 8 enter at once: as many passes as the longest has tokens
    assert sampler.steps == max(len(one.token_ids) for one in completions)


def test_a_prompt_is_cached_once_for_its_group() -> None:
    sampler = PackedSampler(MODEL)
    sampler.sample([PROMPTS[2]], 8, Decoding(max_new_tokens=1), 0)

    # the prompt's 7 tokens; the only tokens that are sampled are never read
    assert sampler.kv_cache_bytes == 7 * ONE_TOKEN_BYTES


def test_the_cache_is_bounded_by_slots_and_the_prompts_that_are_running() -> None:
    sampler = PackedSampler(MODEL, rows=4)
    sampler.sample(PROMPTS, 4, Decoding(max_new_tokens=40), 0)

    # 4 slots of all but the last token, and 4 prompts at most, padded to the longest, of 11 tokens
    assert sampler.kv_cache_bytes <= (4 * 39 + 4 * 11) * ONE_TOKEN_BYTES


def test_the_cache_grows_with_the_completions_and_not_to_the_limit_at_once() -> None:
    sampler = PackedSampler(MODEL, rows=4)
    completions = sampler.sample(PROMPTS[:1], 4, Decoding(max_new_tokens=60), 5)
    longest = max(len(one.token_ids) for one in completions)
    assert longest < 25

    # steps of 16, 24 tokens; the prompt has 2
    assert sampler.kv_cache_bytes <= (4 * 24 + 2) * ONE_TOKEN_BYTES


@pytest.mark.parametrize("autocast", [False, True])
def test_in_16_bits_the_cache_takes_half(autocast: bool) -> None:
    model = small_model(1, layers=2)
    if not autocast:
        model.model.to(torch.bfloat16)
    sampler = PackedSampler(model)
    with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
        sampler.sample([PROMPTS[2]], 8, Decoding(max_new_tokens=1), 0)

    assert sampler.kv_cache_bytes == 7 * ONE_TOKEN_BYTES // 2


@pytest.mark.parametrize("autocast", [False, True])
def test_in_16_bits_log_probabilities_are_those_of_training(autocast: bool) -> None:
    model = small_model(1, layers=2)
    if not autocast:
        model.model.to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
        completions = PackedSampler(model, rows=9).sample(PROMPTS, 4, Decoding(max_new_tokens=9), 0)
        batch = collate(completions, [0.0] * 28, [0] * 28, limit=9, pad_id=0)
        logp_BT, _ = token_logps(model.model, batch)

    # 8 bits of a logit of about 1, after two layers: a few times 2**-9
    torch.testing.assert_close(logp_BT.detach(), batch.logp_old_BT, rtol=0, atol=0.02)


def with_adapter() -> LanguageModel:
    """A model with an adapter that changes what it says."""
    pytest.importorskip("peft")
    model = small_model(1, layers=2)
    adapters.add(model.model, "policy", rank=2, alpha=4)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in adapters.parameters(model.model, "policy")[1::2]:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


def test_an_adapter_that_is_on_shows_in_the_completions() -> None:
    model, decoding = with_adapter(), Decoding(max_new_tokens=12)

    packed = PackedSampler(model, rows=9).sample(PROMPTS, 4, decoding, 0)

    assert alike(packed, PaddedSampler(model).sample(PROMPTS, 4, decoding, 0))
    assert not alike(packed, PaddedSampler(MODEL).sample(PROMPTS, 4, decoding, 0))


def test_an_adapter_that_is_added_into_the_weights_gives_the_same_completions() -> None:
    model, decoding = with_adapter(), Decoding(max_new_tokens=12)
    beside = PackedSampler(model, rows=9).sample(PROMPTS, 4, decoding, 0)

    with adapters.merged(model.model, "policy"):
        merged = PackedSampler(model, rows=9).sample(PROMPTS, 4, decoding, 0)

    assert alike(merged, beside)


def test_heads_with_keys_of_their_own_are_read_right() -> None:
    model = small_model(1, layers=2)
    config = type(model.model.config)(**{**model.model.config.to_dict(), "num_key_value_heads": 2})
    own = LanguageModel(LlamaForCausalLM(config).eval(), model.tokenizer, "own keys")
    decoding = Decoding(max_new_tokens=12)

    packed = PackedSampler(own, rows=9).sample(PROMPTS, 4, decoding, 0)

    assert alike(packed, PaddedSampler(own).sample(PROMPTS, 4, decoding, 0))


def test_a_model_that_sees_nearby_tokens_only_is_sampled_with_its_own_cache() -> None:
    model = small_model(1, layers=2)
    model.model.config.layer_types = ["full_attention", "sliding_attention"]

    assert isinstance(sampler_of(model), PaddedSampler)
    assert isinstance(sampler_of(MODEL), PackedSampler)


def test_logits_that_are_not_finite_are_an_error_of_the_sampler() -> None:
    model = small_model(1)
    with torch.no_grad():
        model.model.lm_head.weight[3, 0] = torch.nan

    with pytest.raises(FloatingPointError, match="not finite"):
        PackedSampler(model).sample(PROMPTS, 2, Decoding(max_new_tokens=2), 0)
