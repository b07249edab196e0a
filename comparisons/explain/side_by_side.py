"""Several algorithms' gradients on the same samples, each as one step of the same length."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from bakeoff.comparisons.explain.movement import alike
from bakeoff.comparisons.explain.scene import RIGHT, WRONG, Group, Scene
from bakeoff.comparisons.explain.updates import Lesson, gradient, lesson, moved_by, pulled
from bakeoff.comparisons.wording import and_list
from bakeoff.training.scoring import token_logps
from bakeoff.types import Algorithm, Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FAMILY = ("sft", "rft", "reinforce", "grpo", "ppo")
"""The algorithms that are set side by side, besides the one that was asked for."""

NORM = 0.02
"""The length of each step, in the units of the weights."""

AT_MOST = 4
"""Different replies of one item that are shown: the most frequent."""


class Row(NamedTuple):
    """One reply whose probability is watched.

    Attributes:
        question: the prompt.
        reply: the text.
        copies: how often it was sampled; 0 of a gold reply that was not.
        right: whether it scored above its group's mean, or is the gold reply, or the whole group
            is right.
        gold: whether it is the gold reply.
    """

    question: str
    reply: str
    copies: int
    right: bool
    gold: bool


class SideBySide(NamedTuple):
    """What ``A`` algorithms do to ``R`` replies in one step of the same length.

    Attributes:
        names: the algorithms.
        rows: the replies.
        before_R: their log-probabilities.
        change_RA: how the step changes them.
        norm_A: the length of each gradient; 0 of one that learns nothing here.
        cosine_AA: between the gradients; nan where one is 0.
        wrong_A: whether the loss has a term for replies that are not right.
        share_GA: the length of the gradient that each group gives, in the sum of these lengths.
        kinds: of each group, whether all or none of its replies are right; else empty.
    """

    names: tuple[str, ...]
    rows: tuple[Row, ...]
    before_R: tuple[float, ...]
    change_RA: tuple[tuple[float, ...], ...]
    norm_A: tuple[float, ...]
    cosine_AA: tuple[tuple[float, ...], ...]
    wrong_A: tuple[bool, ...]
    share_GA: tuple[tuple[float, ...], ...]
    kinds: tuple[str, ...]


def side_by_side(
    scene: Scene, algorithms: Mapping[str, Algorithm], report: Callable[[str], None]
) -> SideBySide:
    """Move the policy by ``NORM`` against each algorithm's gradient on all groups of a scene.

    The steps are plain gradient steps: an optimiser that rescales each weight would change the
    direction, and hide what differs.

    Args:
        scene: the samples and their policy, which is not changed.
        algorithms: by name.
        report: is told how far it has come.
    """
    policy = scene.language_model.model
    samples, golds = scene.samples(scene.groups), scene.golds(scene.groups)
    rows, watched = _watched(scene)
    before_R = _reply_logps(policy, watched)
    gradients, changes, wrong, shares = [], [], [], []
    for name, algorithm in algorithms.items():
        report(f"one step of {name}")
        learned = lesson(algorithm, samples, golds, policy)
        if learned is None:
            parts = [torch.zeros(sum(p.numel() for p in policy.parameters()))]
            wrong.append(False)
            shares.append(torch.zeros(len(scene.groups)))
        else:
            parts = _by_group(algorithm, learned, policy, len(scene.groups))
            wrong.append(_pulls_wrong(algorithm, learned, samples, policy))
            norm_G = torch.stack([part.norm() for part in parts])
            shares.append(norm_G / norm_G.sum().clamp(min=1e-12))
        gradients.append(torch.stack(parts).sum(0))
        changes.append(_reply_logps(moved_by(policy, gradients[-1], NORM), watched) - before_R)
    return SideBySide(
        names=tuple(algorithms),
        rows=tuple(rows),
        before_R=tuple(before_R.tolist()),
        change_RA=_table(torch.stack(changes, 1)),
        norm_A=tuple(float(g.norm()) for g in gradients),
        cosine_AA=_table(_cosines(gradients)),
        wrong_A=tuple(wrong),
        share_GA=_table(torch.stack(shares, 1)),
        kinds=tuple(_kind(group) for group in scene.groups),
    )


def sentences(seen: SideBySide) -> Iterator[str]:
    """Say whom each algorithm pulls, and which gradients are alike."""
    learning = [n for n, norm in zip(seen.names, seen.norm_A, strict=True) if norm > 0]
    nothing = [name for name in seen.names if name not in learning]
    if nothing:
        yield f"{and_list(nothing)} learned nothing from these samples."
    yield from _wrong_replies(seen, learning)
    yield from _groups(seen)
    pairs = [
        (seen.cosine_AA[a][b], seen.names[a], seen.names[b])
        for a in range(len(seen.names))
        for b in range(a)
        if seen.names[a] in learning and seen.names[b] in learning
    ]
    if len(pairs) > 1:
        (low, *far), (high, *near) = min(pairs), max(pairs)
        yield (
            f"The directions of {and_list(near)} are the most alike (cosine {high:.2f}), those of "
            f"{and_list(far)} the least ({low:.2f})."
        )


def _wrong_replies(seen: SideBySide, learning: Sequence[str]) -> Iterator[str]:
    """Say what became of wrong replies, and whether the loss has a term for them."""
    wrong = [r for r, row in enumerate(seen.rows) if row.copies and not row.right]
    said: dict[tuple[bool, str], list[str]] = {}
    for a, name in enumerate(seen.names):
        if name in learning and wrong:
            rose = [f"'{seen.rows[r].reply}'" for r in wrong if seen.change_RA[r][a] > 0]
            fell = sum(seen.change_RA[r][a] < 0 for r in wrong)
            text = f"{fell} of the {len(wrong)} became less likely"
            text += f", {and_list(rose)} likelier" if rose else ""
            said.setdefault((seen.wrong_A[a], text), []).append(name)
    for (has_term, text), names in said.items():
        verb = "has" if len(names) == 1 else "have"
        if has_term:
            yield f"{and_list(names)} {verb} a term for wrong replies: {text}."
        else:
            yield (
                f"{and_list(names)} {verb} NO term for wrong replies: {text}, for what some "
                "replies gain others lose."
            )


def _groups(seen: SideBySide) -> Iterator[str]:
    """Say what comes from groups whose scores are all the same."""
    for share_A, kind in zip(seen.share_GA, seen.kinds, strict=True):
        if not kind:
            continue
        what = "all replies were right" if kind == RIGHT else "no reply was right"
        named = zip(seen.names, share_A, strict=True)
        shares = and_list([f"{share * 100:.0f} % of {name}'s" for name, share in named])
        yield f"The item to which {what} gives {shares} gradient."


def _watched(scene: Scene) -> tuple[list[Row], Batch]:
    """Return the replies to watch, and them as a batch."""
    rows, picked, numbers = [], [], []
    for number, group in enumerate(scene.groups):
        mean = math.fsum(group.rewards) / len(group.rewards)
        kinds = alike(one.token_ids for one in group.completions)
        shown = sorted(kinds, key=len, reverse=True)[:AT_MOST]
        shown.sort(key=lambda own: -group.rewards[own[0]])
        own_rows = []
        for own in shown:
            one, reward = group.completions[own[0]], group.rewards[own[0]]
            right = reward > mean or _kind(group) == RIGHT
            gold = group.gold is not None and one.token_ids == group.gold.token_ids
            own_rows.append((Row(group.item.prompt, one.text, len(own), right, gold), one))
        if group.gold is not None and not any(row.gold for row, _ in own_rows):
            gold_row = Row(group.item.prompt, group.gold.text, 0, True, True)
            own_rows.append((gold_row, group.gold))
        rows += [row for row, _ in own_rows]
        picked += [one for _, one in own_rows]
        numbers += [number] * len(own_rows)
    return rows, scene.batch(picked, numbers)


def _pulls_wrong(
    algorithm: Algorithm, learned: Lesson, samples: Batch, policy: PreTrainedModel
) -> bool:
    """Return whether the loss pulls on samples below their group's mean, or of a group of zeros."""
    if learned.on_gold:
        return False
    worse_B = torch.zeros(len(samples.reward_B), dtype=torch.bool)
    for group in set(samples.group_B.tolist()):
        own_B = samples.group_B == group
        rewards = samples.reward_B[own_B]
        worse_B[own_B] = (rewards < rewards.mean()) | (rewards.max() <= 0)
    pull_BT, _ = pulled(algorithm, learned.batch, token_logps(policy, learned.batch)[0])
    return bool((pull_BT[worse_B[learned.row_B]] != 0).any())


def _by_group(
    algorithm: Algorithm, learned: Lesson, policy: PreTrainedModel, groups: int
) -> list[Tensor]:
    """Return the gradient that each group gives: the loss is a weighted sum, so they add up."""
    batch = learned.batch
    return [
        gradient(algorithm, batch.rows((batch.group_B == group).nonzero()[:, 0]), policy)
        for group in range(groups)
    ]


@torch.no_grad()
def _reply_logps(policy: PreTrainedModel, watched: Batch) -> Tensor:
    """Return the log-probability of each whole reply, ``logp_R``."""
    logp_R: Tensor = token_logps(policy, watched)[0].double().sum(1)
    return logp_R


def _kind(group: Group) -> str:
    return next((kind for kind in (RIGHT, WRONG) if kind in group.kinds), "")


def _cosines(gradients: Sequence[Tensor]) -> Tensor:
    # those of a gradient of 0 are nan, as they should be
    unit_AP = torch.stack([g.double() / g.double().norm() for g in gradients])
    return unit_AP @ unit_AP.T


def _table(values: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())
