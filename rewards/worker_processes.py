"""The host's side of the worker processes: start the server, have it fork workers, bury them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from bakeoff.errors import UsageError
from bakeoff.rewards.channels import BOTH_ENDS, pair
from bakeoff.rewards.frames import FrameError, encode, read_frame
from bakeoff.rewards.worker_server import BURY, FORK, ORDER, kill_group

START_S = 120.0  # for the server's imports, and for a fork; both only on a broken machine
BURY_S = 10.0
SERVER = "bakeoff.rewards.worker_server"
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # the order of sets, and so what a function does, is the same every run
    "OMP_NUM_THREADS": "1",  # a library with threads cannot be forked safely
}


class WorkerFailed(RuntimeError):
    """A request has no answer: the function raised, a limit was met, or its workers died.

    Attributes:
        type_name: the name of the exception's type if the function raised one, else empty.
    """

    def __init__(self, message: str, type_name: str = "") -> None:
        super().__init__(message)
        self.type_name = type_name


class Worker:
    """One worker process and the socket to it."""

    def __init__(self, channel: socket.socket, server: _Server) -> None:
        self.channel = channel
        self.server = server
        try:
            self.pid = int(read_frame(channel, until=time.monotonic() + START_S)["pid"])
        except BaseException:
            channel.close()
            raise

    def ask(self, number: int, frame: bytes, deadline_s: float) -> dict[str, Any]:
        """Return the reply to one request.

        Raises:
            TimeoutError: it was not there within ``deadline_s`` seconds.
            EOFError: the worker died.
            FrameError: what came is no reply to this request.
        """
        until = time.monotonic() + deadline_s
        self.channel.settimeout(deadline_s)
        with suppress(ConnectionError):  # it died; what it left to read ends too early
            self.channel.sendall(frame)
        reply = read_frame(self.channel, until=until)
        if isinstance(reply, dict) and reply.get("id") == number:
            if reply.keys() == {"id", "answer"}:
                return reply
            if reply.keys() == {"id", "error"} and _is_error(reply["error"]):
                return reply
        raise FrameError("a frame is no reply to the request")

    def silent(self) -> bool:
        """Return whether the worker is alive and has sent nothing that was not read."""
        self.channel.settimeout(0)
        try:
            self.channel.recv(1, socket.MSG_PEEK)
        except OSError as error:
            return isinstance(error, BlockingIOError)
        return False


def _is_error(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(x, str) for x in value)


class _Server:
    """The process that forks workers, started with ``subprocess`` and nothing of the host's."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        with tempfile.TemporaryFile() as log:
            self.control, self.process = _launched(log)
            try:
                self._greet(settings, log)
            except BaseException:
                self.process.kill()
                self.end()
                raise

    def _greet(self, settings: Mapping[str, object], log: IO[bytes]) -> None:
        try:
            self.control.sendall(encode(settings))
            reply = read_frame(self.control, until=time.monotonic() + START_S)
        except (OSError, EOFError, FrameError) as error:
            self.process.kill()
            self.process.wait()
            log.seek(0)
            said = log.read().decode(errors="replace").strip().rpartition("\n")[2]
            why = said[:500] or type(error).__name__
            raise WorkerFailed(f"the worker server did not start: {why}") from None
        if "error" in reply:
            kind, text = reply["error"]
            why = " ".join(text.split())
            raise UsageError(f"workers cannot run {settings['target']}: {kind}: {why}")

    def alive(self) -> bool:
        return self.process.poll() is None

    def fork(self) -> socket.socket:
        """Order a worker and return the socket to it.

        Raises:
            EOFError: the server is dead.
        """
        with BOTH_ENDS:
            ours, theirs = pair()
            with theirs:
                try:
                    socket.send_fds(self.control, [ORDER.pack(FORK, 0)], [theirs.fileno()])
                except OSError:
                    ours.close()
                    self.end()
                    raise EOFError from None
        return ours

    def bury(self, pid: int) -> int | None:
        """Wait for a killed worker's end and return how it ended, or ``None`` if unknown."""
        try:
            self.control.settimeout(BURY_S)
            self.control.sendall(ORDER.pack(BURY, pid))
            status: int | None = read_frame(self.control, until=time.monotonic() + BURY_S)
        except (OSError, EOFError):
            self.end()
            return None
        return status

    def end(self) -> None:
        """Close the control socket, upon which the server kills its workers and leaves."""
        self.control.close()
        try:
            self.process.wait(BURY_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def disown(self) -> None:
        """Forget, in a forked child, that the process was started; it is the parent's."""
        self.process.returncode = 0


def _launched(log: IO[bytes]) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the server's process and return it with the socket to it."""
    with BOTH_ENDS:
        ours, theirs = pair()
        with theirs:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", SERVER, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env={**os.environ, **ENVIRONMENT},
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise WorkerFailed(f"the worker server did not start: {error}") from None
    return ours, process


class Workshop:
    """A server, started for the first worker and again whenever it is found dead, and its workers.

    Safe to use from any thread. A worker that was taken must be given back or buried.
    """

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._settings = settings
        self._closed = False
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._idle: list[Worker] = []

    def take_idle(self) -> Worker | None:
        """Return the worker that was given back last, alive or not, or ``None``."""
        with self._lock:
            return self._idle.pop() if self._idle else None

    def take_new(self) -> Worker:
        """Return a worker that was started now.

        Raises:
            UsageError: the function cannot be imported, or this platform has no ``fork``.
            WorkerFailed: none could be started, or the workshop is closed.
        """
        for _ in range(3):  # a server may turn out to be dead only when it is spoken to
            with suppress(EOFError, TimeoutError):
                with self._lock:
                    server = self._living_server()
                    channel = server.fork()
                return Worker(channel, server)
        raise WorkerFailed("no worker process could be started; is the process limit reached?")

    def _living_server(self) -> _Server:
        if self._closed:
            raise WorkerFailed("the worker pool is closed")
        if self._server is not None and not self._server.alive():
            self._server.end()
            self._server = None
        if self._server is None:
            if not hasattr(os, "fork"):
                raise UsageError(f"worker processes need fork, which {sys.platform} does not have")
            self._server = _Server(self._settings)
        return self._server

    def give(self, worker: Worker) -> None:
        """Take a worker back that waits for requests."""
        with self._lock:
            if self._closed:
                worker.channel.close()
            else:
                self._idle.append(worker)

    def bury(self, worker: Worker) -> int | None:
        """Kill a worker with its children.

        Returns:
            Its exit code, or minus the signal that ended it, or ``None`` if its server is dead.
        """
        with self._lock:
            # Only its server reaps a worker: while that lives, the process id is the worker's.
            if worker.server.alive() or worker.silent():
                kill_group(worker.pid)
            worker.channel.close()
            return worker.server.bury(worker.pid)

    def close(self) -> None:
        """End the server and all workers, for good; who waits for an answer sees its worker die."""
        with self._lock:
            self._closed = True
            if self._server is not None:
                self._server.end()
            while self._idle:
                self._idle.pop().channel.close()

    def abandon(self) -> None:
        """Begin anew in a forked child: the processes are the parent's."""
        if self._server is not None:
            self._server.disown()
        self._reset()
