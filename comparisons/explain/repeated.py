"""Several optimiser steps on one batch: how far the ratios go, and what stops pulling."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from bakeoff.comparisons.explain.movement import alike
from bakeoff.comparisons.explain.scene import Scene
from bakeoff.comparisons.explain.updates import Lesson, adamw_steps
from bakeoff.comparisons.wording import and_list
from bakeoff.types import Algorithm, Batch

STEPS = 15


class Watched(NamedTuple):
    """One reply's token that moved the most over ``N`` steps.

    Attributes:
        token: its text.
        reply: the text of the reply.
        adv: its advantage.
        ratio_N: its probability over that under the policy that sampled, before each step.
        stopped_N: whether its loss has no gradient there.
    """

    token: str
    reply: str
    adv: float
    ratio_N: tuple[float, ...]
    stopped_N: tuple[bool, ...]

    @property
    def name(self) -> str:
        """The token, and what it is a token of."""
        return f"'{self.token}' of '{self.reply}'"


class Repeated(NamedTuple):
    """What ``N`` steps on one batch did.

    Attributes:
        rate: the learning rate.
        watched: a token of each different reply, that of the highest advantage first.
        clipped_N: the share of tokens whose ratio is beyond a bound, if the surrogate has bounds.
        stopped_N: the share of tokens that have an advantage and no gradient.
        kl_N: k3 of KL(old || new), nats per token, if the loss says so.
    """

    rate: float
    watched: tuple[Watched, ...]
    clipped_N: tuple[float | None, ...]
    stopped_N: tuple[float, ...]
    kl_N: tuple[float | None, ...]


def repeat(
    scene: Scene, algorithm: Algorithm, lesson: Lesson, rate: float, shown: Callable[[int], str]
) -> Repeated:
    """Make ``STEPS`` steps of AdamW on one batch, and watch the ratios.

    Args:
        scene: whose policy it is; a copy is moved.
        algorithm: what is learned by.
        lesson: the batch.
        rate: the learning rate.
        shown: the text of a token.
    """
    batch = lesson.batch
    policy = copy.deepcopy(scene.language_model.model)
    steps = list(islice(adamw_steps(algorithm, batch, policy, rate), STEPS))
    first_BT = steps[0].logp_BT  # gold replies have no log-probability of a sampler
    asked_BT = steps[0].pull_BT != 0
    tokens = float(batch.mask_BT.sum())
    ratio_NBT = torch.stack([(step.logp_BT - first_BT).exp() for step in steps])
    stopped_NBT = torch.stack([(step.pull_BT == 0) & asked_BT for step in steps])
    watched = _watched(scene, batch, ratio_NBT, stopped_NBT, shown)
    return Repeated(
        rate=rate,
        watched=tuple(sorted(watched, key=lambda one: -one.adv)),
        clipped_N=tuple(
            step.sums["clip_frac"] / tokens if "clip_frac" in step.sums else None for step in steps
        ),
        stopped_N=tuple((stopped_NBT.sum((1, 2)) / tokens).tolist()),
        kl_N=tuple(step.sums["kl"] / tokens if "kl" in step.sums else None for step in steps),
    )


def _watched(
    scene: Scene,
    batch: Batch,
    ratio_NBT: Tensor,
    stopped_NBT: Tensor,
    shown: Callable[[int], str],
) -> list[Watched]:
    """Return of each different reply the token whose ratio went the farthest."""
    assert batch.adv_BT is not None
    watched = []
    for row, *_ in alike(map(tuple, batch.token_BT.tolist())):
        away_T = ratio_NBT[:, row].log().abs().amax(0) * batch.mask_BT[row]
        column = int(away_T.argmax())
        own = [int(t) for t, m in zip(batch.token_BT[row], batch.mask_BT[row], strict=True) if m]
        watched.append(
            Watched(
                token=shown(int(batch.token_BT[row, column])),
                reply=scene.language_model.text(tuple(own)),
                adv=float(batch.adv_BT[row, column]),
                ratio_N=tuple(ratio_NBT[:, row, column].tolist()),
                stopped_N=tuple(stopped_NBT[:, row, column].tolist()),
            )
        )
    return watched


def sentences(seen: Repeated) -> Iterator[str]:
    """Say which tokens stopped pulling, when, and whether they went on moving all the same."""
    stopped = [one for one in seen.watched if any(one.stopped_N)]
    if not stopped:
        farthest = max(seen.watched, key=lambda one: abs(one.ratio_N[-1] - 1))
        yield (
            f"In {len(seen.kl_N) - 1} steps no token lost its gradient; the ratio of "
            f"{farthest.name} went to {farthest.ratio_N[-1]:.2f}."
        )
        return
    last = len(seen.stopped_N) - 1
    went_on = []
    for one in stopped:
        at = one.stopped_N.index(True)
        text = f"After {_steps(at)} the ratio of {one.name} was {one.ratio_N[at]:.2f}"
        text += " and its loss had no gradient any more"
        if at < last:
            text += f"; {_steps(last - at)} later it was {one.ratio_N[-1]:.2f}"
            text += ", and it had one again" if not one.stopped_N[-1] else ""
        if (one.ratio_N[-1] - one.ratio_N[at]) * (one.ratio_N[at] - 1) > 0:
            went_on.append(one.name)
        yield f"{text}."
    if went_on:
        yield (
            f"{and_list(went_on)} went on in the same direction after the clip: by the optimiser's "
            "momentum, and by what still pulled on other tokens. A clip stops a token's own pull, "
            "not the token."
        )
    free = [one.name for one in seen.watched if not any(one.stopped_N)]
    if free:
        yield f"{and_list(free)} kept the gradient throughout."


def _steps(n: int) -> str:
    return f"{n} step{'s' if n != 1 else ''}"


def table_steps(seen: Repeated, at_most: int = 8) -> Sequence[int]:
    """Return the steps that a short table shows: the ends, and those where a token stops.

    Example:
        >>> one = Watched("4", "41", 1.0, (1.0,) * 5, (False, False, False, True, True))
        >>> table_steps(Repeated(1e-5, (one,), (None,) * 5, (0.0,) * 5, (0.0,) * 5), 4)
        [0, 2, 3, 4]
    """
    last = len(seen.kl_N) - 1
    chosen = {0, last}
    for one in seen.watched:
        if any(one.stopped_N) and len(chosen) < at_most:
            chosen.add(one.stopped_N.index(True))
    for step in _spread(last):
        if len(chosen) >= at_most:
            break
        chosen.add(step)
    return sorted(chosen)


def _spread(last: int) -> Iterator[int]:
    """Yield the steps up to ``last``, the middle first, then those between."""
    parts = 2
    while parts < 4 * max(1, last):
        yield from (round(last * part / parts) for part in range(1, parts))
        parts *= 2
