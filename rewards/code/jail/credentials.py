"""Credentials. They stop a program from acting as the user who runs bakeoff: another user id where
one can be had (started as root), no groups, no capabilities, and memory that nobody may look into.
"""

from __future__ import annotations

import ctypes
import os
import sys

from bakeoff.rewards.code.jail.libc import LIBC, checked, prctl
from bakeoff.rewards.code.jail.syscalls import number

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS = 1, 4, 8
_SIGKILL = 9
_CAPABILITY_VERSION_3 = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2
_FIRST_UID, _UIDS = 60000, 5000  # below 65534, so that containers with few ids have them too


def own_uid() -> int:
    """Return a user id for the programs of this server, which must be root."""
    return _FIRST_UID + os.getpid() % _UIDS


def change_user(uid: int, *, keep_reading: bool = False) -> None:
    """Become another user, without groups or capabilities.

    Args:
        uid: the new user and group.
        keep_reading: keep the capability to read any file, for an interpreter that lies in a folder
            of root's own; for use under Landlock, which still decides what may be read.

    Raises:
        OSError: the kernel refuses.
    """
    if keep_reading:
        prctl(_PR_SET_KEEPCAPS, 1, what="keeping a capability")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def drop_capabilities(*, keep_reading: bool = False) -> None:
    """Give up all capabilities, or all but reading any file.

    Raises:
        OSError: the kernel refuses.
    """
    kept = 0
    if keep_reading:
        permitted = _permitted()
        kept = permitted & (1 << _DAC_READ_SEARCH) or permitted & (1 << _DAC_OVERRIDE)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(kept, kept)  # effective, permitted, inheritable; then the same
    result = LIBC.syscall(number("capset"), ctypes.byref(header), ctypes.byref(sets))
    checked(result, "dropping capabilities")


def _permitted() -> int:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    result = LIBC.syscall(number("capget"), ctypes.byref(header), ctypes.byref(sets))
    checked(result, "reading capabilities")
    return int(sets[1])


def interpreter_is_private() -> bool:
    """Tell whether another user cannot reach the interpreter's files."""
    folder = os.path.realpath(sys.base_prefix)
    while folder != "/":
        if not os.stat(folder).st_mode & 0o001:
            return True
        folder = os.path.dirname(folder)
    return False


def hide_memory() -> None:
    """Keep other processes of the same user from tracing this one or reading its memory."""
    prctl(_PR_SET_DUMPABLE, 0, what="hiding the memory")


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent dies; a change of user undoes it."""
    prctl(_PR_SET_PDEATHSIG, _SIGKILL, what="ending with the parent")
