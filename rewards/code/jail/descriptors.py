"""Descriptors. A program inherits none but its own: no socket, file or terminal of anyone's."""

from __future__ import annotations

import os
from collections.abc import Mapping

CHANNEL = 3  # where a contained process talks to the host
RPC = 4  # where the tests' and the program's process talk to each other


def reserve(kept: int) -> int:
    """Occupy the numbers that programs' descriptors get, so that none of the nest's has one.

    Returns:
        The number that a kept descriptor has from now on.
    """
    first = os.open(os.devnull, os.O_RDWR)
    while (copy := os.dup(kept)) <= RPC:
        pass
    for number in range(3, RPC + 1):
        os.dup2(first, number)
    return copy


def silence() -> None:
    """Lead the standard streams to nowhere: the nest's are shared by all programs."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def take(sources: Mapping[int, int]) -> None:
    """Give descriptors the numbers that a program finds them under: ``{new: present}``."""
    for target, source in sources.items():
        os.dup2(source, target)


def close_above(last: int) -> None:
    """Close all descriptors but those up to a number."""
    os.closerange(last + 1, 2**20)
