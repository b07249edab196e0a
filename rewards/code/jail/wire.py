"""Messages on descriptors, inside the jail.

Trusted data comes in by ``marshal`` (from the host, to a process that is contained already); what
goes out, or comes from a program, is JSON in frames of four bytes of length, as in ``frames``. Both
need fewer imports and calls than the modules ``socket`` and ``frames``, which every fork would pay.
"""

from __future__ import annotations

import json
import marshal
import os
from typing import Any

_LENGTH = 4
_CHUNK = 2**18
FRAME_BYTES = 16 * 2**20

_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_loads = json.loads
_write, _read = os.write, os.read


def put(descriptor: int, message: dict[str, Any]) -> None:
    """Send a message as a frame.

    Raises:
        ValueError: it is too large.
        OSError: nobody reads it.
    """
    body = _json(message).encode()
    if len(body) > FRAME_BYTES:
        raise ValueError(f"{len(body)} bytes are over the limit of {FRAME_BYTES}")
    data = len(body).to_bytes(_LENGTH, "big") + body
    while data:
        data = data[_write(descriptor, data) :]


def get(descriptor: int) -> dict[str, Any]:
    """Return the next message, which may have been forged.

    Raises:
        EOFError: there is none.
        ValueError: it is no message.
    """
    size = int.from_bytes(_exactly(descriptor, _LENGTH), "big")
    if size > FRAME_BYTES:
        raise ValueError("a frame that is too long")
    try:
        message = _loads(_exactly(descriptor, size))
    except RecursionError:
        raise ValueError("a frame that is nested too deeply") from None
    if type(message) is not dict:
        raise ValueError("a frame that holds no message")
    return message


def payload(descriptor: int) -> Any:
    """Return what the host has sent a contained process: its program, or its tests.

    Raises:
        EOFError: the host is gone.
    """
    data = _read(descriptor, _CHUNK)
    size = int.from_bytes(data[:_LENGTH], "big") + _LENGTH
    if len(data) < size:
        data += _exactly(descriptor, size - len(data))
    return marshal.loads(data[_LENGTH:])


def _exactly(descriptor: int, size: int) -> bytes:
    parts = []
    while size:
        part = _read(descriptor, min(size, _CHUNK))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
