"""A transformer and an environment small enough to learn within a test."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from bakeoff.algorithms import make
from bakeoff.algorithms.stages import credited
from bakeoff.models.loading import LanguageModel
from bakeoff.training.batch import collate
from bakeoff.training.config import TrainConfig, train_config
from bakeoff.training.learner import Learner
from bakeoff.training.loop import Training
from bakeoff.training.meter import Meter
from bakeoff.training.sampling.builtin import sampler_of
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.types import Batch, Item, Metrics, Score

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


class EvenPrompts(Successor):
    """Pays for even prompts, whatever the reply: what a critic can know in advance."""

    def score(self, item: Item, reply: str) -> Score:
        return Score(float(int(item.prompt[0]) % 2 == 0), {})


class EvenReplies(Successor):
    """Pays for replies that begin with an even digit: often enough to learn from at once."""

    def score(self, item: Item, reply: str) -> Score:
        return Score(float(reply[:1] in list("02468")), {})


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


class Resumed(NamedTuple):
    """A run without a stop, one that went on where another was stopped, and metrics by update."""

    whole: Training
    resumed: Training
    expected: dict[int, Metrics]
    metrics: dict[int, Metrics]


def stopped_and_resumed(run: Callable[[], Training], folder: Path, last: int) -> Resumed:
    """Stop a run after its update ``last``, one past a checkpoint, and go on with another."""
    whole = run()
    expected = {report.update: report.metrics for report in whole.run()}
    for report in run().run(folder):
        if report.update == last:
            break
    resumed = run()
    metrics = {report.update: report.metrics for report in resumed.run(folder)}
    return Resumed(whole, resumed, expected, metrics)


def sampled_batch(model: LanguageModel, n: int = 12) -> Batch:
    """``n`` completions of three prompts of unequal lengths; every third has a reward of 1."""
    prompts = [model.prompt_ids(text) for text in ("1?", "23?", "456?")]
    completions = sampler_of(model).sample(prompts, n // 3, Decoding(max_new_tokens=9), 0)
    rewards = [float(i % 3 == 0) for i in range(n)]
    return collate(
        completions,
        rewards,
        [i // (n // 3) for i in range(n)],
        limit=9,
        pad_id=0,
        greedy=[0.25] * n,
    )


def annotated(learner: Learner, batch: Batch) -> Batch:
    """A batch with all that a learner's models and its algorithm say of it."""
    batch = learner.annotate(batch, Meter("cpu"))
    return credited(learner.algorithm, batch)
