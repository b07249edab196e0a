"""Vectors of episodes: `gymnasium.make_vec` with this project's entry point, and without it."""

from collections.abc import Sequence

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from bakeoff.envs import TextEnv, make, register
from bakeoff.envs.vector import TextVectorEnv
from bakeoff.errors import UsageError
from bakeoff.types import Item

ID = "bakeoff/Arithmetic-v0"


class Countdown(TextEnv):
    """Say anything three times; the third time it is over."""

    id = "test/ThreeTimes-v0"
    turns = 4

    def __init__(self, *, split: str = "train", render_mode: str | None = None) -> None:
        super().__init__(split=split, render_mode=render_mode)
        self.rewards = {"last": (1.0, lambda replies, item: float(replies[-1]))}

    def size(self, split: str) -> int:
        return 100

    def item(self, index: int, split: str = "train") -> Item:
        return Item(f"{self.id}/{split}/{index}", f"{index}?", data={"index": index})

    def turn(self, item: Item, replies: Sequence[str]) -> str | None:
        over = len(replies) == 3 and item.data["index"] != 7  # the seventh would go on for ever
        return None if over else f"{len(replies)} so far"


register("test/ThreeTimes-v0", Countdown)


def test_make_vec_takes_the_projects_own_vector() -> None:
    assert isinstance(gymnasium.make_vec(ID, 2), TextVectorEnv)


def test_arguments_reach_the_environment() -> None:
    vector = gymnasium.make_vec(ID, 2, level=1)

    prompts, _ = vector.reset(options={"indices": [0, 1]})

    env = make(f"{ID}:level=1")
    assert prompts == (env.item(0).prompt, env.item(1).prompt)


def test_every_step_scores_and_asks_anew() -> None:
    """No reply is thrown away, as an automatic reset in a step of its own would do."""
    vector = gymnasium.make_vec(ID, 3)
    _, infos = vector.reset(seed=5)
    env = make(ID)

    for _ in range(4):
        pending = [item for item, _ in vector._episodes]
        golds = [item.gold for item in pending]
        prompts, rewards, terminated, truncated, infos = vector.step([golds[0], "no", golds[2]])

        assert rewards.tolist() == [1.0, 0.0, 1.0]
        assert terminated.all() and not truncated.any()
        assert prompts == tuple(item.prompt for item, _ in vector._episodes)
        assert [info["scored"] for info in infos["final_info"]] == [True] * 3
    assert env.id == ID


def test_a_seed_gives_the_same_items_and_another_does_not() -> None:
    vector = gymnasium.make_vec(ID, 4)

    first, _ = vector.reset(seed=1)
    again, _ = vector.reset(seed=1)
    other, _ = vector.reset(seed=100)

    assert first == again
    assert first != other


def test_episodes_of_several_turns_end_when_they_are_over_or_their_turns_are_used_up() -> None:
    vector = gymnasium.make_vec("test/ThreeTimes-v0", 2)
    vector.reset(options={"indices": [3, 7]})

    said, endings = [], []
    for reply in "1234":
        observations, rewards, terminated, truncated, _ = vector.step([reply, reply])
        said.append(observations[1])
        endings.append((terminated.tolist(), truncated.tolist(), rewards.tolist()))

    # episode 0 is over after its third reply, of which the reward is 3; episode 1 would go on, and
    # is cut off after its fourth
    assert said[:3] == ["1 so far", "2 so far", "3 so far"]
    assert endings[2] == ([True, False], [False, False], [3.0, 0.0])
    assert endings[3][1:] == ([False, True], [0.0, 4.0])


def test_the_single_environment_tells_the_same_endings_apart() -> None:
    env = make("test/ThreeTimes-v0")

    env.reset(options={"index": 7})
    steps = [env.step(reply) for reply in "1234"]

    assert [step[2:4] for step in steps] == [(False, False)] * 3 + [(False, True)]
    assert steps[3][1] == 4.0


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gymnasiums_own_vectors_show_the_same_prompts(mode: str) -> None:
    kwargs: dict[str, object] = {"autoreset_mode": AutoresetMode.SAME_STEP}
    if mode == "async":
        kwargs["shared_memory"] = False
    theirs = gymnasium.make_vec(ID, 2, vectorization_mode=mode, vector_kwargs=kwargs)
    ours = gymnasium.make_vec(ID, 2)

    shown = theirs.reset(seed=3)[0]
    theirs.close()

    assert shown == ours.reset(seed=3)[0]


def test_mistakes_are_named() -> None:
    vector = gymnasium.make_vec(ID, 2)

    with pytest.raises(UsageError, match="after reset"):
        vector.step(["a", "b"])
    with pytest.raises(UsageError, match="3 indices for 2 episodes"):
        vector.reset(options={"indices": [1, 2, 3]})
    with pytest.raises(UsageError, match="num_envs must be 1 or more"):
        gymnasium.make_vec(ID, 0)


def test_infos_are_of_python_and_numpy_types_that_do_not_depend_on_the_first_episode() -> None:
    """gymnasium would make an integer array of parts 1 and 0.5, and lose the half."""
    vector = gymnasium.make_vec("test/ThreeTimes-v0", 2)
    vector.reset(options={"indices": [1, 2]})
    for reply in ("0", "0"):
        vector.step([reply, reply])

    *_, infos = vector.step(["1", "0.5"])

    assert [info["parts"] for info in infos["final_info"]] == [{"last": 1.0}, {"last": 0.5}]
    assert infos["_final_info"].dtype == np.bool_
