"""A disk that is full, or that may not be written: how it is recognised, and the line that says so.

A cell that cannot write ends as ``interrupted``, with an exit code of its own, and the driver ends
the grid: every other cell would meet the same. What had ended is whole, since files are replaced
at once or only grow; the same command goes on when there is room.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_FULL = 74
"""The exit code of a cell that could not write: ``EX_IOERR`` of ``sysexits.h``."""

NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
TEXTS = (
    *(f"(os error {number})" for number in NUMBERS),  # of safetensors, whose errors are their own
    "No space left on device",
    "PytorchStreamWriter failed writing",
)


def unwritable(error: BaseException) -> bool:
    """Tell whether an error is that of a disk without room, or without leave to write.

    Example:
        >>> unwritable(OSError(errno.ENOSPC, "No space left on device"))
        True
        >>> unwritable(FileNotFoundError(errno.ENOENT, "no such file"))
        False
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in NUMBERS
    return any(text in str(error) for text in TEXTS)


def no_room(place: Path, why: str) -> OSError:
    """Return the error that ends a grid, in one line."""
    return OSError(
        f"cannot write into {place} ({why}); what had ended is kept, and the same command goes on "
        "once there is room"
    )


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Make one line of whatever cannot be written into a results folder.

    Raises:
        OSError: it cannot; the text is one line.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or not unwritable(error):
            raise
        raise no_room(out, error.strerror or str(error)) from error
