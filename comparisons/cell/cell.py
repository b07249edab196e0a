"""One cell of a comparison: a fresh process that trains one algorithm and writes down what it saw.

``python -m bakeoff.comparisons.cell FOLDER`` reads ``FOLDER/spec.json``, writes the raw tables as
it goes, and ``status.json`` last and atomically: its presence means that the cell ended by itself.
Started again on a folder without one, it goes on from the checkpoint there, or from the beginning.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bakeoff.comparisons.budgets import budget_of
from bakeoff.comparisons.cell import kept_model
from bakeoff.comparisons.cell.baseline import baseline_bytes
from bakeoff.comparisons.cell.failures import EXIT_CODES, first_line, how_it_failed
from bakeoff.comparisons.cell.parameters import parameter_counts
from bakeoff.comparisons.cell.recorder import Recorder
from bakeoff.comparisons.cell.sizes import foreseen
from bakeoff.comparisons.cell.trackers.tracking import Tracking
from bakeoff.comparisons.running.folder import write_json
from bakeoff.comparisons.running.host import host
from bakeoff.comparisons.running.room import DISK_FULL
from bakeoff.comparisons.running.share import threads
from bakeoff.comparisons.schema import RAW_TABLES, RUNS_COLUMNS, SCHEMA_VERSION
from bakeoff.comparisons.tables import file_hashes, read_rows

if TYPE_CHECKING:
    from bakeoff.envs import TextEnv
    from bakeoff.models.loading import LanguageModel
    from bakeoff.training.config import TrainConfig
    from bakeoff.training.loop import Training
    from bakeoff.training.memory.prediction import Prediction
    from bakeoff.training.meter import Meter
    from bakeoff.training.reports import Report
    from bakeoff.types import Algorithm


class Asked(NamedTuple):
    """What a cell is to run, its settings resolved."""

    algorithm: Algorithm
    environment: TextEnv
    config: TrainConfig
    device: str


class Cell:
    """The cell whose folder this is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec: dict[str, Any] = json.loads((folder / "spec.json").read_text())
        self.started = time.perf_counter()
        self.earlier_cpu_s = 0.0
        self.earlier_peak_bytes = 0
        self.earlier_memory: list[dict[str, str]] = []
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
        status, error = "ok", None
        for do in (self._train, self.write_memory):
            try:
                do()
            except Exception as caught:
                if error is None:
                    status, error = how_it_failed(caught), caught
                with suppress(OSError):  # the log may be on the disk that is full
                    traceback.print_exc()
        self.status |= {
            "status": status,
            "exit_code": EXIT_CODES[status],
            "error_type": type(error).__name__ if error else None,
            "error_message": first_line(error) if error else None,
            "ended_utc": now(),
            "wall_s": time.perf_counter() - self.started,
            "cpu_s": self.earlier_cpu_s + time.process_time(),
            "files_sha256": file_hashes(self.folder),
        }
        try:
            write_json(self.folder / "status.json", self.status)
        except OSError:
            return DISK_FULL
        if self.tracking is not None:
            self.tracking.close(ok=status == "ok")
        return EXIT_CODES[status]

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

    def _train(self) -> None:
        from bakeoff.training.checkpoint import saved_updates

        asked = self._asked()
        saved = saved_updates(self.folder)
        first = 0 if saved is None else saved + 1
        self.tracking = Tracking(self.spec.get("trackers", ()), self.folder, self.spec, first)
        language_model = self._set_up(asked)
        self.status["setup_s"] = time.perf_counter() - self.started
        self._record(saved, asked.config)
        if asked.config.checkpoint_every:
            from bakeoff.training.models import ADAPTER

            adapter = ADAPTER if asked.config.lora.lora_rank else None
            kept_model.keep(self.folder, language_model, adapter=adapter)

    def _asked(self) -> Asked:
        """Return what ``spec.json`` asks for, everything filled in, and write it down."""
        import torch

        from bakeoff import algorithms, envs, models
        from bakeoff.training.config import flat, train_config

        config = train_config(self.spec["config"])
        device = config.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        environment = envs.make(self.spec["environment"])
        # another engine's log-probabilities are not the training model's
        corrected = config.sampler != "builtin"
        algorithm = algorithms.make(self.spec["algorithm"], corrected=corrected)
        config = self._resolved(config, environment.reply_tokens, models)
        budget = budget_of(self.spec["config"])
        cuda = device == "cuda"
        self.status |= {
            "budget_kind": budget.kind,
            "budget_value": budget.value,
            "config_json": json.dumps(flat(config)),
            "semantics_json": json.dumps(dict(algorithm.semantics)),
            "device": device,
            "device_name": torch.cuda.get_device_name() if cuda else self.host["cpu_model"],
            "n_devices": 1,
        }
        return Asked(algorithm, environment, config, device)

    def _set_up(self, asked: Asked) -> LanguageModel:
        """Load the model, which is returned, and make the training."""
        import torch

        from bakeoff.models.loading import load
        from bakeoff.training.ledger import Ledger
        from bakeoff.training.loop import Training
        from bakeoff.training.precision import weight_type

        algorithm, environment, config, device = asked
        ledger = Ledger()
        if device == "cpu":
            ledger.set("process_baseline", baseline_bytes([algorithm], config))
        dtype = weight_type(config.precision)
        language_model = load(self.spec["model"], device=device, dtype=dtype)
        language_model, environment = self.world(language_model, environment)
        own_threads = default_threads(language_model.model, self.spec.get("parallel", 1))
        torch.set_num_threads(config.threads or own_threads)
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
        self.prediction = foreseen(self.training, language_model, environment, baseline)
        if self.prediction is not None:
            self.status["predicted_peak_bytes"] = self.prediction.peak_bytes
        return language_model

    def _record(self, saved: int | None, config: TrainConfig) -> None:
        """Train, on from the checkpoint of ``saved`` updates if there is one, and write it down."""
        assert self.training is not None and self.tracking is not None
        if saved is not None:
            self._take_up_earlier_attempts()
        recorder = Recorder(
            self.folder,
            self.spec,
            config.updates,
            started=self.started,
            earlier_cpu_s=self.earlier_cpu_s,
        )
        recorder.keep_until(saved)
        try:
            for report in self.reports(self.training):
                rows = recorder.write(report, self._peak_rss_bytes())
                self.tracking.show(rows)
                self.write_memory()
        finally:  # also what an attempt before this one counted, if it left nothing to do
            self.status |= {**self.training.counters.as_dict(), **recorder.totals}

    def _resolved(self, config: TrainConfig, reply_tokens: int, models: Any) -> TrainConfig:
        """Fill in what depends on the model and the environment."""
        sampling, optimizer = config.sampling, config.optimizer
        if sampling.max_new_tokens is None:
            sampling = replace(sampling, max_new_tokens=reply_tokens)
        if optimizer.learning_rate is None:
            from bakeoff.training.models import LORA_RATE

            rate = models.default_learning_rate(self.spec["model"])
            rate *= LORA_RATE if config.lora.lora_rank else 1.0
            optimizer = replace(optimizer, learning_rate=rate)
        return replace(config, sampling=sampling, optimizer=optimizer)

    def _take_up_earlier_attempts(self) -> None:
        """Count the time of the attempts before this one, lost work included, and their peaks."""
        try:
            earlier = json.loads((self.folder / "progress.json").read_text())
        except FileNotFoundError:
            return
        self.started -= earlier["elapsed_s"]
        self.earlier_cpu_s = earlier["cpu_s"]
        self.earlier_peak_bytes = earlier["peak_rss_bytes"] or 0
        self.earlier_memory = read_rows(self.folder / "memory.csv", RAW_TABLES["memory.csv"])

    def _peak_rss_bytes(self) -> int:
        assert self.training is not None
        return max(self.training.meter.peak_rss_bytes, self.earlier_peak_bytes)

    def predicted(self) -> dict[str, int]:
        """Return the most bytes that each component was foretold to hold, as far as it was."""
        assert self.training is not None
        found = self.training.learner.predicted_bytes()
        return found if self.prediction is None else {**found, **self.prediction.most()}

    def write_memory(self) -> None:
        """Write memory.csv and the peaks, as far as the run came; those of the highest attempt."""
        from bakeoff.training.meter import status_bytes

        if self.training is None:
            self.status["peak_rss_bytes"] = status_bytes("VmHWM:")
            return
        import torch

        meter, ledger = self.training.meter, self.training.ledger
        self.status["peak_rss_bytes"] = self._peak_rss_bytes() or None
        method = "rss"
        if meter.cuda:
            method = "cuda_allocator"
            self.status["peak_device_allocated_bytes"] = meter.peak_bytes
            self.status["peak_device_reserved_bytes"] = torch.cuda.max_memory_reserved()
        earlier = sum(int(row["bytes_at_peak"] or 0) for row in self.earlier_memory)
        if meter.peak_bytes > earlier:
            rows = ledger.rows(meter.peak_bytes, self.predicted(), method)
            Recorder.write_memory(self.folder, self.spec["run_id"], rows)


def default_threads(model: Any, parallel: int = 1) -> int:
    """Return how many CPU threads suit a model: one if it is small, else all that may be used.

    Where several cells run at a time, ``parallel`` of them, each has its share.

    Below some ten million parameters the threads of an operation wait for each other longer than
    they work, and on a machine that does anything else besides, much longer.
    """
    small = sum(p.numel() for p in model.parameters()) < 10_000_000
    return 1 if small else threads(0, parallel)


def now() -> str:
    """Return the time, UTC, ISO-8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
