"""A cage: one fork server, seen from the process that has programs run.

The server is started with nothing of this process's: a clean environment, no descriptors. Orders
and reports pass on a control socket; what a program reads and answers, on streams of its own, which
the server only hands on. All limits on time and output are kept here, by killing.
"""

from __future__ import annotations

import json
import marshal
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bakeoff.rewards.channels import BOTH_ENDS, pair
from bakeoff.rewards.code.clock import Clock
from bakeoff.rewards.code.conversation import Conversation
from bakeoff.rewards.code.jail.scratch import empty

START = str(Path(__file__).parent / "jail" / "start.py")
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",  # the order of sets is the same in every run
    "OMP_NUM_THREADS": "1",
}
_START_S = 60.0
_ANSWER_S = 10.0  # for a killed program's report
_CLEAN_S = 60.0  # for deleting what a program has left
# What is known of a program whose end was not reported in time.
_KILLED: dict[str, Any] = {
    "status": -signal.SIGKILL,
    "contained": True,
    "refused": {},
}


class CageBroken(RuntimeError):
    """A fork server has failed: what it was running has no verdict."""


class Refused(RuntimeError):
    """A level of isolation cannot be had."""


class Report:
    """How a program's process ended.

    Attributes:
        status: its exit code, or minus the signal that ended it.
        cause: why this process ended it: "time", "output" or "enough"; empty if it did not.
        refused: how often the sandbox refused what, by kind of act.
    """

    def __init__(self, message: Mapping[str, Any], cause: str) -> None:
        self.status: int = message["status"]
        self.cause = cause
        self.refused: Mapping[str, int] = message["refused"]


class Cage:
    """One fork server, which runs one program at a time. Not for use by two threads at once.

    Args:
        level: "namespaces", "landlock" or "none".
        start: the script that starts it.

    Attributes:
        level: how programs are contained.
        counts: whether refused acts are counted.
        usable: whether it can run another program.

    Raises:
        Refused: the level cannot be had here.
        CageBroken: the server does not start, for another reason.
    """

    def __init__(self, level: str, *, start: str = START) -> None:
        self._scratch = "" if level == "namespaces" else tempfile.mkdtemp(prefix="bakeoff-")
        settings = json.dumps({"level": level, "scratch": self._scratch})
        with tempfile.TemporaryFile() as log:
            with BOTH_ENDS:
                self._control, theirs = pair(socket.SOCK_SEQPACKET)
                with theirs:
                    command = [sys.executable, "-S", "-s", "-P", "-X", "utf8", start]
                    self._process = subprocess.Popen(
                        [*command, str(theirs.fileno()), settings],
                        pass_fds=[theirs.fileno()],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=log,
                        env=ENVIRONMENT,
                        cwd="/",
                        start_new_session=True,
                    )
            self.level = level
            self._number = self._nest = 0
            self.usable = True
            try:
                self.counts = self._greeted()
            except CageBroken as error:
                self.end()
                log.seek(0)
                said = log.read().decode(errors="replace").strip().rpartition("\n")[2]
                raise CageBroken(f"the sandbox's server did not start: {said or error}") from None
            except BaseException:
                self.end()
                raise

    def _greeted(self) -> bool:
        """Take the two greetings, of the warden and of the nest; either may come first."""
        counts: bool | None = None
        while counts is None or not self._nest:
            self._control.settimeout(_START_S)
            try:
                message = json.loads(self._control.recv(2**16) or b"{}")
            except OSError as error:
                raise CageBroken(str(error)) from None
            if "refused" in message:
                raise Refused(message["refused"])
            if "nest" in message:
                self._nest = message["nest"]
            elif "ready" in message:
                counts = bool(message["counts"])
            else:
                raise CageBroken("it ended at once")
        self._control.settimeout(None)
        return counts

    def pids(self) -> tuple[int, int]:
        """Return the process ids of the server: the warden and the nest."""
        return self._process.pid, self._nest

    def run(
        self, order: Mapping[str, Any], passed: Sequence[int], conversation: Conversation
    ) -> Report:
        """Have a program run, and talk with it until it ends.

        Args:
            order: what the nest is to do.
            passed: the program's descriptors.
            conversation: this end of them.

        Raises:
            CageBroken: there is no verdict; the cage must not be used again.
        """
        self._number += 1
        message = marshal.dumps({**order, "number": self._number})
        try:
            socket.send_fds(self._control, [message], list(passed))
            report, cause = self._talk(conversation)
        except OSError as error:
            raise CageBroken(f"the sandbox's server is gone ({error})") from None
        self.usable = report is not _KILLED and (not report["dirty"] or self._is_cleaned())
        if "error" in report:
            raise CageBroken(f"the sandbox failed: {report['error']}")
        if not report["contained"]:
            raise CageBroken("a process could not be contained")
        if not cause:
            cause = self._take_the_rest(conversation)
        return Report(report, cause)

    def _is_cleaned(self) -> bool:
        self._control.settimeout(_CLEAN_S)
        try:
            return bool(self._control.recv(2**16))
        except OSError:
            return False
        finally:
            self._control.settimeout(None)

    def _take_the_rest(self, conversation: Conversation) -> str:
        for stream in conversation.streams:
            before = -1
            while before < stream.total <= stream.limit:
                before = stream.total
                stream.read()
            if stream.total > stream.limit:
                return "output"
        return "" if conversation.heard() else "enough"

    def _talk(self, conversation: Conversation) -> tuple[dict[str, Any], str]:
        poll = select.poll()
        control = self._control.fileno()
        poll.register(control, select.POLLIN)
        streams = {stream.descriptor: stream for stream in conversation.streams}
        for stream in streams.values():
            poll.register(stream.descriptor, stream.events())
        cause, clock = "", Clock(self._nest, conversation)
        while True:
            left_s = clock.left_s()
            if left_s <= 0 and not cause and not clock.excuse():
                cause = self._kill("time", clock)
            elif left_s <= 0 and cause:
                return _KILLED, cause  # it has its verdict, and takes its time to die
            if left_s <= 0:
                continue
            for descriptor, event in poll.poll(left_s * 1000 + 1):
                if descriptor == control:
                    return self._report(), cause
                stream = streams[descriptor]
                if event & select.POLLOUT:
                    stream.write()
                if event & ~select.POLLOUT and not stream.read():
                    poll.unregister(descriptor)
                else:
                    poll.modify(descriptor, stream.events())
                if cause:
                    stream.received.clear()  # what it says now is too late
                elif stream.total > stream.limit:
                    cause = self._kill("output", clock)
                elif not conversation.heard():
                    cause = self._kill("enough", clock)
            if not cause:
                clock.look()

    def _kill(self, cause: str, clock: Clock) -> str:
        self._control.send(marshal.dumps(self._number))
        clock.wait(_ANSWER_S)
        return cause

    def _report(self) -> dict[str, Any]:
        message = self._control.recv(2**16)
        if not message:
            raise CageBroken("the sandbox's server has ended")
        report: dict[str, Any] = json.loads(message)
        return report

    def end(self) -> None:
        """End the server with all that it runs."""
        with suppress(OSError):  # it ends at once, also if another thread is waiting for it
            self._control.shutdown(socket.SHUT_RDWR)
        self._control.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._scratch:
            with suppress(OSError):  # not by `shutil.rmtree`, which recurses
                empty(self._scratch)
                os.rmdir(self._scratch)

    def disown(self) -> None:
        """Forget the server in a forked child: it is the parent's."""
        self._process.returncode = 0
        with suppress(OSError):
            self._control.close()
