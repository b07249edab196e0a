"""A meter that counts: in each phase the highest sum of live tensors, and the operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bakeoff.training.accounting.accountant import Accountant
from bakeoff.training.accounting.flop_counter import FlopCounter
from bakeoff.training.accounting.owners import Labels, owned
from bakeoff.training.loop import Training
from bakeoff.training.meter import Meter, Phase
from bakeoff.training.packing.support import packs


class AuditMeter(Meter):
    """Times, too, but its times are those of counting.

    A phase's ``peak_bytes`` are of live tensors, its ``flops`` counted.

    Attributes:
        accountant: follows the tensors.
        counter: counts the operations.
        counted: FLOPs of each phase so far.
        analytic: the same by formula; evaluation has none.
    """

    def __init__(self, device: str, *, limit_bytes: int | None = None) -> None:
        """Count on a device."""
        super().__init__(device, limit_bytes=limit_bytes)
        self.accountant, self.counter = Accountant(device), FlopCounter()
        self.counted: Counter[str] = Counter()
        self.analytic: Counter[str] = Counter()
        self._labels: Labels | None = None
        self._highest: dict[str, int] = {}

    @contextmanager
    def counting(self, training: Training) -> Iterator[None]:
        """Count what a run does meanwhile."""
        for model in (training.learner.policy, training.learner.reference):
            if model is not None:
                packs(model)  # which is tried out once for each model, and no part of a phase
        with owned(self.accountant, training) as self._labels, self.accountant, self.counter:
            yield

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Measure a phase; see ``Meter``."""
        with super().phase(name) as phase:
            self._begin(name)
            before = self.counter.flops
            try:
                yield phase
            finally:
                flops = self.counter.flops - before
                self.counted[name] += flops
                phase.flops = (phase.flops or 0) + flops
                highest = self._highest.get(name, 0)
                self._highest[name] = max(highest, self.accountant.phase_peak)
                self._begin("other")

    def start_update(self) -> None:
        """Forget the phases of the last update and start its clock."""
        super().start_update()
        self._highest = {}

    def finish_update(self) -> list[Phase]:
        """Return the update's phases."""
        phases = super().finish_update()
        for phase in phases:
            phase.peak_bytes = self._highest.get(phase.name)
        return phases

    def note_flops(self, spent: Mapping[str, int]) -> None:
        """Take the FLOPs by formula to compare with; a phase has those that were counted."""
        self.analytic.update(spent)

    def _begin(self, name: str) -> None:
        self.accountant.begin(name)
        if self._labels is not None:
            self._labels.phase_begins()
