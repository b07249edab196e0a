"""A line that says what is being done, for commands that take more than two seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TextIO

Count = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much; 0 at the beginning."""

QUIET_S, EVERY_S = 2.0, 5.0  # until the first line, and between lines in a file


class Progress:
    """Says what is being done, once that has taken two seconds.

    In a terminal it is one line that changes, and goes; else there is a line every few seconds.

    Args:
        stream: where it is written.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._started = self._began = time.monotonic()
        self._next = self._started + QUIET_S
        self._shown = False
        self._timer: threading.Timer | None = None

    def report(self, text: str) -> None:
        """Say it, at once or when the last line is old enough, if nothing newer came by then."""
        self._forget()
        wait_s = self._next - time.monotonic()
        if wait_s <= 0:
            self._say(text)
            return
        self._timer = threading.Timer(wait_s, self._say, [text])
        self._timer.daemon = True
        self._timer.start()

    def count(self, what: str, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` parts of a step are done; a step begins with 0."""
        now = time.monotonic()
        if done == 0:
            self._began = now
            self.report(what)
            return
        rest_s = (now - self._began) / done * (total - done)
        rest = f", about {rest_s:.0f} s more" if done < total else ""
        self.report(f"{what}: {done} of {total}{rest}")

    def _say(self, text: str) -> None:
        now = time.monotonic()
        self._next = now + (0.2 if self._live else EVERY_S)
        line = f"{now - self._started:.0f} s: {text}"
        print(f"\r\033[K{line}" if self._live else line, end="" if self._live else "\n",
              file=self._stream, flush=True)  # fmt: skip
        self._shown = True

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._forget()
        if self._live and self._shown:
            print("\r\033[K", end="", file=self._stream, flush=True)
