"""The script that ``sbatch`` is given: an array with one job for each block of cells.

The options are Slurm's own: a user's ``--slurm KEY=VALUE`` becomes ``#SBATCH --KEY=VALUE``. Cores,
memory and time follow from the comparison where the user says nothing of them.
"""

from __future__ import annotations

import math
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bakeoff.comparisons.running.launchers.protocol import Order
from bakeoff.comparisons.running.process import GRACE_S
from bakeoff.comparisons.running.ranks import processes

NODE_MODULE = "bakeoff.comparisons.running.launchers.slurm_node"
GPUS = ("gres", "gpus", "gpus-per-node", "gpus-per-task", "tres-per-task")
MEMORY = ("mem", "mem-per-cpu", "mem-per-gpu")
RUNNER_MIB = 1024
"""Memory of a job beside that of its cell: the process that watches it, and what it starts."""

STARTING_S = 60
"""Seconds that a cell may need beside its timeout, which is the time of its process alone."""


def script(
    folder: Path, name: str, blocks: Sequence[Sequence[Order]], given: Mapping[str, str]
) -> str:
    """Return the text of the script.

    Args:
        folder: where the submission stands, which its jobs read and log into.
        name: of the jobs; by it they are found again.
        blocks: what each job of the array runs, one after the other.
        given: options that the user wants.
    """
    here = str(folder.resolve())
    options = {
        "job-name": name,
        "array": f"0-{len(blocks) - 1}",
        "output": f"{here.replace('%', '%%')}/%a.log",
        "open-mode": "append",
        "chdir": os.getcwd(),
        "nodes": "1",
        "ntasks": "1",
        **_resources(blocks, given),
        **given,
    }
    lines = [
        f"#SBATCH --{key}={shlex.quote(value)}" if value else f"#SBATCH --{key}"
        for key, value in options.items()
    ]
    if path := os.environ.get("PYTHONPATH"):
        paths = os.pathsep.join(str(Path(part).absolute()) for part in path.split(os.pathsep))
        lines.append(f"export PYTHONPATH={shlex.quote(paths)}")
    command = shlex.join([sys.executable, "-P", "-u", "-m", NODE_MODULE, here])
    # exec: the signals of Slurm are for Python, which ends the cell and writes its status
    return "\n".join(["#!/bin/bash", *lines, f'exec {command} "$SLURM_ARRAY_TASK_ID"', ""])


def _resources(blocks: Sequence[Sequence[Order]], given: Mapping[str, str]) -> dict[str, str]:
    """Return what a job asks for as far as the comparison says it and the user does not."""
    orders = [order for block in blocks for order in block]
    configs = [order.cell.config for order in orders]
    ranks = max(processes(order.cell) for order in orders)
    found = {}
    if threads := max(config.get("threads", 0) for config in configs):
        found["cpus-per-task"] = str(threads * ranks)
    limits = [order.cell.memory_limit_bytes or 0 for order in orders]
    if max(limits) and not any(key in given for key in MEMORY):
        found["mem"] = f"{math.ceil(max(limits) / 2**20) * ranks + RUNNER_MIB}M"
    if any(config.get("device") == "cuda" for config in configs) and not any(
        key in given for key in GPUS
    ):
        found["gres"] = f"gpu:{ranks}"
    seconds = [
        sum((order.timeout_s or math.inf) + GRACE_S + STARTING_S for order in block)
        for block in blocks
    ]
    if math.isfinite(longest := max(seconds)):
        found["time"] = str(math.ceil(longest / 60))  # minutes, in Slurm's notation
    return found
