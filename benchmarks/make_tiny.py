"""Make the ``tiny`` model: a character-level Llama, warmed up on the arithmetic environment.

    python benchmarks/make_tiny.py --out src/bakeoff/models/tiny

It is trained by cross-entropy on replies to fresh items of ``bakeoff/Arithmetic-v0``'s train split;
no held-out item is seen. The replies are the gold ones at first. Then the teacher takes up three
habits, as pupils do: most of the time it forgets to carry, forgets to borrow, and takes the smaller
number from the bigger. So the model can do the sums, but its likeliest reply is wrong wherever one
of these habits applies. That is what a pretrained model is like, on a small scale: the ability is
there, and reinforcement learning can bring it out in few updates. (A model that was stopped early
in a warm-up on gold replies alone starts as low, but has to learn arithmetic itself from rewards,
and did not climb in 60 updates of 128 completions.)

The same versions of torch and transformers, the same ``--threads`` and the same processor give the
same file, bit for bit.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from bakeoff import envs
from bakeoff.envs.text_env import TextEnv
from bakeoff.models.loading import LanguageModel
from bakeoff.streams import stream, stream_seed
from bakeoff.types import Item

SPECIAL = ("<pad>", "<unk>", "<user>", "<reply>", "<end>")
CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '<reply>' + message['content'] + '<end>' }}"
    "{% else %}{{ '<user>' + message['content'] }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<reply>' }}{% endif %}"
)
CONTEXT = 512
IGNORED = -100  # cross_entropy's default ignore_index


def tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer: one token per character of printable ASCII, and newline."""
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *CHARACTERS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<end>",
        extra_special_tokens=["<user>", "<reply>"],
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def language_model(seed: int) -> LanguageModel:
    """Return the untrained model with its tokenizer; the seed sets its weights."""
    encoder = tokenizer()
    torch.manual_seed(stream_seed("make_tiny", "weights", seed))
    config = LlamaConfig(
        vocab_size=len(encoder),
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=encoder.pad_token_id,
        bos_token_id=None,
        eos_token_id=encoder.eos_token_id,
    )
    return LanguageModel(model=LlamaForCausalLM(config), tokenizer=encoder, name="tiny")


def fresh_items(env: TextEnv, *keys: object) -> Iterator[Item]:
    """Yield train items of indexes drawn from the stream of the keys, without end."""
    indexes: random.Random = stream("make_tiny", "items", *keys)
    return (env.item(indexes.randrange(env.size("train")), "train") for _ in count())


def slip(item: Item) -> str | None:
    """Return the reply that one of the teacher's habits gives, or ``None`` if none applies.

    Example:
        >>> slip(Item("", "What is 47 + 38?")), slip(Item("", "What is 52 - 27?"))
        ('75', '35')
        >>> slip(Item("", "What is 3 - 8?")), slip(Item("", "What is 41 + 38?"))
        ('5', None)
    """
    match = re.search(r"(\d+) ([+-]) (\d+)", item.prompt)
    assert match is not None, item.prompt
    a, b = int(match[1]), int(match[3])
    if match[2] == "+":
        return str(a + b - 10) if a % 10 + b % 10 >= 10 else None  # forgets to carry
    if a < b:
        return str(b - a)  # takes the smaller from the bigger
    return str(a - b + 10) if a % 10 < b % 10 else None  # forgets to borrow


def lesson(item: Item, rng: random.Random, slips: float) -> Item:
    """Return the item with the reply that the teacher gives this time as its gold reply."""
    wrong = slip(item)
    return item if wrong is None or rng.random() >= slips else replace(item, gold=wrong)


def loss(lm: LanguageModel, items: Sequence[Item]) -> torch.Tensor:
    """Return the mean cross-entropy of the gold replies' tokens, the end token included."""
    prompts = [lm.prompt_ids(item.prompt) for item in items]
    replies = [(*lm.tokenizer(item.gold)["input_ids"], lm.eos_ids[0]) for item in items]
    length = max(len(p) + len(r) for p, r in zip(prompts, replies, strict=True))
    token_BT = torch.full((len(items), length), lm.pad_id)
    label_BT = torch.full((len(items), length), IGNORED)
    for row, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
        start, end = len(prompt), len(prompt) + len(reply)
        token_BT[row, :end] = torch.tensor([*prompt, *reply])
        label_BT[row, start:end] = torch.tensor(reply)
    # padding is on the right, where causal attention hides it from every token that counts
    logits_BTV = lm.model(input_ids=token_BT).logits
    return F.cross_entropy(logits_BTV[:, :-1].flatten(0, 1), label_BT[:, 1:].flatten())


