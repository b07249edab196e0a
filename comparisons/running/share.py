"""What a cell has of the machine when several run at a time: processor cores and memory."""

from __future__ import annotations

import os
from pathlib import Path

from bakeoff.comparisons.running.grid import Experiment, config_of
from bakeoff.comparisons.wording import amount
from bakeoff.errors import UsageError

CGROUP = Path("/sys/fs/cgroup")


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0))


def threads(asked: int, parallel: int) -> int:
    """Return the threads of a cell: as many as asked, or its share of the cores.

    Args:
        asked: the setting ``threads``; 0 asks for none in particular.
        parallel: how many cells run at a time.

    Example:
        >>> threads(3, parallel=2), threads(0, parallel=10**6)
        (3, 1)
    """
    return asked or max(1, cores() // parallel)


def default_threads(weights: int, parallel: int = 1) -> int:
    """Return how many CPU threads suit a model of so many weights: one, or all that may be used.

    Where several cells run at a time, ``parallel`` of them, each has its share.

    Below some ten million the threads of an operation wait for each other longer than they work,
    and on a machine that does anything else besides, much longer.
    """
    return 1 if weights < 10_000_000 else threads(0, parallel)


def check_share(experiment: Experiment) -> None:
    """Accept a comparison whose cells, as many as run at a time, have room beside each other.

    One at a time is always accepted. Several need a core for each thread, and, where there is a
    memory limit, that much for each.

    Raises:
        UsageError: there are not so many cores, or there is not so much memory.
    """
    parallel = experiment.max_parallel
    if parallel == 1:
        return
    configs = [config_of(experiment, name) for name in experiment.algorithms]
    asked = max(config["threads"] for config in configs) or 1
    each = asked * (ranks := max(config.get("processes", 1) for config in configs))
    if each * parallel > cores():
        many = f"processes {ranks} and " if ranks > 1 else ""
        raise UsageError(
            f"max_parallel {parallel} with {many}threads {asked} needs {each * parallel} cores, "
            f"and there are {cores()}; take at most {max(1, cores() // each)}"
        )
    limit, free = experiment.memory_limit, available_bytes()
    limit = None if limit is None else limit * ranks
    if limit is not None and free is not None and limit * parallel > free:
        raise UsageError(
            f"max_parallel {parallel} with a memory limit of {amount(limit, 'bytes')} each needs "
            f"{amount(limit * parallel, 'bytes')}, and {amount(free, 'bytes')} are free; "
            f"take at most {max(1, free // limit)}"
        )


def available_bytes(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = CGROUP) -> int | None:
    """Return the memory that further processes can have, ``None`` where the system does not tell.

    That is what Linux holds available, or what is left of a container's limit if that is less.
    """
    try:
        lines = meminfo.read_text(encoding="utf-8").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable:" in line)
    except (OSError, StopIteration, ValueError):
        return None
    try:
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return free
    return max(0, min(free, limit - used))
