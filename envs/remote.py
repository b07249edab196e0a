"""Scoring in a process that can be killed, for environments whose rewards may hang.

The workers' server makes the environment anew from its spec, before it forks them; a worker finds
the item by its split and index. What passes between the processes is text and numbers.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from bakeoff.rewards.workers import WorkerFailed, WorkerPool, WorkerTimeout
from bakeoff.types import Item, Score

if TYPE_CHECKING:
    from bakeoff.envs.text_env import TextEnv

WORKERS = 2
MEMORY_MIB = 4096
_PREFIX = "of_"

_making = threading.Lock()


@functools.cache
def _pool(place: str) -> WorkerPool:
    name = _PREFIX + place.encode().hex()
    return WorkerPool(f"bakeoff.envs.remote:{name}", workers=WORKERS, memory_mib=MEMORY_MIB)


def scored(
    spec: str, deadline_s: float, items: Sequence[Item], replies: Sequence[Any]
) -> list[Score]:
    """Return the score of each reply; one that takes too long is not scored.

    Args:
        spec: what ``make`` builds the environment of.
        deadline_s: seconds for one reply; the making of the environment does not count.
        items: what was asked; an item's id ends in its split and index.
        replies: one for each item.

    Raises:
        UsageError: the environment cannot be made of its spec in another process.
    """
    with _making:
        pool = _pool(json.dumps({"spec": spec, "folder": os.getcwd(), "path": sys.path}))
    with ThreadPoolExecutor(WORKERS, "bakeoff-scoring") as threads:
        return list(threads.map(partial(_scored, pool, deadline_s), items, replies))


def _scored(pool: WorkerPool, deadline_s: float, item: Item, reply: Any) -> Score:
    _, split, index = item.id.rsplit("/", 2)
    request = {"split": split, "index": int(index), "reply": reply}
    try:
        found: Any = pool.call(request, deadline_s=deadline_s)
    except WorkerTimeout:
        return Score(None, reason=f"no score within {deadline_s:g} s")
    except (WorkerFailed, ValueError) as error:
        return Score(None, reason=str(error))
    return Score(**found)


def __getattr__(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the workers' function of an environment, which is made here, in their server."""
    if not name.startswith(_PREFIX):
        raise AttributeError(name)
    from bakeoff.envs import make

    place = json.loads(bytes.fromhex(name.removeprefix(_PREFIX)))
    sys.path += [folder for folder in place["path"] if folder not in sys.path]
    os.chdir(place["folder"])
    return partial(_answer, make(place["spec"]))


def _answer(environment: TextEnv, request: dict[str, Any]) -> dict[str, Any]:
    """Score one reply, in a worker."""
    from bakeoff.envs.scoring import judged

    reply = request["reply"]
    item = environment.item(request["index"], request["split"])
    replies = [tuple(reply) if isinstance(reply, list) else reply]
    (score,) = judged(environment.rewards, [item], replies)
    return {name: dict(value) if name in ("parts", "seconds") else value
            for name, value in vars(score).items()}  # fmt: skip
