"""What the speed benchmarks train: a model, prompts of an exact length, and a reward with spread.

To compare like with like, every completion is made at its full length: the token that would end a
reply is one that is not in the vocabulary, here and in TRL alike, so neither pays for suppressing
one. Prompts are plain text, without a chat template, for the same reason.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from bakeoff.errors import unknown
from bakeoff.models import smollm2
from bakeoff.models.loading import LanguageModel, load
from bakeoff.types import Item, Score

MODELS = ("tiny", "30m", "smollm2", "0.5b")
"""``tiny`` and ``smollm2`` have their weights, the others random ones."""

DTYPES = {"fp32": torch.float32, "bf16_autocast": torch.float32, "bf16": torch.bfloat16}
"""The precisions of a run, and what the model's weights are in each."""


class Shape(NamedTuple):
    """What an update asks: prompts, completions of each, and the tokens of both."""

    prompts: int
    group: int
    prompt_tokens: int
    completion_tokens: int

    @property
    def completions(self) -> int:
        """How many completions there are."""
        return self.prompts * self.group

    def __str__(self) -> str:
        prompts, group, prompt_tokens, completion_tokens = self
        return f"{prompts} x {prompt_tokens} tokens x {group} x {completion_tokens}"


SHAPES = {
    "short": Shape(4, 8, 20, 32),
    "reasoning": Shape(2, 16, 256, 128),
    "long": Shape(2, 8, 1024, 64),
}


@dataclass(frozen=True)
class Endless(LanguageModel):
    """A language model whose replies never end, and whose prompts are plain text.

    Attributes:
        ends: how many tokens end a reply after all: the last ones of the vocabulary.
    """

    ends: int = 0

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """The tokens that end a reply; if none does, the one after the vocabulary's last."""
        vocabulary = int(self.model.config.get_text_config().vocab_size)
        return tuple(range(vocabulary - self.ends, vocabulary)) or (vocabulary,)

    @property
    def pad_id(self) -> int:
        """The token that fills up rows; it is never looked at."""
        pad: int | None = self.tokenizer.pad_token_id
        return 0 if pad is None else pad

    def prompt_ids(self, prompt: str) -> tuple[int, ...]:
        """Return the tokens of a prompt, without a template around it."""
        return tuple(self.tokenizer(prompt)["input_ids"])


class Texts:
    """An environment that asks the same texts in every update and pays by ``reward``."""

    id = "benchmark/Texts-v0"
    turns = 1

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def size(self, split: str) -> int:
        """Return the number of texts; one of them is for the evaluation, which cannot be none."""
        return len(self.texts) if split == "train" else 1

    def item(self, index: int, split: str) -> Item:
        """Return one text."""
        return Item(f"{self.id}/{split}/{index}", self.texts[index])

    def turn(self, item: Item, replies: Sequence[str]) -> None:
        """Say nothing more."""

    def score_many(
        self, items: Sequence[Item], replies: Sequence[str | Sequence[str]]
    ) -> list[Score]:
        """Judge replies by ``reward``."""
        found = [reward(reply if isinstance(reply, str) else reply[-1]) for reply in replies]
        return [Score(value, {"checksum": value}) for value in found]


def reward(text: str) -> float:
    """Return a number in [0, 1) that hardly two texts share: every group has spread.

    Example:
        >>> reward("ab") != reward("ba")
        True
    """
    return sum(place * ord(letter) for place, letter in enumerate(text, 1)) % 1009 / 1009


def prompts(tokenizer: Any, count: int, tokens: int) -> list[str]:
    """Return ``count`` texts of exactly ``tokens`` tokens each, the same ones every time.

    Raises:
        RuntimeError: the tokenizer does not take its own texts apart as it put them together.
    """
    rng = random.Random("speed prompts")
    found: list[str] = []
    for _ in range(1000 * count):
        words = [f"{rng.randrange(100)} + {rng.randrange(100)} = ?" for _ in range(tokens)]
        ids = tokenizer(" ".join(words))["input_ids"][:tokens]
        text = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        if tokenizer(text)["input_ids"] == ids and text not in found:
            found.append(text)
        if len(found) == count:
            return found
    raise RuntimeError(f"no {count} prompts of {tokens} tokens were found")


def endless(name: str, precision: str = "fp32", device: str = "cpu") -> Endless:
    """Return one of ``MODELS``, with the weights that a run in a precision starts from.

    Raises:
        UsageError: there is no such model.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    if name in ("tiny", "smollm2"):
        loaded = load(name, dtype=DTYPES[precision], device=device)
        return Endless(loaded.model, loaded.tokenizer, name)
    from transformers import AutoTokenizer

    config = _config(name)
    own = AutoTokenizer.from_pretrained(str(smollm2.fetch())) if name == "30m" else None
    tokenizer = _characters(config.vocab_size) if own is None else own
    return Endless(_random_weights(config, DTYPES[precision], device), tokenizer, name)


def _config(name: str) -> Any:
    """Return the configuration of a model with random weights."""
    from transformers import LlamaConfig

    # 29.9 million parameters, 18.9 of them in the embedding; and the sizes of Qwen2-0.5B
    sizes = {
        "30m": {"vocab_size": 49152, "hidden_size": 384, "intermediate_size": 1024,
                "num_hidden_layers": 7, "num_attention_heads": 6, "num_key_value_heads": 2},
        "0.5b": {"vocab_size": 151936, "hidden_size": 896, "intermediate_size": 4864,
                 "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2},
    }[name]  # fmt: skip
    return LlamaConfig(
        **sizes,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )


def _random_weights(config: Any, dtype: torch.dtype, device: str) -> Any:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return model.eval().to(device)


def _characters(vocabulary: int) -> Any:
    """Return a tokenizer of printable characters, with made-up words for all other tokens."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<end>", "<unk>", *map(chr, range(32, 127))]
    words += [f"<{number}>" for number in range(vocabulary - len(words))]
    places = {word: place for place, word in enumerate(words)}
    fast = Tokenizer(models.WordLevel(places, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    fast.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=fast, pad_token="<pad>", eos_token="<end>", unk_token="<unk>"
    )
