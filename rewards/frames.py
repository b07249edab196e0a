"""Messages between processes: a frame is four bytes of length and JSON.

Nothing else is ever read from a process that cannot be trusted; there is no pickle.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

FRAME_BYTES = 16 * 2**20  # the largest message
LENGTH = struct.Struct("!I")
_CHUNK = 2**18


class FrameError(ValueError):
    """What came over a socket is not a frame."""


def encode(message: object) -> bytes:
    r"""Return a message as a frame.

    Raises:
        TypeError, ValueError: it is not JSON-able, or larger than ``FRAME_BYTES``.

    Example:
        >>> encode([1, "x"])
        b'\x00\x00\x00\x07[1,"x"]'
    """
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > FRAME_BYTES:
        raise ValueError(f"{len(body)} bytes of JSON are over the limit of {FRAME_BYTES}")
    return LENGTH.pack(len(body)) + body


def read_frame(channel: socket.socket, *, until: float | None = None) -> Any:
    """Return the next message of a socket.

    Args:
        channel: a stream socket.
        until: when to stop waiting, on the clock of ``time.monotonic``.

    Raises:
        EOFError: the other end is closed, be it in the middle of a frame.
        FrameError: the frame is too long or holds no JSON.
        TimeoutError: it is not there in time.
    """
    (size,) = LENGTH.unpack(_read(channel, LENGTH.size, until))
    if size > FRAME_BYTES:
        raise FrameError(f"a frame of {size} bytes is over the limit of {FRAME_BYTES}")
    try:
        return json.loads(_read(channel, size, until))
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a frame holds no JSON: {type(error).__name__}") from None


def _read(channel: socket.socket, size: int, until: float | None) -> bytes:
    data = bytearray()
    while len(data) < size:
        if until is not None:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            channel.settimeout(left)
        try:
            part = channel.recv(min(size - len(data), _CHUNK))
        except ConnectionError:
            part = b""
        if not part:
            raise EOFError
        data += part
    return bytes(data)
