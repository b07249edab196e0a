"""An audit: a short run of an algorithm in which every tensor and every operation is counted.

``python -m bakeoff.comparisons.cell --audit FOLDER`` reads and writes the files of a cell, with

- ``memory.csv``: all components by the accountant; they add up to the highest sum of live tensors;
- ``phases.csv``: ``flops`` as counted, and ``peak_bytes`` of live tensors;
- ``status.json``: beside a cell's columns ``peak_phase``, ``flops_counted`` and ``flops_analytic``
  by phase, all updates together, and ``matmul_flops_per_s``, measured here and now.

Replies are as long as they may be, and every group has spread: what is held is then what the
formula foretells. A critic's warm-up is cut to one update, so that the policy learns in the second.
Counting takes time: an audit's own seconds say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bakeoff.comparisons.cell.cell import Cell
from bakeoff.comparisons.cell.recorder import Recorder
from bakeoff.comparisons.schema import COMPONENTS

if TYPE_CHECKING:
    from bakeoff.envs import TextEnv
    from bakeoff.models.loading import LanguageModel
    from bakeoff.training.accounting.audit_meter import AuditMeter
    from bakeoff.training.learner import Learner
    from bakeoff.training.loop import Training
    from bakeoff.training.reports import Report


class Audit(Cell):
    """The cell whose folder this is, counted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.counting: AuditMeter | None = None

    def meter(self, device: str) -> AuditMeter:
        """Return what counts."""
        from bakeoff.training.accounting.audit_meter import AuditMeter

        self.counting = AuditMeter(device, limit_bytes=self.spec.get("memory_limit_bytes"))
        return self.counting

    def world(self, model: LanguageModel, environment: TextEnv) -> tuple[LanguageModel, TextEnv]:
        """Return model and environment, as hungry as can be: it is what the formula foretells."""
        from bakeoff.comparisons.cell.worst_case import Endless, Spread

        hungry = cast("TextEnv", Spread(environment))
        return Endless(model.model, model.tokenizer, model.name), hungry

    def reports(self, training: Training) -> Iterator[Report]:
        """Train and count, yielding a report for each update; then measure the machine's rate."""
        import torch

        from bakeoff.training.accounting.machine_rate import matmul_rate

        assert self.counting is not None
        _shorten_warmup(training.learner)
        with self.counting.counting(training):
            yield from training.run()
        learner = training.learner
        dtype = torch.float32 if learner.config.precision == "fp32" else torch.bfloat16
        self.status |= {
            "flops_counted": dict(self.counting.counted),
            "flops_analytic": dict(self.counting.analytic),
            "matmul_flops_per_s": matmul_rate(learner.policy.device.type, dtype),
        }

    def write_memory(self) -> None:
        """Write memory.csv and the peaks, as far as the run came."""
        super().write_memory()
        if self.training is None or self.counting is None:
            return
        accountant = self.counting.accountant
        self.status["peak_live_tensor_bytes"] = accountant.peak_bytes
        self.status["peak_phase"] = accountant.peak_phase
        if self.prediction is not None:
            self.status["predicted_live_bytes"] = self.prediction.live_bytes
        predicted = self.predicted()
        rows = [
            {
                "component": component,
                "bytes_at_peak": accountant.at_peak.get(component, 0),
                "bytes_max": accountant.highest[component],
                "bytes_predicted": predicted.get(component),
                "method": "accountant",
            }
            for component in COMPONENTS
            if component in accountant.highest
        ]
        Recorder.write_memory(self.folder, self.spec["run_id"], rows)


def _shorten_warmup(learner: Learner) -> None:
    plan = learner.algorithm.critic
    if plan is not None:
        shorter = plan._replace(warmup=min(plan.warmup, 1))
        learner.algorithm = learner.algorithm._replace(critic=shorter)
