"""A process that can be killed, in which an environment's own code runs while it is checked.

It is forked, so that it has the very environment that is checked, however that was made; nothing
needs to be picklable but what is asked and answered.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from bakeoff.envs.text_env import TextEnv

P = ParamSpec("P")
R = TypeVar("R")

MESSAGE_CHARS = 300
_PR_SET_PDEATHSIG = 1


class CallFailed(RuntimeError):
    """What was asked of the environment raised, took too long, or ended its process."""


class TookTooLong(CallFailed):
    """There was no answer at the deadline."""


class Workplace:
    """Runs functions of an environment in a forked process, each of them under a deadline.

    A process that misses a deadline, or dies, is replaced at the next call. What is written to
    standard output in it is dropped.

    Args:
        env: the environment; the process has a copy of it.
        deadline_s: seconds that one call may take.

    Example:
        >>> from bakeoff.envs.math.arithmetic import Arithmetic
        >>> with Workplace(Arithmetic(), deadline_s=10) as place:
        ...     place.call(Arithmetic.size, "eval")
        65536
    """

    def __init__(self, env: TextEnv, deadline_s: float) -> None:
        self._env = env
        self._deadline_s = deadline_s
        self._process: ForkProcess | None = None
        self._channel: Connection[Any, Any] | None = None

    def call(
        self, function: Callable[Concatenate[TextEnv, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Return ``function(env, *args, **kwargs)``; the function is a module's, not a closure.

        Raises:
            TookTooLong: there was no answer at the deadline; the process was killed.
            CallFailed: the function raised, or its process died.
        """
        channel = self._channel or self._started()
        try:
            channel.send((function, args, kwargs))
            if not channel.poll(self._deadline_s):
                raise TookTooLong(f"no answer within {self._deadline_s:g} s")
            failure, answer = channel.recv()
        except (EOFError, ConnectionError):
            raise CallFailed(f"it ended its process (exit code {self._end(1.0)})") from None
        except BaseException:  # a KeyboardInterrupt, too: the answer would come too late
            self.close()
            raise
        if failure:
            raise CallFailed(failure)
        return answer  # type: ignore[no-any-return]

    def _started(self) -> Connection[Any, Any]:
        context = multiprocessing.get_context("fork")
        channel, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._env, theirs, channel))
        with warnings.catch_warnings():  # of threads here; the child uses none of their locks
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        theirs.close()
        self._channel = channel
        return channel

    def close(self) -> None:
        """Kill the process and the children of its group."""
        self._end(0.0)

    def _end(self, patience_s: float) -> int | None:
        """End the process, which may end by itself within some seconds; return its exit code."""
        process, channel = self._process, self._channel
        self._process = self._channel = None
        if process is None or channel is None or process.pid is None:
            return None
        process.join(patience_s)
        for kill in (os.killpg, os.kill):  # it may not have made its group yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(process.pid, signal.SIGKILL)
        process.join()
        code = process.exitcode
        channel.close()
        process.close()
        return code

    def __enter__(self) -> Workplace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _serve(env: TextEnv, channel: Connection[Any, Any], other_end: Connection[Any, Any]) -> None:
    """Answer until the other end is closed, then leave at once."""
    other_end.close()
    os.setpgid(0, 0)
    if sys.platform == "linux":  # elsewhere one that hangs outlives a checker that is killed
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        while True:
            function, args, kwargs = channel.recv()
            try:
                answer = ("", function(env, *args, **kwargs))
            except Exception as error:  # code of the user's may raise anything
                answer = (f"{type(error).__name__}: {error}"[:MESSAGE_CHARS], None)
            channel.send(answer)
    except (EOFError, ConnectionError):
        os._exit(0)
