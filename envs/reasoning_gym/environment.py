"""reasoning-gym's data sets as environments: ``bakeoff/rg-chain_sum-v0``, and over a hundred more.

Generation and scoring are reasoning-gym's own, in worker processes that can be killed; what is
added is said in ``docs/environments/reasoning_gym.md``: splits that share nothing, items that are
addressed by index, and a scorer that runs no code of a reply's. There is a class for every name in
``NAMES``, made when it is first asked for.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import json
import typing
from collections.abc import Sequence
from typing import Any

from bakeoff.envs.reasoning_gym.names import NAMES
from bakeoff.envs.text_env import TextEnv, checked_split
from bakeoff.errors import UsageError
from bakeoff.rewards import Malformed
from bakeoff.rewards.workers import WorkerFailed, WorkerPool, WorkerTimeout
from bakeoff.types import Item

INSTRUCTION = "Put the answer, and nothing else, between <answer> and </answer>."
ITEM_S, SCORE_S = 60.0, 10.0
WORKERS, MEMORY_MIB, CPU_S = 2, 2048, 60.0


class _Kind(type):
    """The type of the classes below: their signature is reasoning-gym's, which is asked late."""

    @property
    def __signature__(cls) -> inspect.Signature:
        own = inspect.signature(cls.__init__)  # type: ignore[misc]
        kept = [p for p in own.parameters.values() if p.name != "self" and p.kind != p.VAR_KEYWORD]
        more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)
                for name in arguments_of(getattr(cls, "name", ""))]  # fmt: skip
        return own.replace(parameters=kept + more)


class ReasoningGym(TextEnv, metaclass=_Kind):
    """One data set of reasoning-gym.

    Args:
        partial: whether the reward is reasoning-gym's score, which for many data sets has a part
            for what is nearly right; else 1 if that score is 1, and 0.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".
        arguments: the data set's own, but for ``seed`` and ``size``.

    Attributes:
        name: of the data set.

    Raises:
        UsageError: reasoning-gym is not installed, or refuses the arguments.
    """

    name: str = ""
    reply_tokens = 512
    needs_sandbox = True

    def __init__(
        self,
        *,
        partial: bool = True,
        split: str = "train",
        render_mode: str | None = None,
        **arguments: object,
    ) -> None:
        super().__init__(split=split, render_mode=render_mode)
        self._arguments = json.dumps(arguments, sort_keys=True)
        self.rewards = {"score": (1.0, self._score)} if partial else {"solved": (1.0, self._solved)}
        self.item(0, self.split)  # says what is wrong with the arguments

    def size(self, split: str) -> int:
        """Return how many indexes the split has; small data sets repeat their questions."""
        return {"train": 2**31, "eval": 2**16}[checked_split(split)]

    def item(self, index: int, split: str = "train") -> Item:
        """Return one entry of the data set.

        Raises:
            UsageError: it cannot be generated, or none is of the split.
        """
        self._checked_index(index, split)
        found = _generated(self.id, self.name, self._arguments, split, index)
        answer = found["answer"]
        return Item(
            f"{self.id}/{split}/{index}",
            f"{found['question']}\n\n{INSTRUCTION}",
            answer,
            gold=f"<answer>{answer}</answer>" if answer else "",
            data={"seed": found["seed"]},
        )

    async def _score(self, reply: str, item: Item) -> float:
        answer = tagged(reply)
        if answer is None:
            raise Malformed("no <answer>...</answer>")
        request = {"do": "score", "name": self.name, "arguments": self._arguments,
                   "seed": item.data["seed"], "answer": answer}  # fmt: skip
        try:
            found: Any = await _pool().acall(request, deadline_s=SCORE_S)
        except WorkerTimeout as error:
            raise TimeoutError(str(error)) from None
        if "unreadable" in found:
            raise Malformed(found["unreadable"])
        return float(found["score"])

    async def _solved(self, reply: str, item: Item) -> float:
        return float(await self._score(reply, item) == 1.0)


def tagged(reply: str) -> str | None:
    """Return what stands in the last complete answer tags of a reply, stripped.

    Example:
        >>> tagged("so 3? <answer>3</answer> or <answer> 4\\n</answer>"), tagged("it is 4")
        ('4', None)
    """
    end = reply.rfind("</answer>")
    start = reply.rfind("<answer>", 0, max(end, 0))
    return None if start < 0 else reply[start + len("<answer>") : end].strip()


@functools.cache
def arguments_of(name: str) -> Sequence[str]:
    """Return the names of the arguments of a data set.

    Raises:
        UsageError: reasoning-gym is not installed, or has no such data set (any more).
    """
    found: Any = _asked({"do": "list", "name": name}, f"bakeoff/rg-{name}-v0")
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def _generated(id: str, name: str, arguments: str, split: str, index: int) -> dict[str, Any]:
    request = {"do": "item", "id": id, "name": name, "arguments": arguments}
    found: Any = _asked({**request, "split": split, "index": index}, id)
    if found is None:
        raise UsageError(f"{id}: no entry is of split '{split}'; it has too few of them")
    return dict(found)


def _asked(request: dict[str, Any], id: str) -> object:
    if importlib.util.find_spec("reasoning_gym") is None:
        raise UsageError(f"{id} needs reasoning-gym: pip install 'bakeoff[reasoning-gym]'")
    try:
        return _pool().call(request, deadline_s=ITEM_S)
    except (WorkerFailed, WorkerTimeout) as error:
        raise UsageError(f"{id}: reasoning-gym cannot generate: {error}") from None


@functools.cache
def _pool() -> WorkerPool:
    """Return the workers of all these environments; they start when one is asked."""
    place = "bakeoff.envs.reasoning_gym.worker:respond"
    return WorkerPool(
        place, workers=WORKERS, memory_mib=MEMORY_MIB, cpu_s=CPU_S, preload=["reasoning_gym"]
    )


def __getattr__(name: str) -> type[ReasoningGym]:
    """Return the class of a data set, made when it is first asked for."""
    if name not in NAMES:
        raise AttributeError(name)
    summary = f"reasoning-gym's {name.replace('_', ' ')}, with splits that share nothing."
    body = {"name": name, "id": f"bakeoff/rg-{name}-v0", "__doc__": summary, "__module__": __name__}
    made = globals()[name] = typing.cast(type[ReasoningGym], _Kind(name, (ReasoningGym,), body))
    return made
