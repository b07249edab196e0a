"""Notices of forbidden system calls: each waits until the nest has refused it, and is counted.

This is what tells a run that a program *tried* to reach the network or to start a process. The
filter refuses such calls with or without anyone listening.
"""

from __future__ import annotations

import errno
import fcntl
import struct

from bakeoff.rewards.code.jail.libc import LIBC
from bakeoff.rewards.code.jail.syscalls import FORBIDDEN, number, numbers

_RECEIVE = 0xC0502100  # SECCOMP_IOCTL_NOTIF_RECV: struct seccomp_notif, 80 bytes
_SEND = 0xC0182101  # SECCOMP_IOCTL_NOTIF_SEND: struct seccomp_notif_resp, 24 bytes
_NOTICE = struct.Struct("=QII i 60x")  # id, pid, flags, nr; the rest is not read
_ANSWER = struct.Struct("=QqiI")  # id, value, error, flags


def kinds(machine: str) -> dict[int, str]:
    """Return what every forbidden call is reported as, by its number."""
    calls = numbers(machine)
    found = {calls[name]: kind for kind, names in FORBIDDEN.items() for name in names
             if name in calls}  # fmt: skip
    return found | {calls["clone"]: "process"}


def refuse_next(listener: int) -> tuple[int, int] | None:
    """Refuse the call that waits.

    Returns:
        The process id of the caller and the number of the call; ``None`` if the caller has died.
    """
    notice = bytearray(_NOTICE.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, notice)
        id, pid, _, call = _NOTICE.unpack(notice)
        fcntl.ioctl(listener, _SEND, _ANSWER.pack(id, 0, -errno.EPERM, 0))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINTR):
            return None
        raise
    return pid, call


def tell_of_fork() -> None:
    """Make a forbidden call, so that an attempt to fork is counted.

    The nest forks itself, so the common filter cannot tell of forks; the last one refuses them.
    """
    LIBC.syscall(number("execve"), None, None, None)
