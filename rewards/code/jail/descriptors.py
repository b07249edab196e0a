"""Descriptors. A program inherits none but its own: no socket, file or terminal of anyone's."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping

CHANNEL = 3  # where a process that runs a program talks to the outside
_ABOVE = 16


def keep_only(sources: Mapping[int, int]) -> None:
    """Close every descriptor but some, which get new numbers; streams not among them are null.

    Args:
        sources: ``{new number: present number}``, new ones from 0 to 9.
    """
    moved = {target: fcntl.fcntl(source, fcntl.F_DUPFD, _ABOVE) for target, source in
             sources.items()}  # fmt: skip
    os.closerange(0, _ABOVE)
    for target, source in moved.items():
        os.dup2(source, target, inheritable=False)
    os.closerange(_ABOVE, 2**20)
    for stream in range(3):
        if stream not in moved:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
