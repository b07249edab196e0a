"""``python -m bakeoff.comparisons.cell.launch --processes N COMMAND ... FOLDER`` runs a cell as N.

torch's launcher starts the command N times, connects the processes and, if one fails, ends the
others; with ``--config FILE`` it is ``accelerate launch`` that has it do so, as the file says. What
ranks above 0 print comes with the rank in front. If a rank failed, ``FOLDER/failure.json`` says
which, and why, and so does ``status.json`` if rank 0 could write one.
"""

from __future__ import annotations

import argparse
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.running.folder import read_json, write_json
from bakeoff.comparisons.running.ranks import failure_in, note_failure, reason
from bakeoff.errors import UsageError

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

LOGS = "ranks"
"""Where, in a cell's folder, torch's launcher keeps what ranks print while they are at work."""


def main(argv: list[str] | None = None) -> int:
    """Run a cell as several processes; return the exit code of the one that failed first."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    parser = argparse.ArgumentParser(prog="bakeoff.comparisons.cell.launch", description=__doc__)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--config", type=Path, metavar="FILE", help="for accelerate launch")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args(argv)
    folder = Path(args.command[-1])
    logs = folder / LOGS
    shutil.rmtree(logs, ignore_errors=True)
    try:
        _launch(args.command, args.processes, args.config, logs)
    except ChildFailedError as error:
        return _ended(folder, error.failures)
    except SignalException as error:
        return 128 + int(error.sigval)
    finally:
        shutil.rmtree(logs, ignore_errors=True)
    return 0


def _launch(command: list[str], processes: int, config: Path | None, logs: Path) -> None:
    """Have the processes run to their end.

    Raises:
        ChildFailedError: one of them failed.
        SignalException: this process was asked to end, and has ended them.
    """
    others = ",".join(f"{rank}:3" for rank in range(1, processes))  # 3: both streams
    if config is None:
        import torch.distributed.run

        torchrun: Any = torch.distributed.run
        flags = ["--standalone", "--nproc-per-node", str(processes), "--role", "rank"]
        flags += ["--tee", others, "--log-dir", str(logs), "--no-python"]
        torchrun.run(torchrun.parse_args([*flags, *command]))
        return
    from accelerate.commands.launch import launch_command, launch_command_parser

    flags = ["--config_file", str(config), "--num_processes", str(processes), "--role", "rank"]
    flags += ["--main_process_port", "0", "--tee", others, "--log_dir", str(logs), "--no_python"]
    launch_command(launch_command_parser().parse_args([*flags, *command]))


def _ended(folder: Path, failures: Mapping[int, ProcessFailure]) -> int:
    """Write down which rank is to blame, where that is known only here; return the exit code.

    Ranks that were ended for another's failure have a SIGTERM. Any other signal came from outside,
    or from a crash: that rank had no time to say so, and the others failed for want of it.
    """
    killed = {
        rank: failure
        for rank, failure in sorted(failures.items())
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM
    }
    if killed:
        rank, failure = next(iter(killed.items()))
        number = -failure.exitcode
        found = {
            "rank": rank,
            "status": "error",
            "exit_code": failure.exitcode,
            "error_type": "Killed",
            "error_message": f"killed by signal {number} ({signal.Signals(number).name})",
        }
        note_failure(folder, found, certain=True)
        _correct(folder, found)
        return 128 + number
    noted = failure_in(folder)
    if noted is not None:
        return int(noted["exit_code"])
    return max((failure.exitcode for failure in failures.values()), default=1) or 1


def _correct(folder: Path, found: Mapping[str, object]) -> None:
    """Have a status that rank 0 wrote for want of another rank say what became of that one."""
    try:
        status = read_json(folder / "status.json")
    except UsageError:
        return
    if status is None or status["status"] == "ok":
        return
    columns = ("status", "exit_code", "error_type")
    own = {column: found[column] for column in columns}
    write_json(folder / "status.json", {**status, **own, "error_message": reason(found)})


if __name__ == "__main__":
    raise SystemExit(main())
