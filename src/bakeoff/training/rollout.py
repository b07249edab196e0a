"""Rollouts: items in, finished episodes out, over one turn or several.

An episode of several turns is one sequence of tokens: replies, and between them what the
environment said. Only the replies' tokens count for the loss; the others are context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bakeoff.streams import stream_seed
from bakeoff.training.sampling.protocol import Decoding, Finished, Sampler
from bakeoff.types import Completion, Environment, Item

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel


def rollout(
    environment: Environment,
    language_model: LanguageModel,
    sampler: Sampler,
    items: Sequence[Item],
    n: int,
    decoding: Decoding,
    seed: int,
    finished: Finished | None = None,
) -> tuple[list[tuple[Item, Completion]], int]:
    """Have the policy answer items, ``n`` times each.

    An episode ends when the environment has nothing to add, when a reply is cut off, when the
    environment's number of turns is used up, or when the context is full (it is truncated then).

    Args:
        environment: says what comes after a reply.
        language_model: turns text into tokens and back.
        sampler: writes the replies.
        items: what is asked.
        n: episodes of each item.
        decoding: how tokens are chosen; ``max_new_tokens`` is of one reply.
        seed: of the random numbers.
        finished: is told of each episode as soon as it is over, and of its place among them; not
            in an environment of several turns, where one goes on as long as others do.

    Returns:
        The episodes, those of one item next to each other, and the bytes of the largest cache.

    Raises:
        FloatingPointError: the model's logits are not finite.
    """
    prompts = [language_model.prompt_ids(item.prompt) for item in items]
    told = finished if environment.turns == 1 else None
    completions = sampler.sample(prompts, n, decoding, seed, told)
    cache_bytes = sampler.kv_cache_bytes
    owners = [item for item in items for _ in range(n)]
    if environment.turns > 1:
        completions = [replace(one, replies=(one.text,)) for one in completions]
    for turn in range(1, environment.turns):
        asked: dict[int, Completion] = {}
        for number, (item, episode) in enumerate(zip(owners, completions, strict=True)):
            said = None
            if not episode.truncated and len(episode.replies) == turn:
                said = environment.turn(item, episode.replies)
            if said is None:
                continue
            longer = observed(episode, language_model.observation_ids(said))
            if fits(longer, decoding, language_model):
                asked[number] = longer
            else:
                completions[number] = replace(episode, truncated=True)
        if not asked:
            break
        contexts = [one.prompt_ids + one.token_ids for one in asked.values()]
        replies = sampler.sample(contexts, 1, decoding, stream_seed("turn", seed, turn))
        cache_bytes = max(cache_bytes, sampler.kv_cache_bytes)
        for (number, episode), reply in zip(asked.items(), replies, strict=True):
            completions[number] = answered(episode, reply, language_model)
    return list(zip(owners, completions, strict=True)), cache_bytes


def observed(episode: Completion, ids: tuple[int, ...]) -> Completion:
    """Return an episode with the tokens of an observation at its end."""
    return replace(
        episode,
        token_ids=episode.token_ids + ids,
        logprobs=episode.logprobs + (0.0,) * len(ids),
        mask=(episode.mask or (1,) * len(episode.token_ids)) + (0,) * len(ids),
    )


def answered(episode: Completion, reply: Completion, language_model: LanguageModel) -> Completion:
    """Return an episode with another reply at its end."""
    token_ids = episode.token_ids + reply.token_ids
    return replace(
        episode,
        token_ids=token_ids,
        logprobs=episode.logprobs + reply.logprobs,
        mask=episode.mask + (1,) * len(reply.token_ids),
        truncated=reply.truncated,
        text=language_model.text(token_ids),
        replies=(*episode.replies, reply.text),
    )


def fits(episode: Completion, decoding: Decoding, language_model: LanguageModel) -> bool:
    """Tell whether another reply fits the model's context."""
    config = language_model.model.config.get_text_config()
    context = getattr(config, "max_position_embeddings", None)
    length = len(episode.prompt_ids) + len(episode.token_ids) + decoding.max_new_tokens
    return context is None or length <= context
