"""What a process on a CPU holds beside its tensors: libraries, and holes in the allocator's heap.

Both are measured, not derived (docs/memory.md says how, and how far off they were). Pages of torch
and of oneDNN come into memory as they are first used. glibc keeps what is freed, in pieces of up to
32 MiB, for later use, and what is later asked for does not always fit: with pieces given back at
once (``MALLOC_MMAP_THRESHOLD_=1048576``) a process held the libraries and its tensors and no more.
"""

from __future__ import annotations

LIBRARIES = 55 * 2**20
"""Bytes that come with the first update, beside those after the imports."""

HOLES = 0.4
"""Bytes of holes for each byte of activations, at their most."""


def beside_tensors(baseline: int, activations: int) -> dict[str, int]:
    """Return the bytes of a process that are no tensors.

    Args:
        baseline: what it holds after its imports.
        activations: the most that they take in any phase.

    Example:
        >>> beside_tensors(300 * 2**20, 100 * 2**20)["unattributed"] == 95 * 2**20
        True
    """
    return {
        "process_baseline": baseline,
        "unattributed": LIBRARIES + int(HOLES * activations),
    }
