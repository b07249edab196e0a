"""Where the time of an update goes and how high memory stands in each phase.

Memory is the process's ``VmHWM`` on a CPU: its high-water mark, reset at the start of a phase by
writing to ``/proc/self/clear_refs``. ``ru_maxrss`` would be wrong: a child inherits the mark of a
fat parent. On CUDA it is the allocator's peak. Where there is no ``/proc``, or it may not be reset,
a phase has no peak of its own and the run still has one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")


class OutOfMemory(MemoryError):
    """The process went over the limit that it was given."""


@dataclass
class Phase:
    """What one phase of one update took: seconds, tokens, FLOPs, and its peak in bytes."""

    name: str
    wall_s: float = 0.0
    cpu_s: float = 0.0
    tokens: int = 0
    peak_bytes: int | None = None
    flops: int | None = None


def status_bytes(field: str) -> int | None:
    """Bytes of ``VmHWM`` or ``VmRSS`` of this process; None where there is no ``/proc``."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), None)


class Meter:
    """Times phases and follows the peak; one for a run.

    Attributes:
        peak_bytes: the highest mark of any phase so far, on the device that computes.
        peak_rss_bytes: the same of the process, in main memory.
        on_peak: called with a phase's name when it set a new highest mark.
    """

    def __init__(self, device: str, *, limit_bytes: int | None = None) -> None:
        self.cuda = device == "cuda"
        self.limit_bytes = limit_bytes
        self.peak_bytes = 0
        self.peak_rss_bytes = 0
        self.on_peak: Callable[[str], None] = lambda name: None
        self._phases: dict[str, Phase] = {}
        self._started = (time.perf_counter(), time.process_time())

    def start_update(self) -> None:
        """Forget the phases of the last update and start its clock."""
        self._phases = {}
        self._started = (time.perf_counter(), time.process_time())

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Measure a phase; phases of one name in one update add up.

        Raises:
            OutOfMemory: the peak of the process in this phase was over the limit.
        """
        phase = self._phases.setdefault(name, Phase(name))
        own_mark = self._reset()
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield phase
        finally:
            if self.cuda:
                torch.cuda.synchronize()
            phase.wall_s += time.perf_counter() - wall
            phase.cpu_s += time.process_time() - cpu
            rss = self._note_peak(phase, own_mark)
        if self.limit_bytes is not None and rss > self.limit_bytes:
            raise OutOfMemory(
                f"{rss / 2**20:.0f} MiB in phase '{phase.name}', "
                f"over the limit of {self.limit_bytes / 2**20:.0f} MiB"
            )

    def note_flops(self, spent: Mapping[str, int]) -> None:
        """Add the FLOPs that phases of this update spend, by formula, whether they are over or not.

        Example:
            >>> meter = Meter("cpu")
            >>> meter.note_flops({"rollout": 5})
            >>> meter.finish_update()[0].flops
            5
        """
        for name, flops in spent.items():
            if flops:
                phase = self._phases.setdefault(name, Phase(name))
                phase.flops = (phase.flops or 0) + flops

    def finish_update(self) -> list[Phase]:
        """Return the update's phases; ``other`` is what none of them covers, so they add up."""
        wall = time.perf_counter() - self._started[0]
        cpu = time.process_time() - self._started[1]
        phases = list(self._phases.values())
        rest_s = wall - sum(phase.wall_s for phase in phases)
        rest_cpu_s = cpu - sum(phase.cpu_s for phase in phases)
        return [*phases, Phase("other", max(0.0, rest_s), max(0.0, rest_cpu_s))]

    def _reset(self) -> bool:
        self.peak_rss_bytes = max(self.peak_rss_bytes, status_bytes("VmHWM:") or 0)
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        try:
            CLEAR_REFS.write_text("5")
        except OSError:
            return self.cuda
        return True

    def _note_peak(self, phase: Phase, own_mark: bool) -> int:
        """Take up the phase's peak, of a phase that failed too; return the process's."""
        rss = status_bytes("VmHWM:") or 0
        self.peak_rss_bytes = max(self.peak_rss_bytes, rss)
        peak = torch.cuda.max_memory_allocated() if self.cuda else rss
        if own_mark:
            phase.peak_bytes = max(phase.peak_bytes or 0, peak)
        if peak > self.peak_bytes:
            self.peak_bytes = peak
            self.on_peak(phase.name)
        return rss
