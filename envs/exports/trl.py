"""TRL: rows for a `Dataset`, and one reward function for each part of the score.

https://huggingface.co/docs/trl/grpo_trainer#using-a-custom-reward-function
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bakeoff.envs.exports.items import first_items
from bakeoff.envs.text_env import TextEnv
from bakeoff.types import Score

TRLReward = Callable[..., list[float | None]]


def export_trl(
    env: TextEnv, *, split: str = "train", n: int = 1000, chat: bool = False
) -> tuple[list[dict[str, Any]], list[TRLReward], list[float]]:
    """Return rows, reward functions and their weights, as TRL's ``GRPOTrainer`` takes them.

    TRL leaves a completion out if no function has a value for it, and else adds up those there are.
    So of a reply that could not be scored every part is ``None``, also those that could. The same
    holds for rows of other environments: data sets can be concatenated, and the functions joined.

    Args:
        env: one whose episodes have one turn.
        split: "train" or "eval".
        n: how many items; all if the split has fewer.
        chat: whether prompts are messages, to which TRL applies the model's chat template.

    Returns:
        Rows with the columns ``prompt``, ``env``, ``split`` and ``index``; the functions, named as
        the parts are; and their weights, for ``GRPOConfig(reward_weights=...)``.

    Raises:
        UsageError: the environment has several turns, or there is nothing to export.

    Example:
        >>> from bakeoff.envs import make
        >>> env = make("bakeoff/Arithmetic-v0")
        >>> rows, functions, weights = export_trl(env, n=1)
        >>> columns = {key: [value] for key, value in rows[0].items() if key != "prompt"}
        >>> functions[0](completions=[env.item(0).gold], **columns), weights[0]
        ([1.0], 1.0)
    """
    rows = [
        {"prompt": [{"role": "user", "content": item.prompt}] if chat else item.prompt, **place}
        for place, item in first_items(env, split, n)
    ]
    judge = _Judge(env)
    functions = [judge.part(name) for name in env.rewards]
    return rows, functions, [float(weight) for weight, _ in env.rewards.values()]


class _Judge:
    """Scores a batch when its first part is asked for, and keeps it for the other parts."""

    def __init__(self, env: TextEnv) -> None:
        self._env = env
        self._batch: tuple[tuple[str, int, str], ...] = ()
        self._scores: list[Score] = []

    def part(self, name: str) -> TRLReward:
        """Return the reward function of one part."""

        def reward(
            *,
            completions: Sequence[Any],
            env: Sequence[str],
            split: Sequence[str],
            index: Sequence[int],
            **_: object,
        ) -> list[float | None]:
            ours = [n for n, spec in enumerate(env) if spec == self._env.spec_text]
            batch = tuple((split[n], int(index[n]), _text(completions[n])) for n in ours)
            found: list[float | None] = [None] * len(env)
            for n, score in zip(ours, self._scored(batch), strict=True):
                found[n] = None if score.value is None else score.parts[name]
            return found

        reward.__name__ = name
        return reward

    def _scored(self, batch: tuple[tuple[str, int, str], ...]) -> list[Score]:
        if batch != self._batch:
            items = [self._env.item(index, split) for split, index, _ in batch]
            self._scores = self._env.score_many(items, [reply for _, _, reply in batch])
            self._batch = batch
        return self._scores


def _text(completion: Any) -> str:
    """Return the text of a completion: itself, or its last message's if it is a chat's."""
    return str(completion if isinstance(completion, str) else completion[-1]["content"])
