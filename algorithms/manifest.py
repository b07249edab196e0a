"""The semantics manifest: what an algorithm computes, in words and absolute numbers.

Each part says for itself what it does, so the manifest is made of the very functions that run. The
keys are the same for every algorithm: two of them can be laid side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from bakeoff.types import Algorithm

F = TypeVar("F", bound=Callable[..., Any])

KEYS = (
    "data",
    "advantage",
    "ratio",
    "surrogate",
    "aggregation",
    "kl",
    "imitation",
    "mismatch",
    "filter",
    "critic",
    "epochs",
)


def says(text: str) -> Callable[[F], F]:
    """Return a decorator that gives a part its words in the manifest.

    Example:
        >>> @says("reward - 1")
        ... def advantages(batch): ...
        >>> said(advantages)
        'reward - 1'
    """

    def mark(function: F) -> F:
        vars(function)["says"] = text
        return function

    return mark


def said(function: Callable[..., Any] | None) -> str:
    """Return a part's words, or its name; "none" if there is no such part."""
    if function is None:
        return "none"
    return str(getattr(function, "says", getattr(function, "__name__", repr(function))))


def described(algorithm: Algorithm) -> Algorithm:
    """Return the algorithm with its semantics manifest, made of what its parts say.

    Example:
        >>> from bakeoff.algorithms.grpo import grpo
        >>> described(grpo(clip=0.1)).semantics["surrogate"]
        'ratio * advantage, clipped to [0.9, 1.1]'
    """
    loss, kept = algorithm.policy_loss, said(algorithm.keep)
    if algorithm.keep is not None and algorithm.refill:
        kept += f"; up to {algorithm.refill} rounds of further items for groups not kept"
    extra = ", and the greedy reply to each item" if algorithm.needs_greedy else ""
    found: dict[str, object] = {
        "data": "gold replies" if algorithm.on_gold else f"samples of the policy{extra}",
        "advantage": said(algorithm.advantages),
        "ratio": getattr(loss, "ratio_says", "none"),
        "surrogate": getattr(loss, "surrogate_says", said(loss)),
        "aggregation": f"{said(algorithm.aggregate)}, over one optimiser step",
        "kl": getattr(loss, "kl_says", "none"),
        "imitation": said(algorithm.imitation),
        "mismatch": said(algorithm.mismatch),
        "filter": kept,
        "critic": "none",
        "epochs": algorithm.epochs,
    }
    if algorithm.mismatch is not None:
        found["mismatch"] = f"advantage * ({found['mismatch']}); the ratio is to the training model"
    if (plan := algorithm.critic) is not None:
        found["critic"] = f"{KINDS.get(plan.kind, plan.kind)}; {said(plan.loss)}"
        if plan.kind == "shared":
            found["critic"] = f"{found['critic']}, times {plan.coef:g} in the policy's loss"
        if plan.warmup:
            found["critic"] = f"{found['critic']}; alone for the first {plan.warmup} updates"
    if algorithm.needs_reference and found["kl"] == "none":
        found["kl"] = "in the reward, see advantage"
    return algorithm._replace(semantics=found)


KINDS = {
    "separate": "a model of its own",
    "shared": "a head on the policy's backbone",
    "lora": "an adapter on the frozen initial weights",
}
"""The kinds of critic, and how the manifest calls them."""
