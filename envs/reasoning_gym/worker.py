"""What the workers do for the environments of reasoning-gym: generate entries, and score answers.

Every entry is the first one of a seed of its own, since reasoning-gym's entries of neighbouring
seeds are the same entries, one place further on.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bakeoff.envs.reasoning_gym import guards
from bakeoff.envs.reasoning_gym.containment import Unreadable, contained, uncontained, wanted
from bakeoff.envs.text_env import split_of
from bakeoff.streams import stream_seed

MAX_DRAWS = 200  # to find an entry of the split that is asked for
INDEXED = ("seed", "size")  # arguments of every data set that an item's index stands for here
# Their entries are drawn when the data set is made. That of all others can be done once, and takes
# up to a second: then their seed is set from outside.
MADE_ANEW = ("acre", "gsm_symbolic", "list_functions")
EXAMPLES = ("possible_answer", "example_answer", "example_correct_answer")  # where there are many


def respond(request: dict[str, Any]) -> object:
    """Answer one request of an environment's; ``request["do"]`` says which."""
    tasks: dict[str, Callable[..., object]] = {"list": listed, "item": item, "score": score}
    return tasks[request.pop("do")](**request)


@functools.cache
def _factory() -> Any:
    """Return reasoning-gym's registry, once its evaluations of replies are replaced."""
    guards.put_on()
    return importlib.import_module("reasoning_gym.factory")


def listed(name: str) -> list[str]:
    """Return the names of a data set's arguments."""
    _, config = _factory().DATASETS[name]
    fields = dataclasses.fields(config)
    return [field.name for field in fields if field.init and field.name not in INDEXED]


def item(id: str, name: str, arguments: str, split: str, index: int) -> dict[str, Any] | None:
    """Return the first entry of an index's own seeds that belongs to the split, if there is one.

    Args:
        id: of the environment; with the index and the split it is what the seeds are made of.
        name: of the data set.
        arguments: of the data set, as JSON.
        split: "train" or "eval".
        index: the number of the item.
    """
    for draw in range(MAX_DRAWS):
        seed = stream_seed(id, arguments, split, index, draw) % 2**32
        entry = _entry(name, arguments, seed)[1]
        if split_of(id, content(entry)) == split:
            return {"question": entry["question"], "answer": answer(entry), "seed": seed}
    return None


def answer(entry: dict[str, Any]) -> str:
    """Return a right answer; a few data sets have none to give.

    Example:
        >>> answer({"answer": None, "metadata": {"possible_answer": {"1": 3}}})
        '{"1": 3}'
    """
    given = [entry["answer"], *(entry["metadata"].get(key) for key in EXAMPLES)]
    found = next((one for one in given if one is not None), "")
    return json.dumps(found) if isinstance(found, dict) else str(found)


def content(entry: dict[str, Any]) -> str:
    """Return what makes an entry the same question: its task if it is one of a list, else its text.

    Example:
        >>> content({"question": "What is  1 + 1?", "metadata": {}})
        'what is 1 + 1?'
    """
    task = entry["metadata"].get("task_id")
    return str(task) if task is not None else " ".join(entry["question"].lower().split())


def score(name: str, arguments: str, seed: int, answer: str) -> dict[str, Any]:
    """Return what the data set's own scorer gives for an answer, from 0 to 1.

    Returns:
        ``{"score": number}``, or ``{"unreadable": why}`` if the scorer failed on what the answer
        is, which it does on some that are no number, list or the like.

    Raises:
        ScorerError: it failed for another reason, or its process ended.
        ValueError: it returned something else.
    """
    dataset, entry = _entry(name, arguments, seed)
    work = partial(dataset.score_answer, answer=answer, entry=entry)
    try:
        value = contained(work) if wanted() else uncontained(work)
    except Unreadable as error:
        return {"unreadable": str(error)}
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"the scorer returned {value}")
    return {"score": value}


@functools.lru_cache(maxsize=256)
def _entry(name: str, arguments: str, seed: int) -> tuple[Any, dict[str, Any]]:
    """Return a data set, and its entry of a seed."""
    random.seed(seed)  # a few generators draw from the shared streams
    np.random.seed(seed)
    made = _made(name, arguments, seed if name in MADE_ANEW else 0)
    made.seed = made.config.seed = seed
    return made, made[0]


@functools.lru_cache(maxsize=16)
def _made(name: str, arguments: str, seed: int) -> Any:
    given = json.loads(arguments)
    return _factory().create_dataset(name, seed=seed, size=1, **given)
