"""The nest: a contained process that forks one process for every program, and ends it.

Containment is expensive and is put on here, once; a program's process inherits it and adds only its
own limits and the last filter. The nest holds no program, test or output: it passes descriptors on.
In its own process namespace it is process 1, which no signal of a program can reach.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # without the enums of `signal`
import _sitebuiltins
import _socket
import _thread
import builtins
import gc
import importlib
import json
import marshal
import os
import select
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from bakeoff.rewards.code.jail import (
    credentials,
    descriptors,
    landlock,
    limits,
    notices,
    programs,
    seccomp,
    serving,
    tester,
)

_ORDER_BYTES = 65536
_THREAD_STACK = 8 * 2**20

# What programs import most; a fork costs a microsecond for every two kilobytes of it.
_PRELOADED = """
    abc bisect collections copy functools heapq io itertools math operator random re string types
    typing
"""


class Plan(NamedTuple):
    """How the nest is to be contained.

    Attributes:
        level: "namespaces", "landlock" or "none".
        scratch: the folder that programs may write to.
        uid: the user id of the programs, if the server was started as root.
        private: whether the interpreter lies where that user may not read.
        base_bytes: the address space of an idle process.
    """

    level: str
    scratch: str
    uid: int | None
    private: bool
    base_bytes: int


def preload() -> None:
    """Import what programs import most, but let ``random`` not seed itself anew in every fork."""
    register = os.register_at_fork
    os.register_at_fork = lambda **hooks: None
    try:
        for name in _PRELOADED.split():
            importlib.import_module(name)
    finally:
        os.register_at_fork = register
    sys.modules["random"].seed(0)
    for name in ("exit", "quit"):  # of the module `site`, which is left out
        setattr(builtins, name, _sitebuiltins.Quitter(name, "Ctrl-D"))


def main(control: int, warden: int, plan: Plan) -> NoReturn:
    """Contain this process and serve until the host or the warden is gone."""
    try:
        listener = _contain(plan)
    except OSError as error:
        os.write(control, json.dumps({"refused": str(error)}).encode())
        os._exit(0)
    descriptors.silence()
    os.write(control, json.dumps({"ready": True, "counts": listener is not None}).encode())
    try:
        _Nest(control, warden, plan, listener).serve()
    finally:
        os._exit(0)


def _contain(plan: Plan) -> int | None:
    os.environ["TMPDIR"] = os.environ["HOME"] = plan.scratch
    _thread.stack_size(_THREAD_STACK)
    os.chdir("/")
    limits.limit_nest(own_user=plan.uid is not None or plan.level == "namespaces")
    listener = None
    if plan.level != "none":
        seccomp.no_new_privileges()
        keep_reading = False
        if plan.level == "landlock":
            keep_reading = plan.private and plan.uid is not None
            landlock.restrict(plan.scratch)
        if plan.uid is not None:
            credentials.change_user(plan.uid, keep_reading=keep_reading)
        credentials.drop_capabilities(keep_reading=keep_reading)
        credentials.hide_memory()
        covered = plan.level == "namespaces"
        truncate = covered or landlock.version() >= 3
        listener = seccomp.install_common(metadata=covered, truncate=truncate)
    credentials.end_with_parent()
    gc.collect()
    gc.freeze()
    return listener


class _Nest:
    def __init__(self, control: int, warden: int, plan: Plan, listener: int | None) -> None:
        self.control = _socket.socket(fileno=control)
        self.warden, self.plan, self.listener = warden, plan, listener
        self.ready, self._ready_end = os.pipe2(os.O_NONBLOCK)
        self.filter = seccomp.last_filter() if plan.level != "none" else None
        self.kinds = notices.kinds(os.uname().machine)
        self.poll = select.poll()
        self.poll.register(control, select.POLLIN)
        if listener is not None:
            self.poll.register(listener, select.POLLIN)
        self.clean = self._scratch_state()

    def serve(self) -> None:
        """Run what the host orders, one after the other."""
        room = _socket.CMSG_SPACE(4 * 4)
        while True:
            message, ancillary, _, _ = self.control.recvmsg(_ORDER_BYTES, room)
            if not message:
                return
            passed = [descriptor for _, _, data in ancillary
                      for (descriptor,) in struct.iter_unpack("i", data)]  # fmt: skip
            order = marshal.loads(message)
            if type(order) is int:  # a kill that came too late
                continue
            try:
                report = self._run(order, passed)
            except OSError as error:
                report = {"error": f"{type(error).__name__}: {error}"}
            dirty = self._scratch_state() != self.clean
            self.control.send(json.dumps({**report, "dirty": dirty}).encode())
            # Only now: what a program leaves behind must not keep its verdict from coming.
            self._expect_nobody()
            if dirty:
                self._clean()
                self.control.send(b"{}")

    def _run(self, order: dict[str, Any], passed: Sequence[int]) -> dict[str, Any]:
        main, *others = self._start_all(order, passed)
        refused: dict[str, int] = {}
        killed = self._wait(main, order["number"], refused)
        _, code = os.waitpid(main, 0)
        for pid in others:
            descriptor = os.pidfd_open(pid)
            with suppress(ProcessLookupError):
                _signal.pidfd_send_signal(descriptor, _signal.SIGKILL)
            os.close(descriptor)
            os.waitpid(pid, 0)
        if self.plan.level == "none":  # nothing has kept it from starting others
            with suppress(OSError):
                os.killpg(main, _signal.SIGKILL)
        return {
            "status": os.waitstatus_to_exitcode(code),
            "killed": killed,
            "contained": self._ready_count() == 1 + len(others),
            "refused": refused,
        }

    def _start_all(self, order: dict[str, Any], passed: Sequence[int]) -> list[int]:
        """Fork the processes of an order; the first one's end is the end of the order."""
        try:
            if order["kind"] == "calls":
                (channel,) = passed
                return [self._start(order, {3: channel}, programs.answer_calls)]
            if order["kind"] == "main":
                channel, stdin, stdout = passed
                streams = {0: stdin, 1: stdout, 3: channel}
                return [self._start(order, streams, programs.run_main)]
            verdicts, channel = passed
            near, far = _socket.socketpair()
            tests = {3: verdicts, 4: near.fileno()}
            program = {3: channel, 4: far.fileno()}
            try:
                return [
                    self._start(order, tests, tester.run_script),
                    self._start(order, program, serving.serve_program),
                ]
            finally:
                near.close()
                far.close()
        finally:
            for descriptor in passed:
                os.close(descriptor)

    def _start(
        self, order: dict[str, Any], sources: dict[int, int], run: Callable[[], None]
    ) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            descriptors.silence()  # anew: a lock on the nest's would outlive the program
            descriptors.take(sources)
            os.chdir(self.plan.scratch)
            limits.limit_program(order["memory_mib"] * 2**20 + self.plan.base_bytes, order["cpu_s"])
            if self.plan.level == "none":
                os.setsid()
            if self.plan.level != "namespaces":  # there, they end with the nest, which is process 1
                credentials.end_with_parent()
            if self.filter is not None:
                self.filter.install()
                os.register_at_fork(before=notices.tell_of_fork)
            os.write(self._ready_end, b"R")  # nothing that this process says later is believed
            descriptors.close_above(max(sources))
            run()
            os._exit(0)
        finally:
            os._exit(1)

    def _wait(self, pid: int, number: int, refused: dict[str, int]) -> bool:
        """Wait for a process to end, or kill it if the host says so; return whether it did."""
        watched = os.pidfd_open(pid)
        self.poll.register(watched, select.POLLIN)
        killed = False
        try:
            while True:
                for descriptor, _ in self.poll.poll():
                    if descriptor == watched:
                        return killed
                    if descriptor == self.listener:
                        heard = notices.refuse_next(self.listener)
                        if heard is not None:
                            kind = self.kinds[heard[1]]
                            refused[kind] = refused.get(kind, 0) + 1
                    elif self._says_kill(number):
                        killed = True
                        _signal.pidfd_send_signal(watched, _signal.SIGKILL)
        finally:
            self.poll.unregister(watched)
            os.close(watched)

    def _says_kill(self, number: int) -> bool:
        message = self.control.recv(_ORDER_BYTES)
        if not message:
            os._exit(0)  # the host is gone; this process's children die with it
        return bool(marshal.loads(message) == number)

    def _ready_count(self) -> int:
        try:
            return len(os.read(self.ready, 16))
        except BlockingIOError:
            return 0

    def _expect_nobody(self) -> None:
        """End this nest, with all that lives in it, if a program has left a process behind."""
        with suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
            os._exit(0)

    def _clean(self) -> None:
        os.write(self.warden, b"c")
        if not os.read(self.warden, 1) or self._scratch_state() != self.clean:
            os._exit(0)

    def _scratch_state(self) -> object:
        if self.plan.level != "namespaces":
            with os.scandir(self.plan.scratch) as entries:  # there may be millions
                return next(entries, None) is None
        state = os.statvfs(self.plan.scratch)
        mode = os.stat(self.plan.scratch).st_mode  # it belongs to the programs, if not to root
        return state.f_ffree, state.f_bfree, mode
