"""Conversations with contained programs: the streams, and what is made of what they bring."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from typing import Protocol

_CHUNK = 2**18


class Stream:
    """A descriptor of a program's, at this end: bytes to write to it, and bytes that were read.

    Attributes:
        received: what was read and not yet taken.
    """

    def __init__(self, descriptor: int, outgoing: bytes = b"", limit: int = 0) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor, self.limit = descriptor, limit
        self.received = bytearray()
        self.total = 0
        self._outgoing = memoryview(outgoing)

    def events(self) -> int:
        """Return what to wait for."""
        return select.POLLIN | (select.POLLOUT if self._outgoing else 0)

    def write(self) -> None:
        """Write what can be written; a program that does not read loses the rest."""
        try:
            self._outgoing = self._outgoing[os.write(self.descriptor, self._outgoing[:_CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:
            self._outgoing = memoryview(b"")

    def read(self) -> bool:
        """Read what is there; return whether there will be more."""
        try:
            data = os.read(self.descriptor, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.total += len(data)
        self.received += data
        return bool(data)


class Conversation(Protocol):
    """What is said to a program, and what is made of its answers.

    Attributes:
        streams: this end of its descriptors.
        seconds: how long it may take until the next step.
        until: when it must have ended, on the clock of ``time.monotonic``.
        steps: how many steps it has taken; a new one starts the clock anew.
    """

    streams: Sequence[Stream]
    seconds: float
    until: float
    steps: int

    def heard(self) -> bool:
        """Take what was received; return whether the program should go on."""
        ...
