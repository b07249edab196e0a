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
    "backward",
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


def silent_without_advantage(function: F) -> F:
    """Mark a surrogate, or a policy loss, that is 0 where the advantage is, and so is its gradient.

    The loop trusts the mark: completions of groups without an advantage make no backward pass.
    ``bakeoff algorithms check`` looks whether it is true.

    Example:
        >>> @silent_without_advantage
        ... def policy_loss(batch, logp_BT):
        ...     return -(batch.weight_BT * batch.adv_BT * logp_BT).sum(), {}
    """
    vars(function)["silent_without_advantage"] = True
    return function


def marked_silent(function: object) -> bool:
    """Tell whether a surrogate, or a policy loss, says that it is 0 where the advantage is."""
    return bool(getattr(function, "silent_without_advantage", False))


def spares_the_silent(algorithm: Algorithm) -> bool:
    """Tell whether completions of groups without an advantage need no backward pass of the policy.

    They need one if the loss does not say that it is 0 then, if there is an imitation term, and if
    the critic learns in the policy's pass.

    Example:
        >>> from bakeoff.algorithms.grpo import grpo
        >>> spares_the_silent(grpo()), spares_the_silent(grpo(kl_coef=0.1))
        (True, False)
    """
    shared = algorithm.critic is not None and algorithm.critic.kind == "shared"
    return marked_silent(algorithm.policy_loss) and algorithm.imitation is None and not shared


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
        "backward": "groups with an advantage" if spares_the_silent(algorithm) else "all",
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
