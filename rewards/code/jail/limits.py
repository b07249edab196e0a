"""Resource limits. They stop a program from taking more than its share: memory, CPU time, files,
descriptors, threads.
"""

from __future__ import annotations

import resource
from contextlib import suppress

_FILE_BYTES = 32 * 2**20
_DESCRIPTORS = 64
_THREADS = 64


def die_first() -> None:
    """Have the kernel end this process and its children before others if memory is short."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def limit_nest(*, own_user: bool) -> None:
    """Set what is the same for all programs.

    Args:
        own_user: whether the user id is used for nothing else; threads are counted by user.
    """
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: _FILE_BYTES,
        resource.RLIMIT_NOFILE: _DESCRIPTORS,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if own_user:
        limits[resource.RLIMIT_NPROC] = _THREADS
    for which, value in limits.items():
        _set(which, value)


def limit_program(address_space: int, cpu_s: int) -> None:
    """Set the limits of one process.

    Args:
        address_space: bytes.
        cpu_s: seconds; then the kernel kills it.
    """
    _set(resource.RLIMIT_AS, address_space)
    _set(resource.RLIMIT_CPU, cpu_s)


def _set(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))
