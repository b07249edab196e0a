"""One cell of a comparison: a fresh process that trains one algorithm and writes down what it saw.

``python -m bakeoff.comparisons.cell FOLDER`` reads ``FOLDER/spec.json``, writes the raw tables as
it goes, and ``status.json`` last and atomically: its presence means that the cell ended by itself.
Started again on a folder without one, it goes on from the checkpoint there, or from the beginning.
Where several processes make one run, all run this, and only rank 0 writes tables and status.
"""

from __future__ import annotations

import functools
import json
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.budgets import budget_of
from bakeoff.comparisons.cell import kept_model
from bakeoff.comparisons.cell.asked import Asked, asked
from bakeoff.comparisons.cell.baseline import baseline_bytes
from bakeoff.comparisons.cell.failures import EXIT_CODES, first_line, how_it_failed
from bakeoff.comparisons.cell.parameters import parameter_counts
from bakeoff.comparisons.cell.recorder import Recorder
from bakeoff.comparisons.cell.sizes import foreseen
from bakeoff.comparisons.cell.trackers.tracking import Tracking
from bakeoff.comparisons.cell.usage import Earlier, Usage, columns, memory_rows
from bakeoff.comparisons.running.folder import write_json
from bakeoff.comparisons.running.host import host
from bakeoff.comparisons.running.ranks import (
    end_with_launcher,
    failure_in,
    note_failure,
    rank_here,
    reason,
)
from bakeoff.comparisons.running.room import DISK_FULL
from bakeoff.comparisons.running.share import default_threads
from bakeoff.comparisons.schema import RUNS_COLUMNS, SCHEMA_VERSION
from bakeoff.comparisons.tables import file_hashes
from bakeoff.training.devices.world import World, launched_size, world

if TYPE_CHECKING:
    from bakeoff.envs import TextEnv
    from bakeoff.models.loading import LanguageModel
    from bakeoff.training.config import TrainConfig
    from bakeoff.training.loop import Training
    from bakeoff.training.memory.prediction import Prediction
    from bakeoff.training.meter import Meter
    from bakeoff.training.reports import Report


