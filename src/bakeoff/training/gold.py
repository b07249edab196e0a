"""Gold replies as completions: what supervised learning learns from, in the form of samples.

Nobody sampled them, so their log-probabilities are nan: an algorithm that makes a ratio of them
has a loss that is not finite, and ends as diverged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bakeoff.errors import UsageError
from bakeoff.training.rollout import answered, fits, observed
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.types import Completion, Environment, Item

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel


def gold_completion(
    environment: Environment, language_model: LanguageModel, item: Item, decoding: Decoding
) -> Completion:
    """Write an item's gold reply, or its gold episode if there are several turns.

    Each reply ends with an end-of-sequence token. One that is longer than ``max_new_tokens``, that
    token included, is cut off and truncated, as a sampled one would be.

    Raises:
        UsageError: the environment has no gold reply, or it does not fit the model's context.
    """
    episode = Completion(language_model.prompt_ids(item.prompt), (), (), False, "")
    if not fits(episode, decoding, language_model):
        raise UsageError(
            f"the prompt of item '{item.id}' and max_new_tokens {decoding.max_new_tokens} do not "
            f"fit the context of model '{language_model.name}'"
        )
    while True:
        text = _gold_text(environment, item, episode.replies)
        episode = answered(episode, _reply(text, language_model, decoding), language_model)
        if episode.truncated or len(episode.replies) == environment.turns:
            return episode
        said = environment.turn(item, episode.replies)
        if said is None:
            return episode
        longer = observed(episode, language_model.observation_ids(said))
        if not fits(longer, decoding, language_model):
            return replace(episode, truncated=True)
        episode = longer


def _gold_text(environment: Environment, item: Item, said: Sequence[str]) -> str:
    """Return the next gold reply: the environment's, or of one turn the item's own.

    Raises:
        UsageError: there is none.
    """
    next_reply: Callable[[Item, Sequence[str]], str] | None
    next_reply = getattr(environment, "gold_reply", None)
    text = item.gold if environment.turns == 1 else ""
    if next_reply is not None:
        text = next_reply(item, said)
    if not text:
        raise UsageError(
            f"the algorithm learns from gold replies; environment '{environment.id}' has none for "
            f"item '{item.id}'"
        )
    return text


def _reply(text: str, language_model: LanguageModel, decoding: Decoding) -> Completion:
    """Return a reply as if it had been sampled, but for its log-probabilities."""
    ids = tuple(language_model.tokenizer(text, add_special_tokens=False)["input_ids"])
    whole = (*ids, end_id(language_model))
    cut = whole[: decoding.max_new_tokens]
    truncated = len(cut) < len(whole)
    written = language_model.text(cut) if truncated else text
    return Completion((), cut, (math.nan,) * len(cut), truncated, written)


def end_id(language_model: LanguageModel) -> int:
    """Return the token that ends a reply: the one that the chat template puts there, if any.

    A model may have several end-of-sequence tokens; without a template it is the tokenizer's.

    Raises:
        ModelError: the model has none.
    """
    tokenizer, ends = language_model.tokenizer, language_model.eos_ids
    if tokenizer.chat_template is not None:
        said = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "@@"}]
        after = tokenizer.apply_chat_template(said, tokenize=False).rpartition("@@")[2]
        for end, token in zip(ends, tokenizer.convert_ids_to_tokens(list(ends)), strict=True):
            if after.startswith(token):
                return end
    own: int | None = tokenizer.eos_token_id
    return ends[0] if own is None or own not in ends else own
