"""How cells are started, and where: on this machine, or placed on others by an engine for that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bakeoff.comparisons.running.grid import Experiment
from bakeoff.comparisons.running.launchers.protocol import Launcher


@contextmanager
def opened(experiment: Experiment, lock: int) -> Iterator[Launcher]:
    """Yield what starts the cells of a comparison, as its ``launcher`` names it.

    Args:
        experiment: the comparison.
        lock: the descriptor of the folder's lock, which cells on this machine inherit.

    Raises:
        UsageError: it is not installed, or cannot be reached.
    """
    from bakeoff.comparisons.running.launchers import slurm
    from bakeoff.comparisons.running.launchers.local import Local

    if experiment.launcher == "slurm":
        with slurm.opened(experiment) as launcher:
            yield launcher
        return
    slurm.refuse_jobs(experiment.out)
    if experiment.launcher == "ray":
        from bakeoff.comparisons.running.launchers import ray_launcher

        with ray_launcher.opened(experiment) as launcher:
            yield launcher
    else:
        yield Local(experiment.max_parallel, lock)