class Cell:
    """The cell whose folder this is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec: dict[str, Any] = json.loads((folder / "spec.json").read_text())
        self.started = time.perf_counter()
        self.rank = rank_here()
        self.ranks = World()
        self.used: list[Usage] = []
        self.earlier = Earlier()
        self.host = host()
        versions = self.host["versions"]
        self.status: dict[str, Any] = {
            **{k: v for k, v in self.spec.items() if k in RUNS_COLUMNS},
            **{key: fact for key, fact in self.host.items() if key in RUNS_COLUMNS},
            "torch": versions["torch"],
            "transformers": versions["transformers"],
            "schema_version": SCHEMA_VERSION,
            "started_utc": now(),
            "load_avg_start": os.getloadavg()[0],
            "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        }
        self.training: Training | None = None
        self.prediction: Prediction | None = None
        self.tracking: Tracking | None = None

    def run(self) -> int:
        """Train; write ``status.json`` whatever happens short of a kill; return the exit code.

        Where that cannot be written, the exit code alone says that the run is not over.
        """
        end_with_launcher()
        error: Exception | None = None
        ended: dict[str, Any] = {"status": "ok", "exit_code": EXIT_CODES["ok"]}
        for do in (self._train, self.write_memory):
            try:
                do()
            except Exception as caught:
                if error is None:
                    error, ended = caught, self._failed(caught)
                with suppress(OSError):  # the log may be on the disk that is full
                    traceback.print_exc()
        if self.rank == 0:
            self.status |= {
                **ended,
                "ended_utc": now(),
                "wall_s": time.perf_counter() - self.started,
                "files_sha256": file_hashes(self.folder),
            }
            try:
                write_json(self.folder / "status.json", self.status)
            except OSError:
                return DISK_FULL
            if self.tracking is not None:
                self.tracking.close(ok=error is None)
        return int(ended["exit_code"])

    def meter(self, device: str) -> Meter:
        """Return what measures the run."""
        from bakeoff.training.meter import Meter

        return Meter(device, limit_bytes=self.spec.get("memory_limit_bytes"))

    def reports(self, training: Training) -> Iterator[Report]:
        """Train, yielding a report for each update."""
        yield from training.run(self.folder)

    def world(self, model: LanguageModel, environment: TextEnv) -> tuple[LanguageModel, TextEnv]:
        """Return the model and the environment that the run gets: those that were asked for."""
        return model, environment

    def _failed(self, error: Exception) -> dict[str, Any]:
        """Return the columns of a failure: of this rank, or of the one that failed before it."""
        status = how_it_failed(error)
        own: dict[str, Any] = {
            "status": status,
            "exit_code": EXIT_CODES[status],
            "error_type": type(error).__name__,
            "error_message": first_line(error),
        }
        if launched_size() == 1:
            return own
        note_failure(self.folder, {"rank": self.rank, **own})
        cause = failure_in(self.folder) or {"rank": self.rank, **own}
        first = {column: cause[column] for column in own}
        return {**first, "error_message": reason(cause, own["error_message"])}

    def _train(self) -> None:
        from bakeoff.training.checkpoint import saved_updates

        what = self._asked()
        saved = self.ranks.first(saved_updates(self.folder))
        first = 0 if saved is None else saved + 1
        trackers = self.spec.get("trackers", ()) if self.rank == 0 else ()
        self.tracking = Tracking(trackers, self.folder, self.spec, first)
        training = self._set_up(what)
        self.status["setup_s"] = time.perf_counter() - self.started
        self._record(saved, what.config)
        if what.config.checkpoint_every:
            from bakeoff.training.models import ADAPTER

            adapter = ADAPTER if what.config.lora.lora_rank else None
            with training.learner.whole():
                if self.rank == 0:
                    kept_model.keep(self.folder, training.gatherer.language_model, adapter=adapter)

    def _asked(self) -> Asked:
        """Return what ``spec.json`` asks for, everything filled in, and write it down."""
        import torch

        from bakeoff.training.config import flat

        found = asked(self.spec)
        config = found.config
        self.ranks = world(config.device)
        budget = budget_of(self.spec["config"])
        cuda = found.device == "cuda"
        self.status |= {
            "budget_kind": budget.kind,
            "budget_value": budget.value,
            "config_json": json.dumps(flat(config)),
            "semantics_json": json.dumps(dict(found.algorithm.semantics)),
            "device": found.device,
            "device_name": torch.cuda.get_device_name() if cuda else self.host["cpu_model"],
            "n_devices": self.ranks.size,
        }
        return found

    def _set_up(self, what: Asked) -> Training:
        """Load the model, and make the training."""
        import torch

        from bakeoff.models.loading import load
        from bakeoff.training.devices.sharding import loaded_by_first
        from bakeoff.training.ledger import Ledger
        from bakeoff.training.loop import Training
        from bakeoff.training.precision import weight_type

        algorithm, environment, config, device = what
        ledger = Ledger()
        if device == "cpu":
            ledger.set("process_baseline", baseline_bytes([algorithm], config))
        dtype = weight_type(config.precision)
        model = self.spec["model"]
        if config.sharding == "full":
            whole = functools.partial(load, model, device="cpu", dtype=dtype)
            language_model = loaded_by_first(self.ranks, whole)
        else:
            language_model = load(model, device=device, dtype=dtype)
        language_model, environment = self.world(language_model, environment)
        at_work = self.spec.get("parallel", 1) * self.ranks.size
        # of a model that is to be split rank 0 alone has the weights
        weights = self.ranks.first(sum(p.numel() for p in language_model.model.parameters()))
        torch.set_num_threads(config.threads or default_threads(weights, at_work))
        self.status["threads"] = torch.get_num_threads()
        self.training = Training(
            language_model,
            environment,
            algorithm,
            config,
            seed=self.spec["seed"],
            meter=self.meter(device),
            ledger=ledger,
        )
        self.status |= parameter_counts(self.training)
        baseline = ledger.now.get("process_baseline", 0)
        if config.sharding == "none":  # the formula is of whole models
            self.prediction = foreseen(self.training, language_model, environment, baseline)
        if self.prediction is not None:
            self.status["predicted_peak_bytes"] = self.prediction.peak_bytes
        return self.training

    def _record(self, saved: int | None, config: TrainConfig) -> None:
        """Train, on from the checkpoint of ``saved`` updates if there is one, and write it down."""
        assert self.training is not None and self.tracking is not None
        if saved is not None:
            self.earlier = Earlier.of(self.folder)
            self.started -= self.earlier.elapsed_s
        recorder = Recorder(self.folder, self.spec, config.updates, started=self.started)
        if self.rank == 0:
            recorder.keep_until(saved)
        try:
            for report in self.reports(self.training):
                self.used = self.ranks.everyone(self._usage())
                if self.rank == 0:
                    used = columns(self.used, self.earlier)
                    rows = recorder.write(report, int(used["peak_rss_bytes"] or 0), used)
                    self.tracking.show(rows)
                    self.write_memory()
            self.used = self.ranks.everyone(self._usage())
        finally:  # also what an attempt before this one counted, if it left nothing to do
            self.status |= {**self.training.counters.as_dict(), **recorder.totals}

    def predicted(self) -> dict[str, int]:
        """Return the most bytes that each component was foretold to hold, as far as it was."""
        assert self.training is not None
        found = self.training.learner.predicted_bytes()
        return found if self.prediction is None else {**found, **self.prediction.most()}

    def write_memory(self) -> None:
        """Write memory.csv and the peaks, as far as the run came; those of the highest attempt."""
        if self.rank:
            return
        used = [self._usage(), *self.used[1:]]  # of the others as of the last report
        self.status |= columns(used, self.earlier)
        if rows := memory_rows(used, self.earlier):
            Recorder.write_memory(self.folder, self.spec["run_id"], rows)

    def _usage(self) -> Usage:
        """Return what this process has used so far."""
        from bakeoff.training.meter import status_bytes

        if self.training is None:
            return Usage(time.process_time(), {"peak_rss_bytes": status_bytes("VmHWM:") or 0})
        import torch

        meter, ledger = self.training.meter, self.training.ledger
        peaks, method = {"peak_rss_bytes": meter.peak_rss_bytes}, "rss"
        if meter.cuda:
            method = "cuda_allocator"
            peaks["peak_device_allocated_bytes"] = meter.peak_bytes
            peaks["peak_device_reserved_bytes"] = torch.cuda.max_memory_reserved()
        rows = ledger.rows(meter.peak_bytes, self.predicted(), method)
        return Usage(time.process_time(), peaks, rows)


def now() -> str:
    """Return the time, UTC, ISO-8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
