"""A transformer and an environment small enough to learn within a test."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from bakeoff.algorithms import make
from bakeoff.models.loading import LanguageModel
from bakeoff.training.config import TrainConfig, train_config
from bakeoff.training.loop import Training
from bakeoff.training.meter import Meter
from bakeoff.types import Item, Score

CHARACTERS = "0123456789?"


class Successor:
    """Given a digit, write the next one, modulo ten: ``3?`` -> ``4``."""

    id = "test/Successor-v0"
    reply_tokens = 2

    turns = 1

    def turn(self, item: Item, replies: Sequence[str]) -> None:
        return None

    def size(self, split: str) -> int:
        return 10

    def item(self, index: int, split: str) -> Item:
        answer = str((index + 1) % 10)
        return Item(f"{self.id}/{split}/{index}", f"{index}?", answer, answer)

    def score(self, item: Item, reply: str) -> Score:
        value = float(reply == item.answer)
        return Score(value, {"correct": value})

    def score_many(self, items: Sequence[Item], replies: Sequence[str]) -> list[Score]:
        return list(map(self.score, items, replies))


@functools.cache
def tokenizer() -> PreTrainedTokenizerFast:
    words = {"<pad>": 0, "<end>": 1, "<unk>": 2}
    words |= {character: index + 3 for index, character in enumerate(CHARACTERS)}
    fast = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    fast.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=fast, pad_token="<pad>", eos_token="<end>", unk_token="<unk>"
    )


def small_model(seed: int = 0, *, hidden: int = 32, layers: int = 1) -> LanguageModel:
    """A Llama of some ten thousand random weights; the same for the same seed."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=16,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    return LanguageModel(LlamaForCausalLM(config).eval(), tokenizer(), "small")


def small_config(**knobs: object) -> TrainConfig:
    """A configuration that runs in a moment."""
    values = {
        "updates": 3,
        "prompts_per_update": 4,
        "group_size": 4,
        "eval_items": 10,
        "eval_every": 100,
        "max_new_tokens": 2,
        "learning_rate": 1e-2,
    }
    return train_config(values | knobs)


def small_training(
    algorithm: str = "grpo", *, seed: int = 0, environment: object = None, **knobs: object
) -> Training:
    """A run of a small model on the successor environment."""
    return Training(
        small_model(seed),
        environment or Successor(),  # type: ignore[arg-type]
        make(algorithm),
        small_config(**knobs),
        seed=seed,
        meter=Meter("cpu"),
    )
