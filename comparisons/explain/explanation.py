"""All that is explained of one algorithm, from the numbers: what the page and the figures show."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import torch

from bakeoff import algorithms
from bakeoff.comparisons.explain import movement, reasons, repeated, sentences
from bakeoff.comparisons.explain import side_by_side as sides
from bakeoff.comparisons.explain.movement import ReplyMove, TokenMove
from bakeoff.comparisons.explain.repeated import Repeated
from bakeoff.comparisons.explain.scene import Scene
from bakeoff.comparisons.explain.side_by_side import SideBySide
from bakeoff.comparisons.explain.updates import Lesson, adamw_steps, lesson
from bakeoff.errors import UsageError
from bakeoff.training.scoring import distribution, token_logps
from bakeoff.types import Algorithm

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel

REPEATED_RATE = 1 / 20
"""The step size of the repeated steps, in the update's: one of that size passes every bound."""


@dataclass(frozen=True)
class Explanation:
    """What one algorithm did to one item's replies, and beside other algorithms.

    Attributes:
        name: the algorithm's spec.
        algorithm: what it resolved to.
        scene: the samples.
        environment: the spec of where the items are from.
        seed: the samples are of this seed.
        rate: the learning rate of the update.
        replies: what the update did to each of the different replies to the first item.
        seen: sentences about it.
        repeated: what several steps on the same batch do.
        sides: what other algorithms do with the same samples.
    """

    name: str
    algorithm: Algorithm
    scene: Scene
    environment: str
    seed: int
    rate: float
    replies: tuple[ReplyMove, ...]
    seen: tuple[str, ...]
    repeated: Repeated
    sides: SideBySide

    def shown(self, token: int) -> str:
        """Return a token's text for people."""
        return token_text(self.scene.language_model, token)


def explain(
    scene: Scene,
    name: str,
    *,
    environment: str,
    seed: int,
    rate: float,
    report: Callable[[str], None] = lambda text: None,
) -> Explanation:
    """Make the updates and collect what they did; the scene's policy is not changed.

    Args:
        scene: the samples.
        name: the algorithm's spec.
        environment: the spec of the scene's environment.
        seed: what the scene was found by.
        rate: the learning rate of the update.
        report: is told how far it has come.

    Raises:
        UsageError: the algorithm learns nothing from the first group.
    """
    algorithm = algorithms.make(name)
    first = scene.groups[:1]
    samples, golds = scene.samples(first), scene.golds(first)
    if algorithm.on_gold and golds is None:
        raise UsageError(f"{name} learns from gold replies; {scene.environment.id} has none")
    learned = lesson(algorithm, samples, golds, scene.language_model.model)
    if learned is None:
        raise UsageError(
            f"{name} keeps none of the replies to {first[0].item.id}: nothing moves; try another "
            "--seed or --algorithm"
        )
    shown = partial(token_text, scene.language_model)
    report(f"one update of {name}")
    replies, why = one_update(scene, algorithm, learned, rate)
    report(f"{repeated.STEPS} steps of {name} on the same batch")
    steps = repeated.repeat(scene, algorithm, learned, rate * REPEATED_RATE, shown)
    named = {other: algorithms.make(other) for other in sides.FAMILY} | {name: algorithm}
    if scene.golds(scene.groups) is None:
        named = {other: one for other, one in named.items() if not one.on_gold}
    return Explanation(
        name=name,
        algorithm=algorithm,
        scene=scene,
        environment=environment,
        seed=seed,
        rate=rate,
        replies=tuple(replies),
        seen=tuple(sentences.summary(replies, why, shown)),
        repeated=steps,
        sides=sides.side_by_side(scene, named, report),
    )


def one_update(
    scene: Scene, algorithm: Algorithm, learned: Lesson, rate: float
) -> tuple[list[ReplyMove], dict[TokenMove, str]]:
    """Make one AdamW step on a copy of the policy, and return what became of the first group.

    Returns:
        The different replies; and why those of their tokens moved that moved against their own
        pull, or without one.
    """
    samples = scene.samples(scene.groups[:1])
    policy = copy.deepcopy(scene.language_model.model)
    with torch.no_grad():
        before_BT, _ = token_logps(policy, samples)
    logp_BTV = distribution(policy, samples)
    step, _ = islice(adamw_steps(algorithm, learned.batch, policy, rate), 2)
    with torch.no_grad():
        after_BT, _ = token_logps(policy, samples)
    adv_BT = torch.full_like(before_BT, math.nan)
    pull_BT = torch.zeros_like(before_BT)
    if not learned.on_gold:
        assert learned.batch.adv_BT is not None
        adv_BT[learned.row_B] = learned.batch.adv_BT
        pull_BT[learned.row_B] = step.pull_BT
    replies = movement.replies(
        [one.text for one in scene.groups[0].completions],
        samples,
        before_BT,
        after_BT,
        adv_BT=adv_BT,
        pull_BT=pull_BT,
    )
    pulls = movement.pulls_at(learned.batch, step.pull_BT)
    logp_V_at = {
        place: logp_BTV[row, column]
        for row, places in enumerate(movement.places(samples))
        for column, place, _ in places
    }
    return replies, _reasons(replies, pulls, logp_V_at)


def _reasons(
    replies: list[ReplyMove],
    pulls: movement.Pulls,
    logp_V_at: Mapping[movement.Place, torch.Tensor],
) -> dict[TokenMove, str]:
    return {
        token: reasons.reason(token, pulls, logp_V_at[token.place])
        for reply in replies
        for token in reply.tokens
        if reasons.against(token)
    }


def token_text(language_model: LanguageModel, token: int) -> str:
    """Return a token for people: spaces and line ends can be seen, and special tokens are named.

    Example:
        >>> from bakeoff.models.loading import load
        >>> tiny = load("tiny")
        >>> [token_text(tiny, token) for token in (*tiny.prompt_ids("7 +"), *tiny.eos_ids)]
        ['<user>', '7', '·', '+', '<reply>', '<end>']
    """
    tokenizer = language_model.tokenizer
    if token in tokenizer.all_special_ids:
        return "<end>" if token in language_model.eos_ids else str(tokenizer.decode([token]))
    text = str(tokenizer.decode([token])) or str(tokenizer.convert_ids_to_tokens(token))
    return text.replace(" ", "·").replace("\n", "⏎").replace("\t", "→")
