"""Live bytes of tensors, to the byte, by component.

Every operation of torch passes by a dispatch mode. A storage that is new in a result is added, and
taken away when it is freed: it is told so by a weak reference. Nobody is asked to keep books, and
views, which share a storage, count once.

What is not seen: memory that is no tensor (workspaces of oneDNN and of BLAS, Python's objects, what
an allocator keeps or rounds up to); tensors of other processes, and of other threads (a dispatch
mode belongs to its thread; the one that judges replies has no need of any); and what begins and
ends within one operation.
"""

from __future__ import annotations

import functools
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bakeoff.training.devices.shards import here

Label = Callable[[Tensor, Any, tuple[Any, ...]], str]
"""(tensor, its operation, the operation's arguments) -> component of what nobody has claimed."""


@dataclass(slots=True)
class Block:
    """A piece of memory that is alive.

    Attributes:
        component: whose it is.
        n_bytes: its size.
        claimed: whether somebody said so, and it is not the label of what it was made in.
        held: its end is told of by this reference.
    """

    component: str
    n_bytes: int
    claimed: bool
    held: weakref.KeyedRef[Any, Any]


class Accountant(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the bytes of tensors on one device while it is entered.

    Attributes:
        now: bytes by component.
        total: their sum.
        peak_bytes: the highest total so far.
        at_peak: bytes by component when it was reached; they add up to it.
        peak_phase: the phase in which it was reached.
        highest: the most that each component has held.
        phase: what the run is doing.
        phase_peak: the highest total since ``begin`` was called last.

    Example:
        >>> with Accountant() as accountant:
        ...     weights = torch.zeros(1000)
        ...     accountant.claim("policy_weights", [weights])
        ...     doubled = weights * 2
        >>> dict(accountant.now)
        {'other_tensors': 4000, 'policy_weights': 4000}
        >>> del doubled
        >>> accountant.total, accountant.peak_bytes
        (4000, 8000)
    """

    def __init__(self, device: str = "cpu", label: Label | None = None) -> None:
        """Follow the tensors on a device; unclaimed ones are ``other_tensors`` without a label."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self.label: Label = label or (lambda tensor, operation, arguments: "other_tensors")
        self.now: Counter[str] = Counter()
        self.highest: Counter[str] = Counter()
        self.at_peak: Mapping[str, int] = {}
        self.total = self.peak_bytes = self.phase_peak = 0
        self.phase = self.peak_phase = "other"
        self._blocks: dict[Any, Block] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation, and see what its results hold."""
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            self._see(tensor, functools.partial(self.label, tensor, func, args))
        return result

    def begin(self, phase: str) -> None:
        """Say what the run does from now on."""
        self.phase, self.phase_peak = phase, self.total

    def claim(self, component: str, tensors: Iterable[Tensor | None], *, new: bool = False) -> None:
        """Say whose the memory behind some tensors is.

        Args:
            component: whose.
            tensors: may share memory with each other, and with some that are known already.
            new: only of what nobody has claimed before.
        """
        for tensor in tensors:
            if tensor is None:
                continue
            block = self._see(tensor, lambda: component)
            if block is None or (new and block.claimed):
                continue
            block.claimed = True
            if block.component != component:
                self.now[block.component] -= block.n_bytes
                block.component = component
                self.now[component] += block.n_bytes
                self._mark(component)

    def component(self, tensor: Tensor) -> str | None:
        """Return whose the memory behind a tensor is; None if it is not known."""
        place = _place(tensor, self.device)
        block = self._blocks.get(place[0]) if place else None
        return block.component if block else None

    def _see(self, tensor: Tensor, component: Callable[[], str]) -> Block | None:
        place = _place(tensor, self.device)
        if place is None:
            return None
        key, memory, n_bytes = place
        block = self._blocks.get(key)
        if block is None:
            if not n_bytes:
                return None
            held = weakref.KeyedRef(memory, self._freed, key)
            block = self._blocks[key] = Block(component(), 0, False, held)
        if more := n_bytes - block.n_bytes:
            block.n_bytes = n_bytes
            self.now[block.component] += more
            self.total += more
            self._mark(block.component)
        return block

    def _freed(self, held: Any) -> None:
        block = self._blocks.get(held.key)
        if block is not None and block.held is held:
            del self._blocks[held.key]
            self.now[block.component] -= block.n_bytes
            self.total -= block.n_bytes

    def _mark(self, component: str) -> None:
        """Take note of new highest marks, after a component has grown."""
        self.highest[component] = max(self.highest[component], self.now[component])
        self.phase_peak = max(self.phase_peak, self.total)
        if self.total > self.peak_bytes:
            self.peak_bytes, self.peak_phase = self.total, self.phase
            self.at_peak = {name: n_bytes for name, n_bytes in self.now.items() if n_bytes}


def _tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, tuple | list):
        for one in result:
            yield from _tensors(one)


def _place(tensor: Tensor, device: str) -> tuple[Any, Any, int] | None:
    """Return a key of a tensor's memory, an object that lives as long, and its bytes.

    oneDNN's own tensors have no storage, and their memory is theirs alone. Of a tensor in shards it
    is this rank's part.
    """
    if tensor.device.type != device:
        return None
    tensor = here(tensor)
    if tensor.layout != torch.strided:
        return ("opaque", id(tensor)), tensor, int(torch.ops.mkldnn._nbytes(tensor))
    storage = tensor.untyped_storage()
    return storage._cdata, storage, storage.nbytes()
