"""Run a command as where neither namespaces nor Landlock may be had: those system calls fail.

``python without_sandbox.py COMMAND ...``. It is what a container with a strict seccomp profile does
on a kernel without Landlock.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

CALLS = {"x86_64": (272, 444), "aarch64": (97, 444)}  # unshare, landlock_create_ruleset
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, FILTER = 22, 38, 2
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM


def refuse(calls: tuple[int, ...]) -> None:
    """Make the kernel refuse system calls to this process and all it becomes and starts."""
    lines = [(0x20, 0, 0, 0)]  # load the call's number
    lines += [(0x15, len(calls) - at, 0, call) for at, call in enumerate(calls)]  # equal: skip
    lines += [(0x06, 0, 0, ALLOW), (0x06, 0, 0, REFUSE)]
    text = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(lines), ctypes.addressof(text)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, FILTER, program):
        raise OSError(ctypes.get_errno(), "no filter")


if __name__ == "__main__":
    refuse(CALLS[platform.machine()])
    os.execvp(sys.argv[1], sys.argv[1:])
