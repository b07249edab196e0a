"""A Slurm cluster of two nodes on this machine, for one test run; its programs must be installed.

On Debian these are ``slurmctld``, ``slurmd`` and ``slurm-client``; nothing of the system's own
configuration is read or changed. There is no accounting: ``sacct`` fails, as on small clusters.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")

CONFIGURATION = """
ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={here}/state
SlurmdSpoolDir={here}/spool-%n
SlurmctldPidFile={here}/slurmctld.pid
SlurmdPidFile={here}/slurmd-%n.pid
SlurmctldLogFile={here}/slurmctld.log
SlurmdLogFile={here}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MpiDefault=none
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports[1]}-{ports[2]}] \
CPUs=1 RealMemory=8000 State=UNKNOWN
PartitionName=debug Nodes=n[1-2] Default=YES DefMemPerNode=2000 MaxTime=INFINITE State=UP
"""


@contextmanager
def cluster(here: Path) -> Iterator[None]:
    """Start it, and have the commands of this process and its children speak to it.

    Args:
        here: an empty folder for its files.
    """
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"Slurm is not installed: there is no {', '.join(missing)}")
    configuration = here / "slurm.conf"
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    text = CONFIGURATION.format(host=socket.gethostname(), ports=_ports(), user=user, here=here)
    configuration.write_text(text)
    (here / "state").mkdir()
    commands = [["slurmctld", "-D"], ["slurmd", "-D", "-N", "n1"], ["slurmd", "-D", "-N", "n2"]]
    with ExitStack() as stack:
        before = os.environ.get("SLURM_CONF")
        os.environ["SLURM_CONF"] = str(configuration)
        stack.callback(_restore, before)
        for command in commands:
            log = stack.enter_context((here / f"{'-'.join(command)}.out").open("w"))
            process = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        stack.callback(_slurm, "scancel", "--full", "--state=RUNNING", "--signal=KILL", "-u", user)
        _wait_until_idle()
        yield


def _slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _wait_until_idle() -> None:
    deadline = time.monotonic() + 30
    while _slurm("sinfo", "-h", "-N", "-o", "%t").split() != ["idle", "idle"]:
        if time.monotonic() > deadline:
            pytest.skip("Slurm is installed, but its daemons do not run on this machine")
        time.sleep(0.3)


def _restore(before: str | None) -> None:
    if before is None:
        del os.environ["SLURM_CONF"]
    else:
        os.environ["SLURM_CONF"] = before


def _ports() -> tuple[int, int, int]:
    """Return a free port, and the first of two that are free next to each other, with the other."""
    for first in range(17830, 18800, 3):
        try:
            with ExitStack() as stack:
                for port in range(first, first + 3):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
        except OSError:
            continue
        return first, first + 1, first + 2
    raise OSError("there are no three free ports next to each other")
