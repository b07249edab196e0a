"""Landlock. Where namespaces cannot be had, it stops a program from reading and writing files that
are not its own, from connecting by TCP, and from signals and abstract sockets to the outside.

What it does not cover (a file's mode, times and existence) is left to the system-call filter, but
for ``stat`` and ``readlink``, which a program can still use outside.
https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import sys

from bakeoff.rewards.code.jail.libc import LIBC, checked
from bakeoff.rewards.code.jail.syscalls import number

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_VERSION = 1  # flag of create_ruleset: tell which version of the interface there is
_PATH_BENEATH = 1


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("access", ctypes.c_uint64), ("fd", ctypes.c_int32))


def version() -> int:
    """Return which version of the interface the kernel has, 0 for none."""
    found: int = LIBC.syscall(number("landlock_create_ruleset"), None, ctypes.c_size_t(0), _VERSION)
    return max(0, found)


def _rights(version: int) -> _Ruleset:
    fs = 13 if version < 2 else 14 if version < 3 else 15 if version < 5 else 16
    return _Ruleset((1 << fs) - 1, 3 if version >= 4 else 0, 3 if version >= 6 else 0)


def restrict(scratch: str) -> None:
    """Confine this process and its children to the interpreter, two devices and one folder.

    Args:
        scratch: the folder that may be written to.

    Raises:
        OSError: the kernel has no Landlock, or refuses.
    """
    found = version()
    if not found:
        raise OSError("the kernel has no Landlock, or it is switched off")
    rights = _rights(found)
    size = 8 if found < 4 else 16 if found < 6 else 24
    rules = checked(
        LIBC.syscall(
            number("landlock_create_ruleset"), ctypes.byref(rights), ctypes.c_size_t(size), 0
        ),
        "Landlock",
    )
    folders = {"/usr", "/lib", "/lib64", sys.base_prefix, sys.base_exec_prefix}
    allowed = {folder: _READ_FILE | _READ_DIR for folder in folders if os.path.isdir(folder)}
    allowed |= {"/dev/null": _READ_FILE | _WRITE_FILE, "/dev/urandom": _READ_FILE}
    allowed[scratch] = rights.fs & ~_EXECUTE
    try:
        for path, access in allowed.items():
            _allow(rules, path, access & rights.fs)
        restrict_self = number("landlock_restrict_self")
        checked(LIBC.syscall(restrict_self, rules, 0), "Landlock's restriction")
    finally:
        os.close(rules)


def _allow(rules: int, path: str, access: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(access, descriptor)
        add_rule = number("landlock_add_rule")
        result = LIBC.syscall(add_rule, rules, _PATH_BENEATH, ctypes.byref(rule), 0)
        checked(result, f"Landlock's rule for {path}")
    finally:
        os.close(descriptor)
