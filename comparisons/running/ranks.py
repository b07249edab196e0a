"""Cells of several processes: the command that starts them, and what became of a process.

torch's own launcher starts the processes of a run and ends all if one fails: ``torchrun``, which
``accelerate launch`` hands over to, too. It is used as it is, and asked afterwards how they ended:
see ``bakeoff.comparisons.cell.launch``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bakeoff.comparisons.running.folder import read_json, write_json
from bakeoff.comparisons.running.grid import CellSpec
from bakeoff.errors import UsageError
from bakeoff.training.config import TrainConfig
from bakeoff.training.devices.refusals import check_launch
from bakeoff.training.devices.world import launched_size

LAUNCH_MODULE = "bakeoff.comparisons.cell.launch"

CONFIG = "accelerate.yaml"
"""A user's own file for ``accelerate launch``, as it is kept in a cell's folder."""

FAILURE = "failure.json"
"""In a cell's folder: which rank failed first, and how."""

PR_SET_PDEATHSIG = 1
"""Of Linux' prctl: the signal that a process is sent when its parent dies."""

KINDS = ("MULTI_GPU", "FSDP")
"""What ``accelerate launch`` starts through torchrun, of what a run can be."""


def processes(cell: CellSpec) -> int:
    """Return how many processes a cell is to have."""
    return int(cell.config.get("processes", 1))


def ranked(command: Sequence[str], cell: CellSpec, folder: Path) -> list[str]:
    """Return the command that starts a cell as many times over as it is to have processes.

    A file for ``accelerate launch`` is copied into the cell's folder, and used as it is there.

    Args:
        command: what runs the cell as one process; its folder is yet to be added.
        cell: which one.
        folder: the cell's.
    """
    if processes(cell) == 1:
        return list(command)
    launch = [sys.executable, "-P", "-m", LAUNCH_MODULE, "--processes", str(processes(cell))]
    if cell.accelerate_config is not None:
        shutil.copyfile(cell.accelerate_config, folder / CONFIG)
        launch += ["--config", str(folder / CONFIG)]
    return [*launch, *command]


def check_config(path: Path, config: TrainConfig) -> None:
    """Accept a file for ``accelerate launch`` that starts the processes that are asked for.

    Args:
        path: the file.
        config: of the runs.

    Raises:
        UsageError: it cannot be read, starts other processes, or has them share a run in another
            way than its settings do.
    """
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"accelerate_config {path} cannot be read: {error}") from None
    if not (isinstance(found, dict) and isinstance(found.get("fsdp_config") or {}, dict)):
        raise UsageError(f"accelerate_config {path} is no file of accelerate config")
    kind, machines = str(found.get("distributed_type")), found.get("num_machines", 1)
    if kind not in KINDS:
        raise UsageError(
            f"accelerate_config {path} has distributed_type {kind}, and bakeoff runs under "
            f"{' or '.join(KINDS)}; MULTI_GPU starts several processes on a CPU as well"
        )
    if machines != 1:
        raise UsageError(
            f"accelerate_config {path} is for {machines} machines: run accelerate launch on each "
            "of them, with -m bakeoff train"
        )
    if found.get("num_processes", asked := config.processes) != asked:
        raise UsageError(
            f"accelerate_config {path} has num_processes {found['num_processes']}, and "
            f"--num-processes is {asked}; give the same"
        )
    check_launch(config, asked, None, _launched_by(found))


def _launched_by(found: Mapping[str, Any]) -> dict[str, str]:
    """Return what ``accelerate launch`` would tell the processes of a file's settings."""
    numbers = found.get("mixed_precision") or "no"  # to YAML a bare no is false
    told = {"ACCELERATE_MIXED_PRECISION": str(numbers)}
    if found.get("parallelism_config"):
        told["ACCELERATE_USE_PARALLELISM_CONFIG"] = "true"
    if found.get("distributed_type") == "FSDP":
        told["ACCELERATE_USE_FSDP"] = "true"
        settings = found.get("fsdp_config") or {}
        told |= {str(key).upper(): str(value) for key, value in dict(settings).items()}
    return told


def rank_here(environ: Mapping[str, str] = os.environ) -> int:
    """Return which rank of a run this process was launched as; 0 if it is alone.

    Example:
        >>> rank_here({}), rank_here({"RANK": "1", "WORLD_SIZE": "2"})
        (0, 1)
    """
    return int(environ["RANK"]) if launched_size(environ) > 1 else 0


def end_with_launcher() -> None:
    """Have this process be killed when its launcher dies, if it is one of several on Linux.

    Launchers put each rank in a session of its own, where no signal to the launcher's group comes.
    """
    if launched_size() > 1 and sys.platform == "linux":
        from bakeoff.rewards.code.jail.libc import prctl

        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, what="ending with the launcher")


def check_alone(command: str, environ: Mapping[str, str] = os.environ) -> None:
    """Accept that a command is the only one of its kind, not started several times over.

    Raises:
        UsageError: a launcher has started it as one of several processes, or was meant to.
    """
    if (size := launched_size(environ)) > 1:
        raise UsageError(
            f"bakeoff {command} was launched as {size} processes, and starts those of its runs "
            f"itself: bakeoff compare --launcher accelerate --num-processes {size}; only bakeoff "
            "train can be one run of them all"
        )


def check_all_started(environ: Mapping[str, str] = os.environ) -> None:
    """Accept that ``accelerate launch`` has started what it was asked for.

    Raises:
        UsageError: it was asked for several processes on a CPU, which it leaves to MPI, and has
            started one.
    """
    if "ACCELERATE_USE_CPU" in environ and "MASTER_ADDR" in environ and "RANK" not in environ:
        raise UsageError(
            "accelerate launch has started one process, and leaves several on a CPU to MPI: give "
            "it --multi_gpu, which does so without, or use torchrun --nproc-per-node"
        )


def note_failure(folder: Path, failure: Mapping[str, Any], *, certain: bool = False) -> None:
    """Write down how a rank failed, unless another has failed before: that one is the cause.

    A rank that fails has not yet left the others, which fail for want of it; so it is first here.

    Args:
        folder: the cell's.
        failure: ``rank``, ``status``, ``exit_code``, ``error_type`` and ``error_message``.
        certain: it is the cause, whatever was written before.
    """
    if certain:
        write_json(folder / FAILURE, failure)
        return
    own = folder / f".{FAILURE}.{failure['rank']}.part"
    with suppress(OSError):  # the disk is full, or another was first
        own.write_text(json.dumps(failure, indent=2) + "\n", encoding="utf-8")
        os.link(own, folder / FAILURE)
    own.unlink(missing_ok=True)


def failure_in(folder: Path) -> dict[str, Any] | None:
    """Return how the rank that failed first did so; ``None`` if none has said so."""
    try:
        return read_json(folder / FAILURE)
    except UsageError:
        return None


def reason(failure: Mapping[str, Any], own: str | None = None) -> str:
    """Return the message of a failure, with its rank unless all ranks have failed alike.

    Args:
        failure: as ``note_failure`` takes it.
        own: the message of the rank that asks.

    Example:
        >>> reason({"rank": 1, "error_message": "no room"})
        'rank 1: no room'
        >>> reason({"rank": 1, "error_message": "the loss is nan"}, "the loss is nan")
        'the loss is nan'
    """
    message = str(failure["error_message"])
    return message if message == own else f"rank {failure['rank']}: {message}"
