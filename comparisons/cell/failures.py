"""How a run failed: its status, its exit code, and one line of what went wrong."""

from __future__ import annotations

from bakeoff.comparisons.running.room import DISK_FULL, unwritable

EXIT_CODES = {"ok": 0, "error": 1, "diverged": 3, "oom": 4, "interrupted": DISK_FULL}


def how_it_failed(error: Exception) -> str:
    """Return the status that an exception stands for."""
    import torch

    from bakeoff.training.learner import Diverged

    if unwritable(error):
        return "interrupted"
    if isinstance(error, Diverged):
        return "diverged"
    # torch's allocator on a CPU raises a RuntimeError that only its text tells from others
    cpu_oom = isinstance(error, RuntimeError) and "allocate memory" in str(error)
    if cpu_oom or isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "oom"
    return "error"


def first_line(error: BaseException) -> str:
    """Return an exception's text and notes, on one line of bounded length.

    Example:
        >>> error = ValueError("no such item")
        >>> error.add_note("on rank 1")
        >>> first_line(error)
        'no such item (on rank 1)'
    """
    text = " ".join(str(error).split())[:500] or type(error).__name__
    notes = getattr(error, "__notes__", ())
    return f"{text} ({'; '.join(notes)})" if notes else text
