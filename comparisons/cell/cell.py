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
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.cell import kept_model
from bakeoff.comparisons.cell.failures import EXIT_CODES, first_line, how_it_failed
from bakeoff.comparisons.cell.parameters import needs_peft, parameter_counts
from bakeoff.comparisons.cell.recorder import Recorder
from bakeoff.comparisons.running.folder import write_json
from bakeoff.comparisons.running.host import host
from bakeoff.comparisons.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from bakeoff.training.config import TrainConfig
    from bakeoff.training.loop import Training

HOST_COLUMNS = ("host_id", "os", "python", "package_version", "git_sha", "git_dirty")


class Cell:
    """The cell whose folder this is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec: dict[str, Any] = json.loads((folder / "spec.json").read_text())
        self.started = time.perf_counter()
        self.earlier_cpu_s = 0.0
        self.host = host()
        versions = self.host["versions"]
        self.status: dict[str, Any] = {
            **{k: v for k, v in self.spec.items() if k not in ("config", "memory_limit_bytes")},
            **{key: self.host[key] for key in HOST_COLUMNS},
            "torch": versions["torch"],
            "transformers": versions["transformers"],
            "schema_version": SCHEMA_VERSION,
            "started_utc": now(),
            "load_avg_start": os.getloadavg()[0],
        }
        self.training: Training | None = None

    def run(self) -> int:
        """Train; write ``status.json`` whatever happens short of a kill; return the exit code."""
        status, error = "ok", None
        try:
            self._train()
        except Exception as caught:
            status, error = how_it_failed(caught), caught
            traceback.print_exc()
        try:
            self._write_memory()
        except OSError:
            traceback.print_exc()
        self.status |= {
            "status": status,
            "exit_code": EXIT_CODES[status],
            "error_type": type(error).__name__ if error else None,
            "error_message": first_line(error) if error else None,
            "ended_utc": now(),
            "wall_s": time.perf_counter() - self.started,
            "cpu_s": self.earlier_cpu_s + time.process_time(),
        }
        write_json(self.folder / "status.json", self.status)
        return EXIT_CODES[status]

    def _train(self) -> None:
        import torch

        from bakeoff import algorithms, envs, models
        from bakeoff.models.loading import load
        from bakeoff.training.checkpoint import saved_updates
        from bakeoff.training.config import flat, train_config
        from bakeoff.training.ledger import Ledger
        from bakeoff.training.loop import Training
        from bakeoff.training.meter import Meter, status_bytes
        from bakeoff.training.models import ADAPTER
        from bakeoff.training.precision import weight_type
        from bakeoff.training.sampling import vllm_engine

        config = train_config(self.spec["config"])
        device = config.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        environment = envs.make(self.spec["environment"])
        # another engine's log-probabilities are not the training model's
        corrected = config.sampler != "builtin"
        algorithm = algorithms.make(self.spec["algorithm"], corrected=corrected)
        config = self._resolved(config, environment.reply_tokens, models)
        self.status |= {
            "budget_kind": "updates",
            "budget_value": config.updates,
            "config_json": json.dumps(flat(config)),
            "semantics_json": json.dumps(dict(algorithm.semantics)),
            "device": device,
            "device_name": torch.cuda.get_device_name()
            if device == "cuda"
            else self.host["cpu_model"],
            "n_devices": 1,
        }
        ledger = Ledger()
        if device == "cpu":
            import transformers.modeling_utils  # noqa: F401  (part of the baseline, not of the model)

            if needs_peft(algorithm, config):
                import peft  # noqa: F401
            if config.optimizer.optimizer_bits == 8:
                import bitsandbytes  # noqa: F401
            if config.sampler == "vllm":
                vllm_engine.library()
            ledger.set("process_baseline", status_bytes("VmRSS:") or 0)
        dtype = weight_type(config.precision)
        language_model = load(self.spec["model"], device=device, dtype=dtype)
        torch.set_num_threads(config.threads or default_threads(language_model.model))
        self.status["threads"] = torch.get_num_threads()
        meter = Meter(device, limit_bytes=self.spec.get("memory_limit_bytes"))
        self.training = Training(
            language_model,
            environment,
            algorithm,
            config,
            seed=self.spec["seed"],
            meter=meter,
            ledger=ledger,
        )
        self.status |= parameter_counts(self.training)
        self.status["setup_s"] = time.perf_counter() - self.started
        saved = saved_updates(self.folder)
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
            for report in self.training.run(self.folder):
                recorder.write(report, self.training.meter.peak_rss_bytes)
                self._write_memory()
        finally:  # also what an attempt before this one counted, if it left nothing to do
            self.status |= {**self.training.counters.as_dict(), **recorder.totals}
        if config.checkpoint_every:
            adapter = ADAPTER if config.lora.lora_rank else None
            kept_model.keep(self.folder, language_model, adapter=adapter)

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
        """Count the time that attempts before this one took, lost work included."""
        try:
            earlier = json.loads((self.folder / "progress.json").read_text())
        except FileNotFoundError:
            return
        self.started -= earlier["elapsed_s"]
        self.earlier_cpu_s = earlier["cpu_s"]

    def _write_memory(self) -> None:
        """Write memory.csv and the peaks, as far as the run came."""
        from bakeoff.training.meter import status_bytes

        if self.training is None:
            self.status["peak_rss_bytes"] = status_bytes("VmHWM:")
            return
        import torch

        meter, ledger = self.training.meter, self.training.ledger
        self.status["peak_rss_bytes"] = meter.peak_rss_bytes or None
        method = "rss"
        if meter.cuda:
            method = "cuda_allocator"
            self.status["peak_device_allocated_bytes"] = meter.peak_bytes
            self.status["peak_device_reserved_bytes"] = torch.cuda.max_memory_reserved()
        if meter.peak_bytes:
            predicted = self.training.learner.predicted_bytes()
            rows = ledger.rows(meter.peak_bytes, predicted, method)
            Recorder.write_memory(self.folder, self.spec["run_id"], rows)


def default_threads(model: Any) -> int:
    """Return how many CPU threads suit a model: one if it is small, else all that may be used.

    Below some ten million parameters the threads of an operation wait for each other longer than
    they work, and on a machine that does anything else besides, much longer.
    """
    small = sum(p.numel() for p in model.parameters()) < 10_000_000
    return 1 if small else len(os.sched_getaffinity(0))


def now() -> str:
    """Return the time, UTC, ISO-8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
