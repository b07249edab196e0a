"""What is explained: an item with better and worse replies, and others to set beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.errors import UsageError
from bakeoff.streams import stream_seed
from bakeoff.training.batch import collate
from bakeoff.training.gold import gold_completion
from bakeoff.training.judging import judged
from bakeoff.training.order import item_indices
from bakeoff.training.reports import Sample
from bakeoff.training.rollout import rollout
from bakeoff.training.sampling.builtin import sampler_of
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.types import Batch, Completion, Environment, Item

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel

MIXED, SEVERAL, RIGHT, WRONG = "mixed", "several", "all right", "none right"
KINDS = (MIXED, SEVERAL, RIGHT, WRONG)

GROUP_SIZE = 8
"""Replies to one item, as in the default comparison."""

ITEMS, ITEM_TOKENS, AT_ONCE = 64, 2048, 8
"""Items looked at, fewer where replies may be long, and how many of them are asked at a time."""


class Group(NamedTuple):
    """One item and what the policy replied to it.

    Attributes:
        item: what was asked.
        completions: the samples.
        rewards: the score of each.
        greedy_reward: the score of the greedy reply.
        gold: the reply that the item itself gives, if it gives one.
    """

    item: Item
    completions: tuple[Completion, ...]
    rewards: tuple[float, ...]
    greedy_reward: float
    gold: Completion | None

    @property
    def kinds(self) -> set[str]:
        """What the group is an example of: mixed scores, with several worse replies; equal ones."""
        low, high = min(self.rewards), max(self.rewards)
        if high > low:
            mean = math.fsum(self.rewards) / len(self.rewards)
            scored = zip(self.completions, self.rewards, strict=True)
            worse = {one.token_ids for one, reward in scored if reward < mean}
            return {MIXED, SEVERAL} if len(worse) > 1 else {MIXED}
        return {RIGHT} if low >= 1 - 1e-6 else {WRONG} if high <= 0 else set()


@dataclass(frozen=True)
class Scene:
    """The groups that are explained, and how they were found.

    Attributes:
        language_model: the policy that sampled them.
        environment: where the items are from.
        limit: how many tokens a completion might have had.
        groups: the first group of mixed scores; then the first with several worse replies, the
            first that is all right and the first that is all wrong, as far as they were met with.
    """

    language_model: LanguageModel
    environment: Environment
    limit: int
    groups: tuple[Group, ...]

    def samples(self, groups: Sequence[Group]) -> Batch:
        """Return the samples of some groups as a batch of ``len(groups) * GROUP_SIZE`` rows."""
        rows = [
            (completion, reward, number, group.greedy_reward)
            for number, group in enumerate(groups)
            for completion, reward in zip(group.completions, group.rewards, strict=True)
        ]
        completions, rewards, numbers, greedy = zip(*rows, strict=True)
        return self.batch(completions, numbers, rewards, greedy)

    def golds(self, groups: Sequence[Group]) -> Batch | None:
        """Return the gold replies of some groups as a batch, ``None`` if one has none."""
        golds = [group.gold for group in groups if group.gold is not None]
        if len(golds) < len(groups):
            return None
        return self.batch(golds, range(len(golds)))

    def batch(
        self,
        completions: Sequence[Completion],
        groups: Sequence[int],
        rewards: Sequence[float] | None = None,
        greedy: Sequence[float] | None = None,
    ) -> Batch:
        """Return some completions as a batch; without scores they are nan."""
        return collate(
            completions,
            [math.nan] * len(completions) if rewards is None else rewards,
            groups,
            limit=self.limit,
            pad_id=self.language_model.pad_id,
            greedy=greedy,
        )


def found(
    language_model: LanguageModel,
    environment: Environment,
    seed: int,
    *,
    reply_tokens: int,
    report: Callable[[str], None] = lambda text: None,
) -> Scene:
    """Return the first group of mixed scores of a seed, and those to set beside it.

    Items come in the order in which training asks them, ``AT_ONCE`` at a time.

    Args:
        language_model: the policy.
        environment: what asks and scores.
        seed: of the order of the items and of the samples.
        reply_tokens: how many tokens one reply may have.
        report: is told how far the search has come.

    Raises:
        UsageError: no item had replies of different scores.
    """
    n = min(ITEMS, max(AT_ONCE, ITEM_TOKENS // reply_tokens), environment.size("train"))
    met: dict[str, Group] = {}
    looked_at = 0
    for groups in _asked(language_model, environment, seed, n, reply_tokens):
        for group in groups:
            for kind in group.kinds:
                met.setdefault(kind, group)
        looked_at = min(n, looked_at + AT_ONCE)
        report(f"asked {looked_at} of up to {n} items")
        if len(met) == len(KINDS):
            break
    if MIXED not in met:
        raise UsageError(
            f"no item with better and worse replies among {looked_at} items of {environment.id} "
            f"with {GROUP_SIZE} replies of model '{language_model.name}' each; try another --seed, "
            "or an --env that the model sometimes solves, such as bakeoff/Arithmetic-v0"
        )
    chosen = {met[kind].item.id: met[kind] for kind in KINDS if kind in met}
    limit = reply_tokens * environment.turns
    return Scene(language_model, environment, limit, tuple(chosen.values()))


def _asked(
    language_model: LanguageModel, environment: Environment, seed: int, n: int, reply_tokens: int
) -> Iterator[list[Group]]:
    """Yield the groups of ``n`` items; those that could not be scored in full are left out."""
    sampler = sampler_of(language_model)
    indices = item_indices(seed, 0, n, environment.size("train"))
    for start in range(0, n, AT_ONCE):
        items = [environment.item(i, "train") for i in indices[start : start + AT_ONCE]]
        samples: list[list[Sample]] = [[] for _ in items]
        for size, temperature in ((GROUP_SIZE, 1.0), (1, 0.0)):
            decoding = Decoding(max_new_tokens=reply_tokens, temperature=temperature)
            random_seed = stream_seed("sampling", seed, start)
            episodes, _ = rollout(
                environment, language_model, sampler, items, size, decoding, random_seed
            )
            numbers = [row // size for row in range(len(episodes))]
            for sample in judged(environment, episodes, numbers):
                samples[sample.group].append(sample)
        yield [
            _group(own, _gold(environment, language_model, item, decoding))
            for item, own in zip(items, samples, strict=True)
            if all(sample.score.value is not None for sample in own)
        ]


def _group(samples: Sequence[Sample], gold: Completion | None) -> Group:
    """Return the group of some samples of one item, the greedy one last."""
    completions = tuple(sample.completion for sample in samples)
    rewards = tuple(sample.score.value or 0.0 for sample in samples)
    return Group(samples[0].item, completions[:-1], rewards[:-1], rewards[-1], gold)


def _gold(
    environment: Environment, language_model: LanguageModel, item: Item, decoding: Decoding
) -> Completion | None:
    """Return an item's gold reply as if it had been written; ``None`` if it has none."""
    try:
        return gold_completion(environment, language_model, item, decoding)
    except UsageError:
        return None
