"""The sandbox: a pool of cages, at the best level of isolation that can be had here."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from bakeoff.errors import UsageError, unknown
from bakeoff.rewards.code.cage import Cage, CageBroken
from bakeoff.rewards.code.levels import LEVELS, chosen_level, opened
from bakeoff.rewards.code.verdicts import Score

_REMEMBERED = 4096


class Sandbox:
    """A pool of fork servers that run programs, each contained, many at a time.

    Nothing starts before the first program. A server that fails is replaced, and its program run
    again. Safe to use from any thread, and in forked or spawned processes, which get servers of
    their own.

    Args:
        workers: how many programs run at the same time; by default one per available core, of
            which the processes of a run (``LOCAL_WORLD_SIZE``, as its launcher says) each have
            their share.
        level: "namespaces", "landlock" or "none"; by default what ``BAKEOFF_SANDBOX`` says, else
            the best that can be had, which is never "none".

    Attributes:
        started: servers started so far.
        broken: those of them that failed.

    Raises:
        UsageError: an argument is out of range.

    Example:
        >>> from bakeoff.rewards.code import Call, CallTests, score
        >>> with Sandbox(workers=1) as sandbox:
        ...     tests = CallTests("f", [Call((3,), 9)])
        ...     score("def f(x): return x * x", tests, sandbox=sandbox).parts["passed"]
        1.0
    """

    def __init__(self, workers: int | None = None, level: str | None = None) -> None:
        if workers is not None and workers < 1:
            raise UsageError(f"workers must be 1 or more, not {workers}")
        if level is not None and level not in LEVELS:
            raise unknown("level of isolation", level, LEVELS)
        self.workers = workers or _share_of_cores()
        self._wanted = level
        self._cages: list[Cage] = []
        self._reset()
        self._finish = weakref.finalize(self, _end, self._cages)
        _SANDBOXES.add(self)

    def _reset(self) -> None:
        self.started = self.broken = 0
        self._closed = False
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(self.workers)
        self._idle: list[Cage] = []
        self._level: str | None = None
        self.verdicts: OrderedDict[str, Score] = OrderedDict()

    @property
    def level(self) -> str:
        """How programs are contained.

        Raises:
            SandboxUnavailable: they cannot be.
            CageBroken: a server does not start, for another reason.
        """
        if self._level is None:
            with self.cage():
                pass
        assert self._level is not None
        return self._level

    @contextmanager
    def cage(self) -> Iterator[Cage]:
        """Lend a cage; one that raises ``CageBroken`` meanwhile is ended.

        Raises:
            SandboxUnavailable: programs cannot be contained.
            CageBroken: a server does not start, or the sandbox is closed.
        """
        with self._free:
            with self._lock:
                if self._closed:
                    raise CageBroken("the sandbox is closed")
                cage = self._idle.pop() if self._idle else None
            cage = cage or self._opened()
            try:
                yield cage
            except BaseException:  # a KeyboardInterrupt too: its program may still be running
                with self._lock:
                    self.broken += 1
                    if cage in self._cages:  # not ended by `close`
                        self._cages.remove(cage)
                cage.end()
                raise
            with self._lock:
                if cage.usable:
                    self._idle.append(cage)
                    return
                self._cages.remove(cage)
            cage.end()

    def _opened(self) -> Cage:
        cage = opened(self._level or self._wanted or chosen_level())
        with self._lock:
            self.started += 1
            self._level = cage.level
            if not self._closed:
                self._cages.append(cage)
                return cage
        cage.end()
        raise CageBroken("the sandbox is closed")

    def pids(self) -> list[int]:
        """Return the process ids of all servers."""
        with self._lock:
            return [pid for cage in self._cages for pid in cage.pids()]

    def remembered(self, key: str) -> Score | None:
        """Return the verdict on a program that was scored before."""
        with self._lock:
            if key in self.verdicts:
                self.verdicts.move_to_end(key)
            return self.verdicts.get(key)

    def remember(self, key: str, score: Score) -> None:
        """Keep a verdict, in the place of the one that was not asked for for longest."""
        with self._lock:
            self.verdicts[key] = score
            if len(self.verdicts) > _REMEMBERED:
                self.verdicts.popitem(last=False)

    def close(self) -> None:
        """End all servers; what is running has no verdict."""
        with self._lock:
            self._closed = True
            self._idle.clear()
        self._finish()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the arguments alone: the copy has not started."""
        return Sandbox, (self.workers, self._wanted)

    def _begin_anew(self) -> None:
        for cage in self._cages:
            cage.disown()
        self._cages.clear()
        self._reset()


def _share_of_cores() -> int:
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    known = hasattr(os, "sched_getaffinity")
    here = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return max(1, here // ranks)


def _end(cages: list[Cage]) -> None:
    while cages:
        cages.pop().end()


_SANDBOXES: weakref.WeakSet[Sandbox] = weakref.WeakSet()
_default: list[Sandbox] = []
_making = threading.Lock()


def default() -> Sandbox:
    """Return the sandbox of this process, made when it is first needed."""
    with _making:
        if not _default:
            _default.append(Sandbox())
        return _default[0]


def _begin_anew_in_child() -> None:
    global _making
    _making = threading.Lock()
    for sandbox in list(_SANDBOXES):
        sandbox._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
