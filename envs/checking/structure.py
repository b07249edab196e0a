"""What a check claims of an environment's items, and of the environment as an object."""

from __future__ import annotations

import json
import math
import pickle
import warnings
from collections import Counter
from collections.abc import Sequence

from bakeoff.checkup import FAILED, NOT_APPLICABLE, PASSED, Claim
from bakeoff.envs.checking import episodes, fresh
from bakeoff.envs.checking.claims import found
from bakeoff.envs.checking.episodes import Question
from bakeoff.envs.checking.overlap import Overlap, contamination
from bakeoff.envs.checking.trials import Examiner
from bakeoff.envs.checking.workplace import CallFailed, Workplace
from bakeoff.envs.text_env import TextEnv

SPLIT_S = 3.0  # to read items for the comparison of the splits
SPLIT_ITEMS = 1000
COPIED = 24  # replies that are judged again in a fresh process


def about_items(
    place: Workplace, env: TextEnv, questions: Sequence[Question], trouble: Sequence[str]
) -> list[Claim]:
    """Return the claims about items, episodes and splits.

    Args:
        place: where to ask for more items; with time for all of them.
        env: the environment.
        questions: the items of the sample.
        trouble: why others could not be had.
    """
    ids = Counter(one.id for one in questions)
    trouble = [*trouble, *(f"{one.id} has no prompt" for one in questions if not one.prompt)]
    doubled = [f"{id} is the id of {times} items" for id, times in ids.items() if times > 1]
    changing = [f"{one.id} was another item when asked again" for one in questions if not one.again]
    n = len(questions)
    return [
        Claim("items can be had", *found(trouble, f"{n} items")),
        Claim("item ids are unique", *found(doubled, f"{n} items", of=n)),
        Claim("the same index, the same item", *found(changing, f"{n} items, asked twice", of=n)),
        Claim("episodes end", *_ended(env, questions)),
        Claim("the splits share no question", *_splits(place)),
    ]


def about_copies(place: Workplace, tried: Examiner, limit_s: float) -> list[Claim]:
    """Return the claims about copies of the environment, and gymnasium's opinion of it.

    Args:
        place: where to copy it; with time for all of it.
        tried: what copies must ask and how they must judge.
        limit_s: seconds that a fresh process has.
    """
    claims = []
    for name, function in (("it pickles", pickled), ("gymnasium's check_env passes", gymnasium)):
        try:
            claims.append(Claim(name, *place.call(function)))
        except CallFailed as error:
            claims.append(Claim(name, FAILED, " ".join(str(error).split())))
    return [*claims, Claim("a fresh process agrees", *_rebuilt(tried, limit_s))]


def _ended(env: TextEnv, questions: Sequence[Question]) -> tuple[str, str]:
    if env.turns == 1:
        return NOT_APPLICABLE, "there is one turn"
    endless = [
        f"{one.id} goes on after {len(one.gold)} gold replies" for one in questions if not one.ended
    ]
    longest = max((len(one.gold) for one in questions), default=0)
    detail = f"after at most {longest} gold replies; turns = {env.turns}"
    return found(endless, detail, of=len(questions))


def _splits(place: Workplace) -> tuple[str, str]:
    try:
        both = place.call(shared)
    except CallFailed as error:
        return FAILED, str(error)
    if not (both.train_items and both.eval_items):
        return NOT_APPLICABLE, str(both)
    return (PASSED if both.clean else FAILED), str(both)


def shared(env: TextEnv) -> Overlap:
    """Return what an environment's own splits share."""
    return contamination(env, env, items=SPLIT_ITEMS, seconds=SPLIT_S)


def pickled(env: TextEnv) -> tuple[str, str]:
    """Tell whether a pickled copy of an environment gives the same items."""
    try:
        data = pickle.dumps(env)
    except Exception as error:  # what a user's class does when it is copied may raise anything
        return FAILED, f"{type(error).__name__}: {error}; a function must stand in a module"
    copy = pickle.loads(data)  # noqa: S301 (its own)
    asked = [(i, s) for s in ("train", "eval") for i in range(min(5, env.size(s)))]
    differ = [
        f"{split} item {index} is another one in the copy"
        for index, split in asked
        if episodes.texts(copy.item(index, split)) != episodes.texts(env.item(index, split))
    ]
    return found(differ, f"{len(data):,} bytes")


def gymnasium(env: TextEnv) -> tuple[str, str]:
    """Run gymnasium's own check; a warning of it is a failure, too."""
    from gymnasium.utils.env_checker import check_env

    if env.spec is None:
        return NOT_APPLICABLE, "it was not made by bakeoff.envs.make or gymnasium.make"
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        check_env(env)
    return found((str(one.message) for one in seen), "without a warning")


def _rebuilt(tried: Examiner, limit_s: float) -> tuple[str, str]:
    """Compare items and scores with those of a process that knows no more than the spec."""
    spec = tried.env.spec_text
    step = max(1, len(tried.trials) // COPIED)
    trials = [t for t in tried.trials[::step] if not math.isnan(t.verdict.seconds)]
    if not trials or tried.gave_up:
        return NOT_APPLICABLE, "there is nothing to compare"
    asked = [(t.question.split, t.question.index, t.said) for t in trials]
    there = fresh.ask(spec, asked, limit_s)
    if there.failure:
        hint = "" if ".py:" in spec else "; name the file that registers it: me.py:me/Name-v0"
        return FAILED, f"'{spec}' cannot be rebuilt: {there.failure}{hint}"
    trouble = []
    for trial, texts, outcome in zip(trials, there.texts, there.outcomes, strict=True):
        one = trial.question
        if list(texts[:3]) != [one.id, one.prompt, one.answer]:
            trouble.append(f"{one.split} item {one.index} of '{spec}' is another one there")
        elif outcome != json.loads(json.dumps(trial.verdict.outcome)):
            trouble.append(
                f"{trial.name} to {one.id}: {trial.verdict.value} here, {outcome[0]} there"
            )
    return found(trouble, f"'{spec}' rebuilt, {len(trials)} replies judged there")
