"""HTTP to a vLLM server, over TCP or a socket in a folder: JSON both ways, nothing is unpickled.

The answers are vLLM's own (0.32); no torch is imported here.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 3600.0
"""Seconds an answer may take: all the tokens of a reply, behind all the others."""


class LinkError(RuntimeError):
    """A server that does not answer, or answers with an error.

    Attributes:
        status: of the HTTP answer; None if there was none.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class _Local(http.client.HTTPConnection):
    """A connection to a socket in a folder."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Link:
    """A way to one server.

    Attributes:
        address: a URL, or the path of a socket.
    """

    def __init__(self, address: str | Path) -> None:
        self.address = address

    def ready(self, timeout_s: float = 5.0) -> bool:
        """Tell whether the server answers."""
        try:
            self.ask("GET", "/health", timeout_s=timeout_s)
        except LinkError:
            return False
        return True

    def ask(
        self, method: str, path: str, body: object = None, *, timeout_s: float = TIMEOUT_S
    ) -> Any:
        """Return the JSON of an answer; None if it is empty.

        Args:
            method: ``GET`` or ``POST``.
            path: of the URL.
            body: what is sent, as JSON has it.
            timeout_s: seconds that the answer may take.

        Raises:
            LinkError: there is none, or it is an error.
        """
        connection = self._connection(timeout_s)
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("VLLM_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
            raise LinkError(f"the vLLM server at {self.address} does not answer: {why}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise LinkError(
                f"the vLLM server at {self.address} answers {path} with {answer.status}: "
                f"{_message(text)}",
                answer.status,
            )
        try:
            return json.loads(text) if text.strip() else None
        except ValueError as error:
            raise LinkError(f"{self.address} answers {path} as no vLLM server does") from error

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        if isinstance(self.address, Path):
            return _Local(self.address, timeout_s)
        parts = urlsplit(self.address)
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)


def _message(text: bytes) -> str:
    """Return the message of an error of vLLM's, on one line."""
    try:
        found = json.loads(text)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        found = text.decode(errors="replace")
    return " ".join(str(found).split())[:300]
