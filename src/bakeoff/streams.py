"""Random streams, derived by hashing what they are for, never by adding to a seed.

Two streams with different keys are unrelated: ``("train", 0)`` and ``("train", 1)`` share nothing,
and an algorithm's name is in no key, so all algorithms of one seed meet the same items, the same
initial weights and the same sampling noise (common random numbers).
"""

from __future__ import annotations

import hashlib
import random


def stream_seed(*keys: object) -> int:
    """Return a seed in ``[0, 2**63)`` made of ``keys`` (strings and integers).

    Example:
        >>> stream_seed("items", 0) == stream_seed("items", 0)
        True
        >>> stream_seed("items", 0) == stream_seed("items", 1)
        False
    """
    text = "\x1f".join(f"{type(key).__name__}:{key}" for key in keys)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(*keys: object) -> random.Random:
    """Return the random generator that belongs to ``keys``.

    Example:
        >>> stream("items", 3).randrange(1000) == stream("items", 3).randrange(1000)
        True
    """
    return random.Random(stream_seed(*keys))
