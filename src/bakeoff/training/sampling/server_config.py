"""The settings of a sampler in a process of its own, and what they need of each other; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bakeoff.errors import UsageError
from bakeoff.training.knob import knob

SERVER = "vllm_server"
"""The name of this sampler."""

HERE = ("localhost", "127.0.0.1", "::1")
"""Hosts that are this machine."""


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where the server of ``--sampler vllm_server`` is."""

    sampler_url: str | None = knob(
        None, "vllm_server: one that is running, http://localhost:8000", later=True
    )
    vllm_python: str | None = knob(
        None, "vllm_server: a python that has vLLM; each run starts a server with it", later=True
    )
    sampler_folder: str | None = knob(
        None,
        "vllm_server: where weights are handed over; run and server both see it "
        "(default: in memory)",
        later=True,
    )


def check(values: Mapping[str, Any]) -> None:
    """Accept settings that name one server where there is to be one, and none elsewhere.

    Args:
        values: knobs by their flat names; those that are missing have their defaults.

    Raises:
        UsageError: a server is missing, or is named twice or for nothing, or is on another machine
            and no folder is named that both of them see.

    Example:
        >>> check({"sampler": "vllm_server", "sampler_url": "http://localhost:8000"})
    """
    url, python, folder = (values.get(f) for f in ("sampler_url", "vllm_python", "sampler_folder"))
    if values.get("sampler", "builtin") != SERVER:
        named = {"sampler_url": url, "vllm_python": python, "sampler_folder": folder}
        for name in (name for name, value in named.items() if value is not None):
            raise UsageError(f"{name} is of no use without sampler {SERVER}")
        return
    if (url is None) is (python is None):
        raise UsageError(
            f"sampler {SERVER} needs one of two: sampler_url, a server that is running, or "
            "vllm_python, which starts one"
        )
    if url is None:
        return
    host = _host(str(url))
    if not host:
        raise UsageError(f"sampler_url must be like http://localhost:8000, not '{url}'")
    if host not in HERE and folder is None:
        raise UsageError(
            f"sampler_url names another machine, {host}: name a sampler_folder that both machines "
            "see, for the weights"
        )


def _host(url: str) -> str | None:
    """Return the host that a server's address names, if it is the address of one.

    Example:
        >>> _host("http://localhost:8000"), _host("localhost:8000"), _host("http://localhost:99999")
        ('localhost', None, None)
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme == "http" and parts.port != 0
    except ValueError:  # half an IPv6 address, or a port that is none
        return None
    return parts.hostname if known else None
