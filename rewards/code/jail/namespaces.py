"""Namespaces. They stop a program from seeing anything that is not its own: other processes, the
file system, the network, shared memory, the host's name.

The new root holds, read-only, the interpreter and its libraries, three devices, and a small
temporary file system at ``/tmp``. There is no ``/proc``, no ``/etc``, no ``/home``. The network
namespace has no interface that is up.
"""

from __future__ import annotations

import ctypes
import glob
import os
import sys
from collections.abc import Collection

from bakeoff.rewards.code.jail.libc import LIBC, checked
from bakeoff.rewards.code.jail.syscalls import number

SCRATCH = "/tmp"
SCRATCH_BYTES, SCRATCH_FILES = 64 * 2**20, 4096

_NEW = {
    "mount": 0x20000,
    "uts": 0x4000000,
    "ipc": 0x8000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "network": 0x40000000,
}
NAMES = tuple(name for name in _NEW if name != "user")

_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8
_REMOUNT, _BIND, _REC, _PRIVATE = 32, 4096, 0x4000, 0x40000
_DETACH = 2
_DEVICES = ("null", "zero", "urandom")


def unshare(names: Collection[str]) -> None:
    """Leave the host's namespaces; new processes are in a new one of processes.

    Root needs no user namespace, unless it is root of a container that may not do the rest.

    Raises:
        OSError: the kernel or a security policy refuses.
    """
    flags = 0
    for name in names:
        flags |= _NEW[name]
    uid, gid = os.getuid(), os.getgid()
    if uid == 0 and LIBC.unshare(flags) == 0:
        return
    checked(LIBC.unshare(flags | _NEW["user"]), "new namespaces")
    _write("setgroups", "deny")
    _write("uid_map", f"0 {uid} 1")
    _write("gid_map", f"0 {gid} 1")


def _write(name: str, text: str) -> None:
    with open(f"/proc/self/{name}", "w") as file:
        file.write(text)


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, options: str | None = None
) -> None:
    texts = (text if text is None else text.encode() for text in (source, target, kind))
    source_b, target_b, kind_b = texts
    data = None if options is None else options.encode()
    result = LIBC.mount(source_b, target_b, kind_b, ctypes.c_ulong(flags), data)
    checked(result, f"mounting {target}")


def _folders() -> list[str]:
    """Return the folders that the interpreter and its libraries are in."""
    wanted = ["/usr", "/lib", "/lib64", sys.base_prefix, sys.base_exec_prefix]
    found: list[str] = []
    for folder in map(os.path.normpath, wanted):
        if os.path.isdir(folder) and not any(f"{folder}/".startswith(f"{x}/") for x in found):
            found.append(folder)
    return found


def _packages(folders: Collection[str]) -> list[str]:
    """Return the folders of installed packages, among which may be data sets with their answers."""
    ends = [
        f"lib{bits}/python*/{kind}-packages" for bits in ("", "64") for kind in ("site", "dist")
    ]
    found = {
        os.path.realpath(path)
        for folder in folders
        for end in ends
        for place in (folder, f"{folder}/local")
        for path in glob.glob(f"{place}/{end}")
    }
    return sorted(path for path in found if any(path.startswith(f"{x}/") for x in folders))


def new_root() -> None:
    """Put this process and its children into a root of their own.

    Raises:
        OSError: a mount is refused.
    """
    _mount("none", "/", None, _REC | _PRIVATE)
    new = "/tmp"
    _mount("tmpfs", new, "tmpfs", _NOSUID | _NODEV, "size=1m,mode=755")
    for folder in _folders():
        if os.path.islink(folder):
            os.symlink(os.readlink(folder), new + folder)
            continue
        os.makedirs(new + folder)
        _mount(folder, new + folder, None, _BIND)
        _mount(None, new + folder, None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)
    for folder in _packages(_folders()):
        _mount("tmpfs", new + folder, "tmpfs", _RDONLY | _NOSUID | _NODEV | _NOEXEC, "size=4k")
    os.mkdir(f"{new}/dev")
    for name in _DEVICES:
        with open(f"{new}/dev/{name}", "w"):
            pass
        _mount(f"/dev/{name}", f"{new}/dev/{name}", None, _BIND)
        _mount(None, f"{new}/dev/{name}", None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NOEXEC)
    os.mkdir(new + SCRATCH)
    os.chdir(new)
    checked(LIBC.syscall(number("pivot_root"), b".", b"."), "a new root")
    checked(LIBC.umount2(b".", _DETACH), "leaving the old root")
    os.chdir("/")
    new_scratch(old=False)
    _mount(None, "/", None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)


def new_scratch(*, old: bool = True) -> None:
    """Mount an empty temporary file system at ``SCRATCH``, in the place of the old one."""
    if old:
        checked(LIBC.umount2(SCRATCH.encode(), _DETACH), "emptying the temporary folder")
    options = f"size={SCRATCH_BYTES},nr_inodes={SCRATCH_FILES},mode=1777"
    _mount("tmpfs", SCRATCH, "tmpfs", _NOSUID | _NODEV | _NOEXEC, options)


def rename_host() -> None:
    """Give the host a name that says nothing."""
    checked(LIBC.sethostname(b"sandbox", 7), "a host name")
