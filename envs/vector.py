"""Many episodes of one environment at once: what `gymnasium.make_vec` makes of bakeoff's ids.

gymnasium's own vector environments have traps for text (shared memory hands out filler, an
automatic reset throws away every second reply); this one has none, and scores a whole batch of
replies together. An episode that ends is followed by the next within the same step: the
observation is the new prompt, and what belongs to the old episode is in ``final_obs`` and
``final_info``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from bakeoff.envs.text_env import TextEnv
from bakeoff.errors import UsageError


class TextVectorEnv(VectorEnv[tuple[str, ...], Any, Any]):
    """A vector of episodes of one environment.

    Args:
        make: makes the environment of keyword arguments.
        num_envs: how many episodes go on at the same time.
        arguments: of the environment.

    Raises:
        UsageError: ``num_envs`` is not above 0.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}  # noqa: RUF012

    def __init__(self, make: Callable[..., TextEnv], num_envs: int = 1, **arguments: Any) -> None:
        if num_envs < 1:
            raise UsageError(f"num_envs must be 1 or more, not {num_envs}")
        self.num_envs = num_envs
        self.env = make(**arguments)
        self.single_observation_space = self.env.observation_space
        self.single_action_space = self.env.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.render_mode = None
        self._episodes: list[tuple[Any, list[str]]] = []
        self._streams = [np.random.default_rng() for _ in range(num_envs)]

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Ask one item in every episode: random ones, or those that ``options["indices"]`` names.

        Returns:
            The prompts, and the items' indices and split.

        Raises:
            UsageError: there is no such item, or not one index for each episode.
        """
        options = options or {}
        super().reset(seed=seed if isinstance(seed, int) else None)
        if seed is not None:
            seeds = [seed + n for n in range(self.num_envs)] if isinstance(seed, int) else seed
            self._streams = [np.random.default_rng(one) for one in seeds]
        split = options.get("split", self.env.split)
        indices = options.get("indices", [self._drawn(n, split) for n in range(self.num_envs)])
        if len(indices) != self.num_envs:
            raise UsageError(f"{len(indices)} indices for {self.num_envs} episodes")
        self._episodes = [(self.env.item(int(index), split), []) for index in indices]
        return self._prompts(), {"index": np.array(indices), "split": [split] * self.num_envs}

    def _drawn(self, n: int, split: str) -> int:
        return int(self._streams[n].integers(max(1, self.env.size(split))))

    def _prompts(self) -> tuple[str, ...]:
        return tuple(item.prompt for item, _ in self._episodes)

    def step(self, actions: Sequence[str]) -> tuple[tuple[str, ...], Any, Any, Any, dict[str, Any]]:
        """Take a reply in every episode; score those that end, together, and ask anew there.

        Returns:
            Observations, rewards, terminated, truncated, and the infos of finished episodes.
        """
        if len(actions) != self.num_envs or not self._episodes:
            raise UsageError(f"step takes {self.num_envs} replies, after reset()")
        said: list[str | None] = []
        truncated = np.zeros(self.num_envs, dtype=bool)
        for n, ((item, replies), reply) in enumerate(zip(self._episodes, actions, strict=True)):
            replies.append(reply)
            answer = self.env.turn(item, tuple(replies)) if self.env.turns > 1 else None
            truncated[n] = answer is not None and len(replies) >= self.env.turns
            said.append(None if truncated[n] else answer)
        done = np.array([one is None for one in said])
        ended = [n for n in range(self.num_envs) if done[n]]
        rewards = np.zeros(self.num_envs)
        final_info = np.array([None] * self.num_envs, dtype=object)
        for n, score in zip(ended, self._scores(ended), strict=True):
            rewards[n] = 0.0 if score.value is None else score.value
            final_info[n] = {
                "scored": score.value is not None,
                "reason": score.reason,
                "parts": dict(score.parts),
            }
        infos: dict[str, Any] = {}
        if ended:
            final_obs = np.array(["" if done[n] else None for n in range(self.num_envs)], object)
            infos = {"final_obs": final_obs, "_final_obs": done, "final_info": final_info,
                     "_final_info": done}  # fmt: skip
        observations = tuple(self._next(n) if one is None else one for n, one in enumerate(said))
        return observations, rewards, done & ~truncated, truncated, infos

    def _scores(self, ended: Sequence[int]) -> list[Any]:
        items = [self._episodes[n][0] for n in ended]
        several = self.env.turns > 1
        replies = [tuple(self._episodes[n][1]) if several else self._episodes[n][1][-1]
                   for n in ended]  # fmt: skip
        return self.env.score_many(items, replies)

    def _next(self, n: int) -> str:
        item = self.env.item(self._drawn(n, self.env.split), self.env.split)
        self._episodes[n] = (item, [])
        return item.prompt


def _make(id: str, **arguments: Any) -> TextEnv:
    env = gymnasium.make(id, disable_env_checker=True, **arguments).unwrapped
    assert isinstance(env, TextEnv)
    return env


def __getattr__(id: str) -> Callable[..., TextVectorEnv]:
    """Return what makes a vector of an id: ``bakeoff.envs.vector:me/Name-v0`` as an entry point."""
    if "/" not in id:
        raise AttributeError(id)

    def vector(num_envs: int = 1, **arguments: Any) -> TextVectorEnv:
        arguments.pop("definition", None)  # which the id stands for
        return TextVectorEnv(partial(_make, id), num_envs, **arguments)

    return vector
