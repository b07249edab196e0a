"""Socket pairs to other processes, each end with one holder.

All descriptors are closed on exec and, by a hook, in a forked child: the closing of one end then
tells the other that its holder is gone.
"""

from __future__ import annotations

import os
import socket
import threading
import weakref

# Held while both ends of a pair are open here: a child forked then would keep the other end too.
BOTH_ENDS = threading.RLock()
_OURS: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def pair(kind: int = socket.SOCK_STREAM) -> tuple[socket.socket, socket.socket]:
    """Return this process's end and the end to hand over; call it with ``BOTH_ENDS`` held."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    _OURS.add(ours)
    return ours, theirs


def _close_in_child() -> None:
    BOTH_ENDS.release()
    for ours in list(_OURS):
        ours.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=BOTH_ENDS.acquire,
        after_in_parent=BOTH_ENDS.release,
        after_in_child=_close_in_child,
    )
