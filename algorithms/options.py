"""Options that every algorithm has, one's own too: they change what is nobody's formula."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bakeoff.algorithms.filters import finished
from bakeoff.algorithms.manifest import KINDS, described, said, says
from bakeoff.algorithms.mismatch import no_correction
from bakeoff.algorithms.ranges import require, require_choice, require_flag, require_whole
from bakeoff.types import Algorithm, Batch


def with_options(
    algorithm: Algorithm,
    *,
    epochs: int | None = None,
    drop_truncated: bool = False,
    mismatch: Callable[[Tensor, Tensor, float], Tensor] = no_correction,
    mismatch_cap: float = 2.0,
    critic: str | None = None,
    critic_warmup: int | None = None,
    value_coef: float | None = None,
) -> Algorithm:
    """Return an algorithm with other options than its own.

    Args:
        algorithm: what they are options of.
        epochs: passes over one batch.
        drop_truncated: leave out completions that were cut, before any other filter.
        mismatch: the correction for a sampler whose probabilities differ: no_correction,
            token_truncated, sequence_truncated, token_masked, sequence_masked.
        mismatch_cap: its bound on the ratio.
        critic: the kind of critic: separate, shared or lora.
        critic_warmup: the first updates, in which only the critic learns.
        value_coef: weight of the value loss, if the critic is shared.

    Raises:
        ValueError: a value out of its range, or an option of a critic that is not there.

    Example:
        >>> from bakeoff.algorithms.grpo import grpo
        >>> with_options(grpo(), epochs=2).semantics["epochs"]
        2
    """
    before = algorithm
    if epochs is not None:
        require_whole("epochs", epochs, 1)
        algorithm = algorithm._replace(epochs=epochs)
    require_flag("drop_truncated", drop_truncated)
    if drop_truncated:
        algorithm = algorithm._replace(keep=_both(algorithm.keep))
    require(mismatch_cap=(mismatch_cap, 1, None))
    if mismatch is no_correction and mismatch_cap != 2.0:
        raise ValueError("mismatch_cap is of no use without mismatch: set it to one of its names")
    if mismatch is not no_correction:
        if algorithm.on_gold:
            raise ValueError("mismatch is of no use: nobody sampled the gold replies")
        algorithm = algorithm._replace(mismatch=_capped(mismatch, mismatch_cap))
    algorithm = _with_critic(algorithm, critic, critic_warmup, value_coef)
    if algorithm == before:
        return algorithm
    found = described(algorithm).semantics
    changed = {
        key: value for key, value in found.items() if value != described(before).semantics[key]
    }
    return algorithm._replace(semantics={**before.semantics, **changed})


def _with_critic(
    algorithm: Algorithm, kind: str | None, warmup: int | None, coef: float | None
) -> Algorithm:
    given = {"critic": kind, "critic_warmup": warmup, "value_coef": coef}
    asked = [name for name, value in given.items() if value is not None]
    if not asked:
        return algorithm
    if (plan := algorithm.critic) is None:
        raise ValueError(f"{asked[0]} is of no use: this algorithm has no critic")
    if kind is not None:
        require_choice("critic", kind, KINDS)
        plan = plan._replace(kind=kind)
    if warmup is not None:
        require_whole("critic_warmup", warmup, 0)
        plan = plan._replace(warmup=warmup)
    if coef is not None:
        if plan.kind != "shared":
            raise ValueError("value_coef is of no use: it is a weight for critic=shared")
        require(value_coef=(coef, 1e-6, None))  # a head that gets no gradient stays 0
        plan = plan._replace(coef=coef)
    return algorithm._replace(critic=plan)


def _both(keep: Callable[[Batch], Tensor] | None) -> Callable[[Batch], Tensor]:
    """Return a filter that asks ``keep`` about the completions that ended, and drops the others.

    In this order: a group whose spread is all in what was cut has none that could be learned from.
    """
    if keep is None:
        return finished

    @says(f"{said(finished)}; of the others, {said(keep)}")
    def both(batch: Batch) -> Tensor:
        ended_B = finished(batch)
        if not ended_B.any():
            return ended_B
        return ended_B.masked_scatter(ended_B, keep(batch.rows(ended_B)))

    return both


def _capped(
    mismatch: Callable[[Tensor, Tensor, float], Tensor], cap: float
) -> Callable[[Tensor, Tensor], Tensor]:
    @says(said(mismatch).format(cap=cap))
    def correction(log_ratio_BT: Tensor, mask_BT: Tensor) -> Tensor:
        return mismatch(log_ratio_BT, mask_BT, cap)

    return correction
