"""How long processes have waited for a processor: time that a limit should not count."""

from __future__ import annotations

from contextlib import suppress


def waited_s(parent: int) -> float:
    """Return how long the children of a process have been ready to run without running.

    Args:
        parent: its process id.

    Returns:
        Seconds, summed over the children's main threads; 0 where the kernel does not tell.
    """
    total_ns = 0
    with suppress(OSError, ValueError):
        with open(f"/proc/{parent}/task/{parent}/children") as file:
            children = file.read().split()
        for child in children:
            with open(f"/proc/{child}/schedstat") as file:
                total_ns += int(file.read().split()[1])
    return total_ns / 1e9
