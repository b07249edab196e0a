"""The check of one environment, without a model: what its items, rewards and splits promise.

The environment's own code runs in a process that can be killed, so a reward that hangs, or ends its
process, fails the check and does not stop it.
"""

from __future__ import annotations

from collections.abc import Callable

from bakeoff.checkup import Checkup, Claim
from bakeoff.envs.checking import episodes
from bakeoff.envs.checking.claims import about_rewards
from bakeoff.envs.checking.episodes import Question
from bakeoff.envs.checking.structure import about_copies, about_items
from bakeoff.envs.checking.trials import Examiner
from bakeoff.envs.checking.workplace import CallFailed, Workplace
from bakeoff.envs.text_env import SPLITS, TextEnv
from bakeoff.errors import UsageError

ONCE_S = 60.0  # for what is done once: to compare the splits, to rebuild, gymnasium's check
MAX_BROKEN = 3  # items that cannot be had, before no more of a split are asked for


def check(
    environment: TextEnv | str,
    *,
    items: int = 20,
    deadline_s: float = 10.0,
    report: Callable[[str], None] | None = None,
) -> Checkup:
    """Check an environment: it must keep what its users rely on. No model is needed.

    Its gold replies must earn the most there is; empty replies, echoes, junk, huge texts, broken
    characters, half of a gold reply, another item's and many guesses at once must not. Every reply
    must get the same score every time, here and in a fresh process, of finite parts in their
    ranges. Items must be reproducible, ids unique, splits apart.

    Args:
        environment: an environment, or a spec of one.
        items: how many items are tried, half of each split.
        deadline_s: seconds that one scoring may take.
        report: is told what is being done, often.

    Raises:
        UsageError: there is no such environment, it has no items, or an argument is out of range.

    Example:
        >>> checkup = check("bakeoff/Arithmetic-v0:level=1", items=4)
        >>> checkup.passed, checkup.claims[0]
        (True, Claim(name='items can be had', state='passed', detail='4 items'))
    """
    if items < 2 or not deadline_s > 0:
        raise UsageError(f"items ({items}) must be at least 2, and deadline_s above 0")
    env = _made(environment)
    told = report or (lambda text: None)
    if env.deadline_s is not None:
        deadline_s = max(deadline_s, 2 * env.deadline_s + 5)
    tried, claims = examined(env, items, deadline_s, told)
    told("its copies")
    limit_s = max(ONCE_S, deadline_s)
    with Workplace(env, limit_s) as place:
        claims += about_copies(place, tried, limit_s)
    return Checkup("environment", env.spec_text, tuple(claims))


def examined(
    env: TextEnv, items: int, deadline_s: float, report: Callable[[str], None]
) -> tuple[Examiner, list[Claim]]:
    """Return the trials of an environment, and the claims that need no copy of it."""
    with Workplace(env, deadline_s) as place:
        questions, trouble = _sample(place, env, items)
        tried = Examiner(env, place, report)
        tried.examine(questions)
    with Workplace(env, max(ONCE_S, deadline_s)) as place:
        claims = about_items(place, env, questions, trouble)
    return tried, [*claims, *about_rewards(tried)]


def _made(environment: TextEnv | str) -> TextEnv:
    from bakeoff.envs import make  # it offers `check` itself

    env = make(environment) if isinstance(environment, str) else environment
    if not isinstance(env.unwrapped, TextEnv):
        raise UsageError(f"{type(env.unwrapped).__name__} is not a TextEnv")
    env = env.unwrapped
    if not any(env.size(split) for split in SPLITS):
        raise UsageError(f"{env.spec_text} has no items")
    return env


def _sample(place: Workplace, env: TextEnv, items: int) -> tuple[list[Question], list[str]]:
    """Return items of both splits, and why others could not be had."""
    sizes = {split: env.size(split) for split in SPLITS}
    share = items if 0 in sizes.values() else (items + 1) // 2
    questions, trouble = [], []
    for split, size in sizes.items():
        broken = 0
        for index in range(min(share, size)):
            try:
                questions.append(place.call(episodes.question, split, index))
            except CallFailed as error:
                trouble.append(f"{split} item {index}: {error}")
                broken += 1
                if broken >= MAX_BROKEN:
                    break
    return questions, trouble
