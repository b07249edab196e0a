"""A pool of worker processes that run one function, each request under limits and a deadline.

For work that may hang, crash or eat memory: it is done in a process that can be killed. A pool
uses no signals, so it works from any thread, from asyncio, in a spawned, forked or daemonic process
and under ``gymnasium``'s vector environments. The host is never forked and unpickles nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import signal
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any

from bakeoff.errors import UsageError
from bakeoff.rewards.frames import FrameError, encode
from bakeoff.rewards.worker_processes import Worker, WorkerFailed, Workshop
from bakeoff.rewards.worker_server import OUT_OF_MEMORY

__all__ = ["QUEUE_S", "WorkerFailed", "WorkerPool", "WorkerTimeout"]

QUEUE_S = 600.0  # how long a request may wait for a free worker


class WorkerTimeout(RuntimeError):
    """A request had no answer at its deadline, and its worker was killed."""


class WorkerPool:
    """Persistent worker processes that run one function on JSON requests.

    Nothing starts before the first call. Then a small server process imports the preloads and the
    function, once, and forks a worker in milliseconds whenever one is needed. A worker that
    misses a deadline is killed with the children of its process group and replaced. One that dies
    of something else is replaced and its request is run once more, so the function should have no
    effects. Server and workers end when the host does, however it ends.

    In a worker: standard input, output and error are the null device; ``SIGINT`` is ignored; there
    are no core dumps; ``PYTHONHASHSEED`` is 0 and ``OMP_NUM_THREADS`` is 1. The limits bound
    accidents, and a function that runs hostile code needs a sandbox besides. Memory is limited by
    ``RLIMIT_AS`` on Linux; macOS does not enforce it, and there is no memory limit there.

    Args:
        target: ``module:function``, imported in the server as an installed module would be (the
            current folder is not on its path). It gets the decoded request as its one argument.
        workers: how many requests run at the same time.
        memory_mib: address space that a worker may use on top of what the imports took.
        cpu_s: CPU seconds that one request may use, rounded up to a full second of the worker's
            clock; ``None`` for no limit.
        preload: modules that the server imports first, such as ``"sympy"``.

    Attributes:
        started: workers started so far.
        replaced: those of them started in the place of a lost one.
        timeouts: requests that missed their deadline.

    Raises:
        UsageError: an argument is out of range.

    Example:
        >>> with WorkerPool("math:sqrt", workers=1) as pool:
        ...     pool.call(9, deadline_s=10)
        3.0
    """

    def __init__(
        self,
        target: str,
        *,
        workers: int = 2,
        memory_mib: int = 1024,
        cpu_s: float | None = None,
        preload: Sequence[str] = (),
    ) -> None:
        place, _, name = target.partition(":")
        if not place or not name:
            raise UsageError(f"a worker's function is named module:function, not '{target}'")
        if workers < 1 or memory_mib < 1:
            raise UsageError(f"workers ({workers}) and memory_mib ({memory_mib}) must be 1 or more")
        if cpu_s is not None and not cpu_s > 0:
            raise UsageError(f"cpu_s must be more than 0, not {cpu_s}")
        if isinstance(preload, str):
            raise UsageError(f"preload is a sequence of module names, not '{preload}'")
        self._settings: dict[str, Any] = {
            "target": target,
            "memory_mib": memory_mib,
            "cpu_s": cpu_s,
            "preload": list(preload),
        }
        self._workers = workers
        self._workshop = Workshop(self._settings)
        self._finish = weakref.finalize(self, self._workshop.close)
        self._reset()
        _POOLS.add(self)

    def _reset(self) -> None:
        self.started = self.replaced = self.timeouts = 0
        self._lost = 0
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(self._workers)
        self._numbers = itertools.count()
        self._threads: ThreadPoolExecutor | None = None

    def call(self, request: object, *, deadline_s: float) -> object:
        """Return what the function makes of a request; blocks, and is safe in any thread.

        Args:
            request: JSON-able data.
            deadline_s: seconds from when a waiting worker gets the request; neither the start of
                a worker nor the wait for a free one counts (the latter ends after ``QUEUE_S``).

        Raises:
            WorkerTimeout: there was no answer at the deadline.
            WorkerFailed: the function raised or met a limit, its answer is not JSON-able, two
                workers died of the request, or none could be had.
            UsageError: the function cannot be imported, or this platform has no ``fork``.
            TypeError, ValueError: the request is not JSON-able, or the deadline not above 0.
        """
        return self._call(request, deadline_s, time.monotonic() + QUEUE_S)

    async def acall(self, request: object, *, deadline_s: float) -> object:
        """Do as ``call`` without blocking the event loop.

        A cancelled call gives its worker back when it has its answer, or at the deadline.
        """
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._workers, "bakeoff-worker-pool")
            threads = self._threads
        job = partial(self._call, request, deadline_s, time.monotonic() + QUEUE_S)
        return await asyncio.get_running_loop().run_in_executor(threads, job)

    def _call(self, request: object, deadline_s: float, wait_until: float) -> object:
        if not (deadline_s > 0 and math.isfinite(deadline_s)):
            raise ValueError(f"deadline_s must be a number above 0, not {deadline_s}")
        number = next(self._numbers)
        frame = encode({"id": number, "request": request})
        if not self._free.acquire(timeout=max(0.0, wait_until - time.monotonic())):
            raise WorkerFailed(f"no worker was free for {QUEUE_S:g} s")
        try:
            return self._answer(number, frame, deadline_s)
        finally:
            self._free.release()

    def _answer(self, number: int, frame: bytes, deadline_s: float) -> object:
        how = ""
        for _ in range(2):
            worker = self._worker()
            try:
                reply = worker.ask(number, frame, deadline_s)
            except TimeoutError:
                self._bury(worker)
                with self._lock:
                    self.timeouts += 1
                raise WorkerTimeout(f"no answer within {deadline_s:g} s") from None
            except FrameError as error:
                self._bury(worker)
                raise WorkerFailed(f"the worker did not keep to the protocol: {error}") from None
            except EOFError:
                how = self._ending(self._bury(worker))
            except BaseException:  # such as a KeyboardInterrupt: the answer would come too late
                self._bury(worker)
                raise
            else:
                self._workshop.give(worker)
                if "answer" in reply:
                    return reply["answer"]
                kind, text = reply["error"]
                raise WorkerFailed(f"{kind}: {text}", kind)
        raise WorkerFailed(f"two workers died of the request: {how}")

    def _worker(self) -> Worker:
        while (idle := self._workshop.take_idle()) is not None:
            if idle.silent():
                return idle
            self._bury(idle)
        worker = self._workshop.take_new()
        with self._lock:
            self.started += 1
            if self._lost:
                self._lost -= 1
                self.replaced += 1
        return worker

    def _bury(self, worker: Worker) -> int | None:
        with self._lock:
            self._lost += 1
        return self._workshop.bury(worker)

    def _ending(self, status: int | None) -> str:
        """Return how a worker died, in words, if running its request again makes sense."""
        if status == OUT_OF_MEMORY:
            limit = self._settings["memory_mib"]
            raise WorkerFailed(f"more than {limit} MiB of memory was needed", "MemoryError")
        if status == -signal.SIGXCPU:
            raise WorkerFailed(f"more than {self._settings['cpu_s']} s of CPU time was needed")
        if status is None:
            return "with its server"
        return f"signal {-status}" if status < 0 else f"exit code {status}"

    def close(self) -> None:
        """End all processes; a call that waits, or comes later, raises ``WorkerFailed``."""
        self._finish()
        with self._lock:
            if self._threads is not None:
                self._threads.shutdown(wait=False)
                self._threads = None

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the settings alone: the copy is a pool that has not started."""
        return partial(WorkerPool, workers=self._workers, **self._settings), ()

    def _begin_anew(self) -> None:
        self._workshop.abandon()
        self._reset()


_POOLS: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


def _begin_anew_in_child() -> None:
    for pool in list(_POOLS):
        pool._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
