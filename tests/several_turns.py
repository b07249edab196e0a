"""Environments of several turns for the model of `small_world`, and a sampler with a script."""

from __future__ import annotations

from collections.abc import Sequence

from small_world import small_model

from bakeoff.envs import TextEnv
from bakeoff.models.loading import LanguageModel
from bakeoff.training.rollout import rollout
from bakeoff.training.sampling.protocol import Decoding, Finished
from bakeoff.types import Completion, Item

SMALL = small_model(1, layers=2)
END = 1
DECODING = Decoding(max_new_tokens=2)


def last_is_right(replies: Sequence[str], item: Item) -> float:
    return float(replies[-1] == item.answer and len(replies) == 2)


def one_is_right(replies: Sequence[str], item: Item) -> float:
    return float(item.answer in replies)


class Relay(TextEnv):
    """Anything, then the digit that the environment says: ``0?`` -> ``7`` -> ``2`` -> ``2``.

    What it says is in no prompt, so that a reply which does not heed it is right one time in three.
    """

    id = "test/Relay-v0"
    reply_tokens = 2
    turns = 2
    rewards = {"correct": (1.0, last_is_right)}  # noqa: RUF012

    def size(self, split: str) -> int:
        return 3

    def item(self, index: int, split: str = "train") -> Item:
        return Item(f"{self.id}/{split}/{index}", "0?", str(index), gold="0")

    def turn(self, item: Item, replies: Sequence[str]) -> str | None:
        return item.answer if len(replies) == 1 else None


class HigherLower(TextEnv):
    """Guess 1, 2 or 3 in two guesses; ``9`` means higher and ``0`` lower.

    Two fixed guesses find two secrets of three; who takes the answer into account finds all.
    """

    id = "test/HigherLower-v0"
    reply_tokens = 2
    turns = 2
    rewards = {"found": (1.0, one_is_right)}  # noqa: RUF012

    def size(self, split: str) -> int:
        return 3

    def item(self, index: int, split: str = "train") -> Item:
        return Item(f"{self.id}/{split}/{index}", "1?", str(index + 1), gold="2")

    def turn(self, item: Item, replies: Sequence[str]) -> str | None:
        if replies[-1] == item.answer:
            return None
        return "9" if replies[-1] < item.answer else "0"


class Script:
    """A sampler that writes given texts, one a turn, and remembers what it was asked."""

    kv_cache_bytes = 0

    def __init__(self, model: LanguageModel, *turns: Sequence[str]) -> None:
        self.model, self.turns = model, list(turns)
        self.contexts: list[list[tuple[int, ...]]] = []

    def sample(
        self,
        prompts: Sequence[tuple[int, ...]],
        n: int,
        decoding: Decoding,
        seed: int,
        finished: Finished | None = None,
        *,
        first: int = 0,
    ) -> list[Completion]:
        self.contexts.append(list(prompts))
        contexts = [prompt for prompt in prompts for _ in range(n)]
        texts = self.turns.pop(0)
        return [self._reply(*pair) for pair in zip(contexts, texts, strict=True)]

    def _reply(self, context: tuple[int, ...], text: str) -> Completion:
        """Write a text and end; a text that ends in "~" is cut off."""
        ids = tuple(self.model.tokenizer(text.rstrip("~"), add_special_tokens=False)["input_ids"])
        ids += () if text.endswith("~") else (self.model.eos_ids[0],)
        logprobs = tuple(-1.0 - place for place in range(len(ids)))
        return Completion(context, ids, logprobs, text.endswith("~"), text.rstrip("~"))


def played(
    environment: TextEnv, model: LanguageModel, script: Script, items: list[Item], n: int = 1
) -> list[Completion]:
    episodes, _ = rollout(environment, model, script, items, n, DECODING, 0)
    assert [item for item, _ in episodes] == [item for item in items for _ in range(n)]
    return [completion for _, completion in episodes]


def ids(text: str) -> tuple[int, ...]:
    return tuple(SMALL.tokenizer(text, add_special_tokens=False)["input_ids"])
