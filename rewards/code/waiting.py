"""What the processes of a program have had of the processors: time that a limit should count."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import NamedTuple


class Used(NamedTuple):
    """Seconds, summed over the children of a process; 0 where the kernel does not tell.

    Attributes:
        cpu_s: they ran, all threads together.
        waited_s: their main threads were ready to run and had no processor.
    """

    cpu_s: float
    waited_s: float


def used(parent: int) -> Used:
    """Return what the children of a process have used so far."""
    cpu_s = waited_s = 0.0
    ticks = os.sysconf("SC_CLK_TCK")
    with suppress(OSError, ValueError, IndexError):
        for child in _read(f"/proc/{parent}/task/{parent}/children").split():
            fields = _read(f"/proc/{child}/stat").rpartition(")")[2].split()
            cpu_s += (int(fields[11]) + int(fields[12])) / ticks
            waited_s += int(_read(f"/proc/{child}/schedstat").split()[1]) / 1e9
    return Used(cpu_s, waited_s)


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()
