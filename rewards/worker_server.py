"""Inside the worker processes: a server that imports the function once, and the workers it forks.

``python -P -m bakeoff.rewards.worker_server FD`` speaks over the socket ``FD``:

1. It reads one frame of settings, imports the preloads and the function, and answers with a frame.
2. An order to fork comes with a socket; the forked worker says its process id there, and then
   answers requests, one at a time, until the socket closes.
3. An order to bury a worker waits for its end and answers how it ended. Nobody else waits for
   workers, so a process id stays theirs until the host is done with it.
4. When ``FD`` closes, the host is gone: all workers are killed with their children.

The host reads nothing but frames from a worker. This file imports no third-party package and holds
no threads, so that a fork is cheap and safe.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import math
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from bakeoff.rewards.frames import encode, read_frame

ORDER = struct.Struct("!cI")  # what to do, and with which process
FORK, BURY = b"f", b"b"
OUT_OF_MEMORY = 77  # exit code of a worker that met its memory limit
_PR_SET_PDEATHSIG = 1

Function = Callable[[Any], object]


def kill_group(pid: int) -> None:
    """Kill a worker and the children in its process group; the worker must not be buried yet."""
    with suppress(OSError):  # already ended, or so young that it has no group yet
        os.killpg(pid, signal.SIGKILL)
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Run the server on the socket that the command line names."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is the host's business
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a host may ignore it, which exec hands down
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    settings = read_frame(control)
    try:
        for name in settings["preload"]:
            importlib.import_module(name)
        function = _function(settings["target"])
    except BaseException as error:  # also SystemExit of a module: the host must hear of it
        control.sendall(encode({"error": _described(error)}))
        return
    control.sendall(encode({"ready": os.getpid()}))
    gc.collect()
    gc.freeze()  # collections in a worker then leave the pages shared with the server alone
    _serve(control, function, settings)


def _function(target: str) -> Function:
    place, _, name = target.partition(":")
    function: Any = importlib.import_module(place)
    for part in name.split("."):
        function = getattr(function, part)
    if not callable(function):
        raise TypeError(f"{target} cannot be called")
    checked: Function = function
    return checked


def _described(error: BaseException) -> list[str]:
    try:
        text = str(error)
    except Exception:  # a foreign __str__ may do anything
        text = "(its message cannot be read)"
    return [type(error).__name__, text[:2000]]


def _serve(control: socket.socket, function: Function, settings: Any) -> None:
    workers: set[int] = set()
    try:
        while True:
            order, descriptors, _, _ = socket.recv_fds(control, ORDER.size, 1)
            if len(order) < ORDER.size:
                return
            kind, pid = ORDER.unpack(order)
            if kind == FORK:
                with suppress(OSError):  # no process to be had: the host sees the socket close
                    workers.add(_fork(control, descriptors[0], function, settings))
                os.close(descriptors[0])
            else:
                control.sendall(encode(_bury(pid) if pid in workers else None))
                workers.discard(pid)
    except ConnectionError:
        return
    finally:
        for pid in workers:
            kill_group(pid)


def _bury(pid: int) -> int:
    """Wait for a worker's end; return its exit code, or minus the signal that ended it."""
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _fork(control: socket.socket, descriptor: int, function: Function, settings: Any) -> int:
    server = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        control.close()
        _end_with(server)
        with open(os.devnull, "r+b", buffering=0) as nothing:
            for stream in range(3):
                os.dup2(nothing.fileno(), stream)
        _limit_memory(settings["memory_mib"])
        os.set_inheritable(descriptor, False)
        _work(socket.socket(fileno=descriptor), function, settings["cpu_s"])
    except EOFError:
        os._exit(0)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    finally:
        os._exit(1)  # whatever happened, a worker never comes back into the server's loop


def _end_with(server: int) -> None:
    """Have the kernel kill this process when the server dies, where it can (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
        if os.getppid() != server:  # it died before
            os._exit(1)


def _limit_memory(memory_mib: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return  # without /proc the base is not known, and such systems do not enforce the limit
    limit = pages * os.sysconf("SC_PAGE_SIZE") + memory_mib * 2**20
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _limit_cpu(cpu_s: float) -> None:
    """Let the kernel end this process after so much more CPU time, to the next full second."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    limit = math.ceil(time.process_time() + cpu_s)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


def _work(channel: socket.socket, function: Function, cpu_s: float | None) -> NoReturn:
    channel.sendall(encode({"pid": os.getpid()}))
    while True:
        message = read_frame(channel)
        if cpu_s is not None:
            _limit_cpu(cpu_s)
        channel.sendall(_answer(message["id"], message["request"], function))


def _answer(number: int, request: Any, function: Function) -> bytes:
    try:
        return encode({"id": number, "answer": function(request)})
    except MemoryError:
        raise  # this process is not worth keeping
    except BaseException as error:  # also SystemExit and KeyboardInterrupt raised by the function
        return encode({"id": number, "error": _described(error)})


if __name__ == "__main__":
    main()
