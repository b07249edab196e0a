"""The system-call filters. They stop what a program could ask of the kernel and no program needs:
the network, other processes, signals, tracing, mounting, privileges, shared memory and more.

Two filters, because a filter takes as long to install as a small program takes to run. The *common*
one, an allow-list, is installed once in the nest, which forks all programs: they inherit it. It has
to leave the nest what that needs to fork and kill. The *last* one takes that away again; it is a
dozen instructions, installed in every program's process.

What ``FORBIDDEN`` lists is refused by way of the nest (``notices``), which counts it; what is
neither there nor allowed is refused by the kernel. Filters are classic BPF, whose jumps only go
forwards and skip at most 255 instructions: ``struct seccomp_data`` is nr, arch, ip, args[6].
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

from bakeoff.rewards.code.jail.libc import LIBC, checked, prctl
from bakeoff.rewards.code.jail.syscalls import (
    ALLOWED,
    ARCHITECTURES,
    ATTRIBUTES,
    FORBIDDEN,
    METADATA,
    number,
    numbers,
)

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER = 1
_NEW_LISTENER = 8

_KILL, _ALLOW, _NOTIFY = 0x80000000, 0x7FFF0000, 0x7FC00000
_CLONE_VM, _CLONE_THREAD = 0x100, 0x10000
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPES = 1, 1, 0xF
_MSG_OOB = 1
_OWNER_COMMANDS = (8, 10, 15, 1024, 1026)  # fcntl: SETOWN, SETSIG, SETOWN_EX, SETLEASE, NOTIFY
# ioctl: TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX; then the nest's, for notices.
# Others change files that are open for reading only, or name a process that SIGIO is sent to.
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0xC0502100, 0xC0182101)
_X32 = 0x40000000  # x86-64's other numbering of the calls
_NR, _ARCH = 0, 4

Instructions = list[tuple[int, int, int, int]]


def _load(offset: int) -> tuple[int, int, int, int]:
    return (0x20, 0, 0, offset)


def _low(argument: int) -> tuple[int, int, int, int]:
    return _load(16 + 8 * argument)


def _skip_unless(value: int, skipped: int) -> tuple[int, int, int, int]:
    return (0x15, 0, skipped, value)


def _skip_if(value: int, skipped: int) -> tuple[int, int, int, int]:
    return (0x15, skipped, 0, value)


def _and(bits: int) -> tuple[int, int, int, int]:
    return (0x54, 0, 0, bits)


def _skip_unless_bits(bits: int, skipped: int) -> tuple[int, int, int, int]:
    return (0x45, 0, skipped, bits)


def _result(action: int) -> tuple[int, int, int, int]:
    return (0x06, 0, 0, action)


def _refuse(error: int) -> int:
    return 0x00050000 | error


def _for_calls(calls: Iterable[int], action: int) -> Instructions:
    """Return one comparison for every run of successive numbers."""
    runs: list[list[int]] = []
    for call in sorted(calls):
        if runs and runs[-1][1] == call - 1:
            runs[-1][1] = call
        else:
            runs.append([call, call])
    found: Instructions = []
    for first, last in runs:
        if first == last:
            found += [_skip_unless(first, 1)]
        else:
            found += [(0x35, 0, 2, first), (0x25, 1, 0, last)]
        found += [_result(action)]
    return found


def _for_call(call: int, body: Instructions) -> Instructions:
    """Return a body that runs for one call; it must end in a result on every path."""
    return [_skip_unless(call, len(body)), *body]


def _common(machine: str, refused: int, *, metadata: bool, truncate: bool) -> Instructions:
    calls = numbers(machine)
    names = {*ALLOWED, *(METADATA if metadata else ())} - (set() if truncate else {"truncate"})
    nest = ("prctl", "seccomp", "pidfd_open", "pidfd_send_signal")
    forbidden = {name for names_of in FORBIDDEN.values() for name in names_of}
    allow, eperm = _result(_ALLOW), _result(_refuse(errno.EPERM))
    no_terminal = _result(_refuse(errno.ENOTTY))
    return [
        _load(_ARCH),
        _skip_if(ARCHITECTURES[machine], 1),
        _result(_KILL),
        _load(_NR),
        *([(0x35, 0, 1, _X32), eperm] if machine == "x86_64" else []),
        *_for_calls({calls[name] for name in {*names, *nest} & calls.keys()}, _ALLOW),
        *_for_calls({calls[name] for name in forbidden & calls.keys()}, refused),
        *_for_calls((calls[name] for name in ATTRIBUTES), _refuse(errno.ENOTSUP)),
        # a thread, or a process of its own (the nest); not one that shares the memory
        *_for_call(
            calls["clone"],
            [_low(0), _skip_unless_bits(_CLONE_THREAD, 1), allow,
             _skip_unless_bits(_CLONE_VM, 1), _result(refused), allow],
        ),
        # its flags lie in memory, where a filter cannot look; the C library then uses clone
        *_for_call(calls["clone3"], [_result(_refuse(errno.ENOSYS))]),
        # streams only: a datagram can be sent to an address, which may be a socket outside
        *_for_call(
            calls["socketpair"],
            [_low(0), _skip_unless(_AF_UNIX, 4), _low(1), _and(_SOCK_TYPES),
             _skip_unless(_SOCK_STREAM, 1), allow, eperm],
        ),
        *_for_call(calls["sendto"], [_low(3), _skip_unless_bits(_MSG_OOB, 1), eperm, allow]),
        *_for_call(
            calls["ioctl"],
            [_low(1), *(_skip_if(command, len(_IOCTLS) - n)
                        for n, command in enumerate(_IOCTLS)), no_terminal, allow],
        ),
        *_for_call(calls["prlimit64"], [_low(0), _skip_unless(0, 1), allow, eperm]),
        # no signals by way of a descriptor's owner
        *_for_call(
            calls["fcntl"],
            [_low(1), *(_skip_if(command, len(_OWNER_COMMANDS) - n)
                        for n, command in enumerate(_OWNER_COMMANDS)), allow, eperm],
        ),
        eperm,
    ]  # fmt: skip


def _last(machine: str) -> Instructions:
    calls = numbers(machine)
    nest = ("prctl", "seccomp", "pidfd_open", "pidfd_send_signal")
    allow, eperm = _result(_ALLOW), _result(_refuse(errno.EPERM))
    return [
        _load(_NR),
        *_for_calls((calls[name] for name in nest), _refuse(errno.EPERM)),
        *_for_call(
            calls["clone"],
            [_low(0), _skip_unless_bits(_CLONE_THREAD, 1), allow,
             _skip_unless_bits(_CLONE_VM, 1), allow, eperm],
        ),  # one that shares the memory is refused, and counted, by the common filter
        allow,
    ]  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class Filter:
    """A filter in the form the kernel takes, made before there is anything to contain."""

    def __init__(self, instructions: Instructions) -> None:
        code = b"".join(struct.pack("HBBI", *one) for one in instructions)
        self._code = ctypes.create_string_buffer(code, len(code))
        self._program = _Program(len(instructions), ctypes.addressof(self._code))
        self._argument = ctypes.byref(self._program)
        self._seccomp = number("seccomp")

    def install(self, flags: int = 0) -> int:
        """Filter the calls of this process from now on, for good.

        Raises:
            OSError: the kernel refuses.
        """
        result = LIBC.syscall(self._seccomp, _SET_MODE_FILTER, flags, self._argument)
        return checked(result, "a system-call filter")


def no_new_privileges() -> None:
    """Give up gaining privileges by running a program; the kernel asks for it before a filter."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1, what="no_new_privs")


def install_common(*, metadata: bool, truncate: bool) -> int | None:
    """Install the common filter.

    Args:
        metadata: whether changes of a file's mode and times are allowed.
        truncate: whether files may be cut by name.

    Returns:
        A descriptor that tells of forbidden calls, which wait for an answer; or ``None`` where the
        kernel has none to give (another one listens already), and refuses them by itself.

    Raises:
        OSError: the kernel refuses the filter.
    """
    machine = os.uname().machine
    heard = _common(machine, _NOTIFY, metadata=metadata, truncate=truncate)
    try:
        return Filter(heard).install(_NEW_LISTENER)
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.EINVAL):
            raise
    unheard = _common(machine, _refuse(errno.EPERM), metadata=metadata, truncate=truncate)
    Filter(unheard).install()
    return None


def last_filter() -> Filter:
    """Return the filter of a program's process, to be installed there."""
    return Filter(_last(os.uname().machine))
