"""Other comparisons on this machine: each driver holds a file locked, so that others can see it.

Two grids at a time, in two folders, work; but the times of both are worth little, and they say so.
"""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bakeoff.models.smollm2 import cache_folder


@contextmanager
def seen(out: Path) -> Iterator[Callable[[], list[str]]]:
    """Be seen by other drivers of this user while at work; yields what names those at work now.

    Where the cache folder cannot be written nobody is seen, and nothing else is lost.

    Args:
        out: the results folder of this one.
    """
    folder = cache_folder() / "at_work" / platform.node()  # a home may be that of many machines
    own = folder / str(os.getpid())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = own.open("w", encoding="utf-8")
    except OSError:
        yield list
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(str(out.resolve()))
            file.flush()
        except OSError:  # another process id space shares this folder, or the disk is full
            pass
        try:
            yield lambda: _others(folder, own)
        finally:
            own.unlink(missing_ok=True)


def _others(folder: Path, own: Path) -> list[str]:
    """Return "process 123 in /its/folder" for each that lives; files of dead ones are removed."""
    found = []
    for path in sorted(folder.iterdir()):
        if path == own:
            continue
        try:
            with path.open("r", encoding="utf-8", errors="replace") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    found.append(f"process {path.name} in {file.read() or 'some folder'}")
                else:
                    path.unlink(missing_ok=True)
        except OSError:
            continue
    return found