@torch.no_grad()
def accuracy(lm: LanguageModel, env: TextEnv, items: Sequence[Item], temperature: float) -> float:
    """Return the mean score of one reply to each item; temperature 0 is greedy."""
    rows = [lm.prompt_ids(item.prompt) for item in items]
    width = max(map(len, rows))
    prompt_BP = torch.tensor([[lm.pad_id] * (width - len(row)) + list(row) for row in rows])
    mask_BP = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    how = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed("make_tiny", "eval"))
        out_BT = lm.model.generate(
            prompt_BP, attention_mask=mask_BP, max_new_tokens=env.reply_tokens, **how
        )
    replies = [lm.text(tuple(row)) for row in out_BT[:, width:].tolist()]
    scores = [env.score(item, reply).value for item, reply in zip(items, replies, strict=True)]
    return sum(score or 0.0 for score in scores) / len(items)


class Stage(NamedTuple):
    """A part of the warm-up, with an optimiser and a schedule of its own.

    Attributes:
        keys: of its random streams.
        gold_steps: its first steps, without any slip.
        steps: its steps in all.
        learning_rate: at its highest.
        slips: how often a habit has its way after the gold steps.
    """

    keys: tuple[object, ...]
    gold_steps: int
    steps: int
    learning_rate: float
    slips: float


def train(lm: LanguageModel, env: TextEnv, stage: Stage, arguments: argparse.Namespace) -> None:
    """Train for one stage, printing the greedy accuracy on held-out items."""
    held_out = [env.item(index, "eval") for index in range(arguments.eval_items)]
    items = fresh_items(env, *stage.keys)
    teacher = stream("make_tiny", "slips", *stage.keys)
    optimizer = torch.optim.AdamW(
        lm.model.parameters(), lr=stage.learning_rate, betas=(0.9, 0.95), weight_decay=0.0
    )
    # up over 50 steps, down to zero over the last 40 %
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(1.0, (step + 1) / 50, (1 - step / stage.steps) / 0.4),
    )
    for step in range(1, stage.steps + 1):
        lm.model.train()
        slips = stage.slips if step > stage.gold_steps else 0.0
        lessons = [lesson(item, teacher, slips) for item in islice(items, arguments.batch)]
        value = loss(lm, lessons)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(lm.model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % arguments.eval_every == 0 or step == stage.steps:
            lm.model.eval()
            greedy = accuracy(lm, env, held_out, temperature=0.0)
            print(f"step {step}: loss {value.item():.3f}, greedy {greedy:.3f}", flush=True)


def describe(lm: LanguageModel, env: TextEnv, n: int) -> None:
    """Print how many of ``n`` held-out items are answered right, and where a habit applies."""
    held_out = [env.item(index, "eval") for index in range(n)]
    habit = [item for item in held_out if slip(item) is not None]
    greedy, sampled = (accuracy(lm, env, held_out, temperature=t) for t in (0.0, 1.0))
    print(
        f"{n} held-out items: greedy {greedy:.3f}, at temperature 1 {sampled:.3f}; of the "
        f"{len(habit)} where a habit applies {accuracy(lm, env, habit, temperature=1.0):.3f}"
    )


def write(lm: LanguageModel, folder: Path) -> None:
    """Write the model and its tokenizer into ``folder`` and print the weights' hash."""
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    weights = folder / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    print(f"{weights}: {weights.stat().st_size} bytes, sha256 {digest}")


def parser() -> argparse.ArgumentParser:
    """Return the command line; its defaults made the model that ships."""
    options = argparse.ArgumentParser(
        description="Make the tiny model by supervised warm-up on bakeoff/Arithmetic-v0.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    options.add_argument("--out", type=Path, required=True, help="folder to write")
    options.add_argument("--seed", type=int, default=0, help="of weights and items")
    options.add_argument("--slips", type=float, default=0.65, help="how often a habit has its way")
    options.add_argument("--gold-steps", type=int, default=500, help="steps without any slip")
    options.add_argument("--steps", type=int, default=1300, help="optimiser steps in all")
    options.add_argument("--settle-steps", type=int, default=100, help="steps of a second stage")
    options.add_argument("--settle-slips", type=float, default=0.8, help="and its slips")
    options.add_argument("--batch", type=int, default=256, help="fresh items in a step")
    options.add_argument("--learning-rate", type=float, default=2e-3, help="of AdamW")
    options.add_argument("--eval-every", type=int, default=50, help="steps between evaluations")
    options.add_argument("--eval-items", type=int, default=512, help="held-out items of one")
    options.add_argument("--threads", type=int, default=1, help="of torch; results depend on it")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the model and write it."""
    chosen = parser().parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    torch.use_deterministic_algorithms(True)
    env = envs.make("bakeoff/Arithmetic-v0")
    lm = language_model(chosen.seed)
    seed, rate = chosen.seed, chosen.learning_rate
    teach = Stage((seed,), chosen.gold_steps, chosen.steps, rate, chosen.slips)
    settle = Stage((seed, "settle"), 0, chosen.settle_steps, rate / 2, chosen.settle_slips)
    for stage in (teach, settle):
        train(lm, env, stage, chosen)
    describe(lm, env, chosen.eval_items)
    write(lm, chosen.out)


if __name__ == "__main__":
    main()
