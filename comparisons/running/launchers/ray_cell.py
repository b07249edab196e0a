"""A cell on a Ray node, as the driver sees it: sent there, watched, brought home.

No file system is shared: what the cell's folder holds goes to the node, and everything that the
cell leaves comes back. While it runs, what its progress is seen by comes every few seconds, and now
and then all of it, so that a node or a driver that is lost costs no more than the time since.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from bakeoff.comparisons.running.checks import last_line
from bakeoff.comparisons.running.folder import read_json
from bakeoff.comparisons.running.launchers import parcels
from bakeoff.comparisons.running.launchers.placed import portable
from bakeoff.comparisons.running.launchers.protocol import Order
from bakeoff.comparisons.running.launchers.ray_cluster import Node
from bakeoff.comparisons.running.process import GRACE_S, Ending, Reason

LOOK_S = 2.0
HOME_S = 60.0
"""Seconds between two looks at a cell, and between two times that all it has comes home."""

STOP_S = GRACE_S + 30.0
"""Seconds that a cell which is to stop has to end and to send what it has."""

Flow = Generator[Callable[[], Any], Any, None]
"""Yields calls of the actor and is sent what they come to, so that nobody waits meanwhile. A call
may be made once more, when nobody knows whether it arrived; twice must be as good as once."""


class RayCell:
    """A cell that was handed to an actor on a node.

    Args:
        actor: the ``CellOnNode``.
        order: the cell.
        node: the node that it is on.
        alive: asked whether that node is still there.
    """

    def __init__(
        self, actor: Any, order: Order, node: Node, *, alive: Callable[[Node], bool]
    ) -> None:
        import ray

        self._ray = ray
        self._actor, self._order, self._node, self._alive = actor, order, node, alive
        self._start = time.monotonic()
        self._stopped: float | None = None
        self._silent: float | None = None
        self._arrived = self._begun = self._left = False
        self._ending: Ending | None = None
        self._steps = self._flow()
        self._call = next(self._steps)
        self._awaited = self._call()

    @property
    def at_work(self) -> bool:
        """Whether it has begun; before, its files are on their way, or its node is not free."""
        return self._begun

    @property
    def elapsed_s(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self._start

    def poll(self, *, stop: bool = False) -> Ending | None:
        """Return how it ended, ``None`` while it is at work."""
        if stop and self._stopped is None:
            self._stopped = time.monotonic()
        while self._ending is None and self._ray.wait([self._awaited], timeout=0)[0]:
            try:
                value = self._ray.get(self._awaited)
            except self._ray.exceptions.ActorUnavailableError:
                self._ask_again()
                break
            except self._ray.exceptions.RayError as error:
                self._died(error)
                break
            self._arrived, self._silent = True, None
            with suppress(StopIteration):
                self._call = self._steps.send(value)
                self._awaited = self._call()
        if self._ending is None and self._stopped is not None:
            waited_s = time.monotonic() - self._stopped
            if not self._arrived or waited_s > STOP_S:
                self._ended("interrupted", 1)
        if self._ending is not None:
            self.end()
        return self._ending

    def wait(self, seconds: float) -> None:
        """Wait until there is something new, but no longer than that."""
        if self._silent is None:
            self._ray.wait([self._awaited], timeout=seconds)
        else:
            time.sleep(seconds)

    def end(self) -> None:
        """Give the node back; a cell that is still at work there ends, since its actor does."""
        if not self._left:
            self._left = True
            self._ray.kill(self._actor)
            shutil.rmtree(self._arriving, ignore_errors=True)

    @property
    def _arriving(self) -> Path:
        return self._order.folder / ".arriving"

    def _flow(self) -> Flow:
        order, actor = self._order, self._actor
        for name in parcels.names(order.folder):
            for at, piece in parcels.pieces(order.folder / name):
                yield partial(actor.write.remote, name, at, piece)
        yield partial(actor.start.remote, portable(order.command), order.timeout_s)
        self._start, self._begun = time.monotonic(), True
        told, last_s = False, time.monotonic()
        while not (yield partial(actor.over.remote, LOOK_S)):
            if self._stopped is not None and not told:
                yield actor.end.remote
                told = True
            light = time.monotonic() - last_s < HOME_S
            yield from self._bring(light=light)
            last_s = last_s if light else time.monotonic()
        yield from self._bring(light=False, over=True)
        if told:
            self._ended("interrupted", 1)
        elif read_json(order.folder / "status.json") is None:
            self._ended("exited", -signal.SIGKILL, f"with what watched it, on {self._node.name}")
        else:
            self._ended("exited", 0)

    def _bring(self, *, light: bool, over: bool = False) -> Flow:
        """Bring home what the cell has."""
        shutil.rmtree(self._arriving, ignore_errors=True)
        self._arriving.mkdir()
        for name in (yield partial(self._actor.parcel.remote, light=light)):
            path = self._arriving / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                while piece := (yield partial(self._actor.piece.remote, name, file.tell())):
                    file.write(piece)
        parcels.put_down(self._arriving, self._order.folder, whole=over)

    def _ask_again(self) -> None:
        """Repeat a call to a node that is silent, until Ray says that it is lost, or it answers."""
        now = time.monotonic()
        if self._silent is None or now - self._silent > LOOK_S:
            self._silent = now
            self._awaited = self._call()

    def _ended(self, reason: Reason, exit_code: int, detail: str = "") -> None:
        facts = self._node.facts
        self._ending = Ending(reason, exit_code, self.elapsed_s, None, detail, facts)

    def _died(self, error: Exception) -> None:
        """Tell the end of a node from a failure there, which another node would not mend."""
        name, exceptions = self._node.name, self._ray.exceptions
        if isinstance(error, exceptions.RayTaskError):
            self._ended("exited", 1, f"on node {name}: {last_line(str(error))}")
        elif self._alive(self._node):
            what = f"its Ray worker on node {name} died, and the node did not"
            self._ended("exited", -signal.SIGKILL, f"{what}: {' '.join(str(error).split())[:300]}")
        else:
            self._ended("lost", 1, f"the Ray node {name} is lost")
