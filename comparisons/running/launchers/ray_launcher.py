"""Cells on the machines of a Ray cluster: the runs of one seed on one node, one after the other.

Ray holds the resources, starts the workers and says which nodes live. What it is told is where: a
block (the cells of one environment, model and seed) stays on the node that it began on, so that
its times can be compared, and goes to another only when that one is lost. A node has one cell at a
time, or ``max_parallel``. Nothing is retried by Ray: a cell's own failure keeps its row, and one
that lost its node is sent out anew by the driver, which numbers its attempts.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bakeoff.comparisons.running import folder
from bakeoff.comparisons.running.attempts import made
from bakeoff.comparisons.running.grid import CellSpec, Experiment
from bakeoff.comparisons.running.launchers import ray_cluster
from bakeoff.comparisons.running.launchers.protocol import Order
from bakeoff.comparisons.running.launchers.ray_cell import RayCell
from bakeoff.comparisons.running.launchers.ray_cluster import Node, actor_on, asked, fits, needs
from bakeoff.errors import UsageError

KNOCK_S = 10.0
LOOK_S = 2.0
"""Seconds for which what was seen of the cluster's nodes holds."""

Block = tuple[str, str, int]


@contextmanager
def opened(experiment: Experiment) -> Iterator[OnRay]:
    """Yield the launcher of a comparison's cells, connected to its cluster.

    Raises:
        UsageError: there is no such cluster.
    """
    import ray

    ours = not ray.is_initialized()
    address = experiment.ray_address or "auto"
    try:
        if ours:
            _knock(address if experiment.ray_address else _latest())
            ray.init(address=address, log_to_driver=False, logging_level="error")
    except (OSError, RuntimeError, ValueError) as error:
        where = f"at {address}" if experiment.ray_address else "on this machine"
        raise UsageError(
            f"there is no Ray cluster {where}: start one (ray start --head), or name its address "
            "with --ray-address"
        ) from error
    try:
        yield OnRay(experiment)
    finally:
        if ours:
            ray.shutdown()


def _latest() -> str:
    """Return the address that Ray takes for this machine's cluster, which may have died since.

    Raises:
        ConnectionError: there is none.
    """
    try:
        from ray._private.services import canonicalize_bootstrap_address
    except ImportError:  # not Ray's interface: without it a dead cluster is found out later
        return ""
    return str(canonicalize_bootstrap_address("auto"))


