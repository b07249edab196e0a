"""The nodes of a Ray cluster: which there are, what they have, whether their bakeoff is ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bakeoff.comparisons.running.checks import last_line
from bakeoff.comparisons.running.grid import CellSpec
from bakeoff.comparisons.running.launchers.ray_node import CellOnNode
from bakeoff.comparisons.running.ranks import processes
from bakeoff.errors import UsageError
from bakeoff.plugins import parse_spec

ASK_S = 600.0
"""Seconds that nodes have to answer what they are; a model may have to be downloaded there."""


@dataclass(frozen=True)
class Node:
    """A node that is alive.

    Attributes:
        id: Ray's name for it.
        name: its address, for people.
        has: its resources by Ray's names, in all: CPU, GPU, memory (bytes).
        facts: its machine, as ``bakeoff.comparisons.running.host`` gives it.
    """

    id: str
    name: str
    has: Mapping[str, float]
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)


def nodes() -> list[Node]:
    """Return the nodes of the cluster that are alive."""
    import ray

    return [
        Node(found["NodeID"], found["NodeManagerAddress"], found["Resources"])
        for found in ray.nodes()
        if found["Alive"]
    ]


def needs(cell: CellSpec, node: Node, parallel: int) -> dict[str, float]:
    """Return what a cell takes of a node while it is at work there, by Ray's names.

    Processor cores are its threads, for each of its processes; without a number of threads it is
    the node's share for each of the ``parallel`` cells that may be there at a time. One that may
    take a GPU takes one for each process where there are any.

    Example:
        >>> from bakeoff.comparisons.running.grid import cells, plan
        >>> node = Node("1f", "10.0.0.5", {"CPU": 16.0})
        >>> needs(cells(plan(algorithms=["grpo"], threads=3))[0], node, 1)
        {'CPU': 3, 'GPU': 0, 'memory': 0}
        >>> needs(cells(plan(algorithms=["grpo"]))[0], node, 2)["CPU"]
        8
    """
    ranks, threads = processes(cell), int(cell.config["threads"])
    share = max(1, int(node.has.get("CPU", 0)) // parallel)
    wanted = {"cuda": math.inf, "auto": node.has.get("GPU", 0)}.get(cell.config["device"], 0)
    return {
        "CPU": threads * ranks or share,
        "GPU": min(wanted, ranks),
        "memory": (cell.memory_limit_bytes or 0) * ranks,
    }


def fits(wanted: Mapping[str, float], node: Node) -> bool:
    """Tell whether a node that does nothing else has what is wanted."""
    return all(amount <= node.has.get(name, 0) for name, amount in wanted.items())


def shipped(cells: Sequence[CellSpec]) -> dict[str, bytes]:
    """Return the files of the user's own that cells name by a place below this folder."""
    specs = (name for cell in cells for name in (cell.algorithm, cell.environment))
    places = {parse_spec(name).target.partition(":")[0] for name in specs}
    below = (Path(place) for place in sorted(places) if place.endswith(".py"))
    return {
        path.as_posix(): path.read_bytes()
        for path in below
        if not path.is_absolute() and ".." not in path.parts and path.is_file()
    }


def actor_on(node: Node, files: Mapping[str, bytes], takes: Mapping[str, float]) -> Any:
    """Return an actor on a node that holds these resources, for a cell or a question."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    made = ray.remote(CellOnNode).options(
        num_cpus=takes.get("CPU", 0),
        num_gpus=takes.get("GPU", 0),
        memory=takes.get("memory", 0) or None,
        max_restarts=0,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
    )
    return made.remote(files)


def asked(found: Sequence[Node], cells: Sequence[CellSpec]) -> list[Node]:
    """Return those nodes that are still there, with their facts.

    Args:
        found: the nodes.
        cells: what they are to run.

    Raises:
        UsageError: a node has no bakeoff, or other code, versions or files than there are here.
    """
    import ray

    distinct = {(one.algorithm, one.environment, one.model): one for one in cells}
    files = shipped(cells)
    actors = [actor_on(node, files, {}) for node in found]
    answers = [actor.facts.remote(list(distinct.values())) for actor in actors]
    ray.wait(answers, num_returns=len(answers), timeout=ASK_S)
    known = []
    for node, actor, answer in zip(found, actors, answers, strict=True):
        try:
            facts, differing = ray.get(answer, timeout=0)
        except ray.exceptions.RayError as error:
            if any(node.id == other.id for other in nodes()):
                why = last_line(str(error))
                raise UsageError(f"the Ray node {node.name} cannot run bakeoff: {why}") from error
            continue
        finally:
            ray.kill(actor)
        if differing:
            raise UsageError(
                f"the Ray node {node.name} has other code, versions or files than this machine: "
                f"{'; '.join(differing)}; install the same there"
            )
        known.append(Node(node.id, node.name, node.has, facts))
    return known
