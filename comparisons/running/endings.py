"""What is said of a cell that ended: its status if it left none, its last words, what to try."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bakeoff.comparisons.budgets import budget_of
from bakeoff.comparisons.running.folder import read_json
from bakeoff.comparisons.running.grid import CellSpec
from bakeoff.comparisons.running.host import host
from bakeoff.comparisons.running.process import Ending
from bakeoff.comparisons.running.ranks import failure_in, reason
from bakeoff.comparisons.running.room import DISK_FULL
from bakeoff.comparisons.schema import RUNS_COLUMNS
from bakeoff.comparisons.tables import file_hashes
from bakeoff.errors import UsageError

TAIL_BYTES = 16_384
LINE_CHARACTERS = 300


def status_of_killed(cell: CellSpec, ending: Ending, folder: Path) -> dict[str, Any]:
    """Return the ``status.json`` of a cell that did not write one: everything known of its end."""
    status, error_type, message = _why(cell, ending, tail(folder / "log.txt", 1))
    exit_code, failure = ending.exit_code, failure_in(folder)
    if failure is not None and ending.reason == "exited":
        status, error_type, message = failure["status"], failure["error_type"], reason(failure)
        exit_code = failure["exit_code"]
    ended = datetime.now(UTC)
    started = ended - timedelta(seconds=ending.wall_s)
    progress = progress_of(folder)
    facts, budget = ending.facts or host(), budget_of(cell.config)
    known = {
        name: getattr(cell, name) for name in CellSpec.__dataclass_fields__ if name in RUNS_COLUMNS
    }
    return {
        **dict.fromkeys(RUNS_COLUMNS),
        **{
            key: value
            for key, value in {**facts, **facts["versions"]}.items()
            if key in RUNS_COLUMNS
        },
        **known,
        "budget_kind": budget.kind,
        "budget_value": budget.value,
        "status": status,
        "exit_code": exit_code,
        "error_type": error_type,
        "error_message": message,
        "started_utc": started.isoformat(timespec="seconds"),
        "ended_utc": ended.isoformat(timespec="seconds"),
        "wall_s": ending.wall_s,
        "peak_rss_bytes": ending.peak_rss_bytes,
        "updates": progress.get("update"),
        "completion_tokens": progress.get("completion_tokens"),
        "files_sha256": file_hashes(folder),
    }


def progress_of(folder: Path) -> dict[str, Any]:
    """Return what a cell last said of its progress; empty if it has said nothing readable."""
    try:
        return read_json(folder / "progress.json") or {}
    except UsageError:
        return {}


def tail(log: Path, lines: int) -> list[str]:
    """Return the last lines of a log that are not blank, cut to what a terminal can show safely."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    kept = [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
    return ["".join(c if c.isprintable() else " " for c in line)[:LINE_CHARACTERS] for line in kept]


def advice(status: Mapping[str, Any]) -> str:
    """Return what to try after a cell that failed, in one sentence; empty if it did not."""
    if status.get("status") == "error" and status.get("exit_code") == -signal.SIGKILL:
        return (
            "The system killed it, most likely for memory: try a smaller --micro-batch and "
            "--sample-batch, then --only failed."
        )
    return {
        "oom": "Try a smaller --micro-batch and --sample-batch (in a new --out), or a higher "
        "--memory-limit with --only failed.",
        "timeout": "Try a longer --cell-timeout with --only failed, or fewer --updates in a new "
        "--out.",
        "diverged": "Try a smaller --learning-rate or --max-grad-norm, in a new --out.",
        "error": "Once its cause is mended, --only failed runs it again.",
    }.get(str(status.get("status")), "")


def _why(cell: CellSpec, ending: Ending, last: list[str]) -> tuple[str, str, str]:
    """Return status, error type and message of a cell that left no status."""
    if ending.reason == "timeout":
        message = f"stopped by the cell timeout after {ending.wall_s:.1f} s"
        return "timeout", "Timeout", ending.detail or message
    if ending.reason == "oom":
        peak, limit = ending.peak_rss_bytes or 0, cell.memory_limit_bytes or 0
        message = f"peak memory {_gib(peak)} is above the memory limit of {_gib(limit)}"
        return "oom", "MemoryLimit", ending.detail or message
    if ending.reason == "interrupted":
        message = ending.detail or "stopped by the user; the same command goes on"
        return "interrupted", "Interrupted", message
    if ending.reason == "lost":
        return "interrupted", "Lost", ending.detail or "its machine is lost, more than once"
    code = ending.exit_code
    if code == DISK_FULL:
        return "interrupted", "DiskFull", "it could not write into its folder"
    how = f"killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
    how += f" ({ending.detail})" if ending.detail else ""
    words = f"; last line of the log: {last[0]}" if last else "; its log is empty"
    return "error", "Killed", f"{how} and left no status{words}"


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB ({size} bytes)"
