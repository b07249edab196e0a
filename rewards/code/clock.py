"""How long a contained program may still take, of the time that counts.

What counts is wall time less the time that the processes were ready to run and had no processor,
so that a busy machine does not change a verdict.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import NamedTuple

from bakeoff.rewards.code.conversation import Conversation

_PATIENCE = 10.0  # how many times its limit a test may take, if it has to wait for a processor
_SHORT_S = 0.02


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


class Clock:
    """The time limit of the current step of a conversation.

    Args:
        nest: the process whose children the program's processes are.
        conversation: says how long a step may take, and when a new one begins.
    """

    def __init__(self, nest: int, conversation: Conversation) -> None:
        self._nest, self._conversation = nest, conversation
        self._steps = conversation.steps
        self._before = Used(0, 0)
        self._begun = self._measured = time.monotonic()
        self._deadline = self._limit()

    def _limit(self) -> float:
        return min(self._begun + self._conversation.seconds, self._conversation.until)

    def left_s(self) -> float:
        """Return how many seconds are left."""
        return self._deadline - time.monotonic()

    def look(self) -> None:
        """Begin anew if the conversation has taken a step."""
        if self._conversation.steps > self._steps:
            self._steps, now = self._conversation.steps, time.monotonic()
            if now - self._measured > _SHORT_S:
                self._before, self._measured = used(self._nest), now
            self._begun = now
            self._deadline = self._limit()

    def excuse(self) -> bool:
        """Give more time if the program was kept waiting for a processor; return whether it was.

        A program that crowds the processors itself is not excused: its CPU time counts in full.
        """
        seconds, now = self._conversation.seconds, used(self._nest)
        elapsed_s = time.monotonic() - self._begun
        if elapsed_s > _PATIENCE * seconds:
            return False
        waited_s = now.waited_s - self._before.waited_s
        left_s = seconds - max(now.cpu_s - self._before.cpu_s, elapsed_s - waited_s)
        left_s = min(left_s, self._conversation.until - time.monotonic())
        if left_s < _SHORT_S:
            return False
        self.wait(left_s)
        return True

    def wait(self, seconds: float) -> None:
        """Set the time that is left."""
        self._deadline = time.monotonic() + seconds