def _knock(address: str) -> None:
    """Open a connection to where a cluster should be; Ray itself goes on trying for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()


class OnRay:
    """Starts cells on the nodes of the cluster that this process is connected to."""

    here = False

    def __init__(self, experiment: Experiment) -> None:
        """Take note of what is compared, and of the machines that earlier runs of it were on."""
        self.parallel = experiment.max_parallel
        self.notes: Sequence[str] = ()
        self._out = experiment.out
        self._cells: Sequence[CellSpec] = ()
        self._known: dict[str, Node | None] = {}
        self._nodes: list[Node] = []
        self._looked: float | None = None
        self._node_of: dict[Block, str] = {}
        self._at: dict[str, str] = {}
        self._chosen: dict[str, Node] = {}
        self._machine_of = _machines(experiment)

    def accept(self, cells: Sequence[CellSpec]) -> None:
        """Accept cells for which there is a node, where every node has this bakeoff.

        Raises:
            UsageError: a node has another, or none has what a cell takes.
        """
        self._cells = cells
        if not cells:
            return
        found = ray_cluster.nodes()
        for cell in cells:
            if not any(self._fits(cell, node) for node in found):
                raise UsageError(_too_small(cell, found))
        self._nodes = asked([node for node in found if self._of_use(node)], cells)
        self._known = {node.id: node for node in self._nodes}
        names = ", ".join(node.name for node in self._nodes)
        self.notes = [f"the runs of each seed stay on one of these Ray nodes: {names}"]

    def takes(self, cell: CellSpec, at_work: Sequence[CellSpec]) -> bool:
        """Tell whether its node, or any if it has none yet, is free."""
        node = self._choice(cell, at_work)
        if node is not None:
            self._chosen[cell.cell_id] = node
        return node is not None

    def adopted(self, order: Order) -> None:
        """Return nothing: Ray ends what a driver that is gone has started."""

    def start(self, order: Order) -> RayCell:
        """Start a cell on the node of its block.

        Raises:
            OSError: there is no node for it; one that was taken on has one.
        """
        cell = order.cell
        node = self._chosen.pop(cell.cell_id, None) or self._choice(cell, [])
        if node is None:
            raise OSError("there is no node for it in the Ray cluster")
        self._node_of[block_of(cell)] = self._at[cell.cell_id] = node.id
        folder.record_host(self._out, node.facts)
        wanted = needs(cell, node, self.parallel)
        actor = actor_on(node, ray_cluster.shipped([cell]), wanted)
        return RayCell(actor, order, node, alive=self._is_alive)

    def _choice(self, cell: CellSpec, at_work: Sequence[CellSpec]) -> Node | None:
        """Return the node for a cell, ``None`` if it has to wait."""
        block = block_of(cell)
        if any(block_of(other) == block for other in at_work):
            return None
        usable = [node for node in self._usable() if self._fits(cell, node)]
        busy = Counter(self._at[other.cell_id] for other in at_work)
        suited = together(usable, self._node_of.get(block), self._machine_of.get(block))
        free = [node for node in suited if busy[node.id] < self.parallel]
        return min(free, key=lambda node: busy[node.id], default=None)

    def _usable(self) -> list[Node]:
        """Return the nodes that are alive; one that joined since and has other code is left out."""
        if self._looked is None or time.monotonic() - self._looked > LOOK_S:
            found = ray_cluster.nodes()
            for node in found:
                if node.id not in self._known and self._of_use(node):
                    try:
                        self._known[node.id] = next(iter(asked([node], self._cells)), None)
                    except UsageError:
                        self._known[node.id] = None
            alive = (self._known.get(node.id) for node in found)
            self._nodes = [node for node in alive if node is not None]
            self._looked = time.monotonic()
        return self._nodes

    def _is_alive(self, node: Node) -> bool:
        """Tell whether a node is still there; what was seen of the others is forgotten."""
        self._looked = None
        return any(found.id == node.id for found in ray_cluster.nodes())

    def _of_use(self, node: Node) -> bool:
        return any(self._fits(cell, node) for cell in self._cells) or not self._cells

    def _fits(self, cell: CellSpec, node: Node) -> bool:
        return fits(needs(cell, node, self.parallel), node)


def block_of(cell: CellSpec) -> Block:
    """Return what the cells share whose times are compared with each other."""
    return cell.environment, cell.model, cell.seed


def together(usable: Sequence[Node], node_id: str | None, host_id: str | None) -> Sequence[Node]:
    """Return the nodes that a block's next cell may go to: its own, or any if that is not there.

    Args:
        usable: the nodes that are alive.
        node_id: the node that the block has run on, if it has.
        host_id: the machine that its runs of an earlier driver were on, if there are such.

    Example:
        >>> one, two = (Node(name, name, {}, {"host_id": f"machine {name}"}) for name in "ab")
        >>> [len(together([one, two], "b", None)), len(together([one], "b", None))]
        [1, 1]
        >>> together([one, two], None, "machine b") == [two]
        True
    """
    pinned = [node for node in usable if node.id == node_id]
    same = [node for node in usable if node.facts.get("host_id") == host_id]
    return pinned or same or usable


def _machines(experiment: Experiment) -> dict[Block, str]:
    """Return the machine that the runs of each block in the results folder were on, if any were."""
    found = {}
    for cell in made(experiment.out):
        try:
            status = folder.status(experiment.out, cell) or {}
        except UsageError:
            continue
        if status.get("host_id"):
            found[block_of(cell)] = str(status["host_id"])
    return found


def _too_small(cell: CellSpec, found: Sequence[Node]) -> str:
    wanted = needs(cell, found[0], 1) if found else {"CPU": 1}
    most = {
        name: max((node.has.get(name, 0) for node in found), default=0)
        for name, amount in wanted.items()
        if amount
    }
    texts = [
        ", ".join(f"{name} {amount:.0f}" for name, amount in amounts.items() if amount)
        for amounts in (wanted, most)
    ]
    return (
        f"no node of the Ray cluster has what {cell.algorithm} takes, {texts[0]}; "
        f"{len(found)} nodes are there, and the most that one has is {texts[1] or 'nothing'}"
    )
