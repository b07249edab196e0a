"""A fresh process that rebuilds an environment from its spec: what it asks and how it judges there.

``python -m bakeoff.envs.checking.fresh`` reads one JSON object and writes one. The process has
another hash seed than its parent, so that what depends on the order of a set shows.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from bakeoff.envs.checking import episodes

HASH_SEED = "20001"
Asked = tuple[str, int, tuple[str, ...]]  # split, index and the replies to judge there


class Found(NamedTuple):
    """What a fresh process answered.

    Attributes:
        texts: id, prompt, answer and gold reply of each item asked for.
        outcomes: value and parts of each reply.
        failure: why there is no answer.
    """

    texts: Sequence[Sequence[str]] = ()
    outcomes: Sequence[Any] = ()
    failure: str = ""


def ask(spec: str, asked: Sequence[Asked], deadline_s: float) -> Found:
    """Rebuild an environment in a fresh process and judge replies there.

    Args:
        spec: what ``bakeoff.envs.make`` takes.
        asked: the items and replies.
        deadline_s: seconds for all of it.

    Example:
        >>> found = ask("bakeoff/Arithmetic-v0", [("eval", 0, ("no idea",))], 60)
        >>> found.texts[0][0], found.outcomes
        ('bakeoff/Arithmetic-v0/eval/0', [[0.0, {'correct': 0.0, 'wellformed': 0.0}]])
    """
    request = json.dumps({"spec": spec, "asked": asked, "path": sys.path})
    command = [sys.executable, "-m", "bakeoff.envs.checking.fresh"]
    environment = {**os.environ, "PYTHONHASHSEED": HASH_SEED}
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(request, timeout=deadline_s)
    except subprocess.TimeoutExpired:
        return Found(failure=f"no answer within {deadline_s:g} s")
    finally:
        _end(process)
    try:
        return Found(**json.loads(out))
    except ValueError:
        last = [line for line in err.splitlines() if line.strip()][-1:] or ["it said nothing"]
        return Found(failure=f"exit code {process.returncode}: {last[0][:300]}")


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answer(request: dict[str, Any]) -> Found:
    """Do what a request asks: make the environment, give its items, judge the replies."""
    from bakeoff.envs import make

    sys.path[:] = request["path"]
    try:
        env = make(request["spec"])
        texts, outcomes = [], []
        for split, index, said in request["asked"]:
            texts.append(episodes.texts(env.item(index, split)))
            outcomes.append(episodes.verdict(env, split, index, tuple(said)).outcome)
    except Exception as error:  # code of the user's may raise anything
        return Found(failure=f"{type(error).__name__}: {error}"[:300])
    return Found(texts, outcomes)


def main() -> None:
    """Answer the one request of this process; what an environment prints does not disturb it."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    json.dump(answer(json.load(sys.stdin))._asdict(), channel)
    channel.flush()


if __name__ == "__main__":
    main()
