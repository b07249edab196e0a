"""What stands on a Ray node for one cell: an actor, in whose care the cell's process is.

An actor and no plain task, so that the driver can ask it: how far the cell is, for its files, and
to end it. Whatever is asked twice has the answer of once: a network may lose one. It holds the
resources as a task does and has a worker process of its own; the cell is a process beside it all
the same, whose peak memory is its own. Ray is not imported here.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bakeoff.comparisons.running.checks import fetch_models
from bakeoff.comparisons.running.content import changes, with_content
from bakeoff.comparisons.running.grid import CellSpec
from bakeoff.comparisons.running.host import host
from bakeoff.comparisons.running.launchers import parcels
from bakeoff.comparisons.running.launchers.placed import arguments


class CellOnNode:
    """A cell's folder on this node and the process that works in it.

    Args:
        shipped: files of the user's own that names such as ``my_envs.py:me/Add-v0`` mean, by their
            place in the driver's folder; they are laid out likewise, and are what the cell finds.
    """

    def __init__(self, shipped: Mapping[str, bytes]) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="bakeoff-cell-"))
        self._folder = self._home / "cell"
        self._process: subprocess.Popen[bytes] | None = None
        working = self._home / "working"
        for name, data in shipped.items():
            (working / name).parent.mkdir(parents=True, exist_ok=True)
            (working / name).write_bytes(data)
        working.mkdir(exist_ok=True)
        os.chdir(working)

    def facts(self, cells: Sequence[CellSpec]) -> tuple[dict[str, Any], list[str]]:
        """Return this machine's facts, and what differs here from what cells are to be made by.

        Nothing else is asked of this actor: what it has here is deleted.
        """
        try:
            fetch_models({cell.model for cell in cells})
            found = zip(cells, with_content(cells), strict=True)
            differing = [
                text for cell, here in found for text in changes(cell.content, here.content)
            ]
            return host(), list(dict.fromkeys(differing))
        finally:
            shutil.rmtree(self._home, ignore_errors=True)

    def write(self, name: str, at: int, piece: bytes) -> None:
        """Write a piece of a file of the cell's folder."""
        parcels.put_piece(self._folder / name, at, piece)

    def start(self, command: Sequence[str], timeout_s: float | None) -> None:
        """Start the cell, once; its folder holds all that it needs by now."""
        if self._process is not None:
            return
        with (self._folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                arguments(self._folder, command, timeout_s, tied=True),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._process.wait()  # it has left a child, which holds the other ends of the pipes

    def over(self, wait_s: float) -> bool:
        """Return whether the cell has ended; wait for that, but no longer than so many seconds."""
        assert self._process is not None and self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], wait_s)
        return bool(readable) and os.read(self._process.stdout.fileno(), 1) == b""

    def end(self) -> None:
        """Have the cell end as ``interrupted``; ``over`` says when it has."""
        assert self._process is not None and self._process.stdin is not None
        with suppress(BrokenPipeError):
            os.write(self._process.stdin.fileno(), b".")

    def parcel(self, *, light: bool) -> list[str]:
        """Make a copy of what is to go to the driver now; return the names of the files.

        Args:
            light: only what the progress is seen by.
        """
        return parcels.snapshot(
            self._folder, self._home / "parcel", parcels.LIGHT if light else None
        )

    def piece(self, name: str, at: int) -> bytes:
        """Return a piece of a file of the copy; empty at its end."""
        return parcels.piece_of(self._home / "parcel" / name, at)
