"""TRL's ``GRPOTrainer`` under the clock, with the settings of the other side.

Nothing that it computes is touched: its methods are wrapped by ones that look at the clock, and it
is told that replies end with a token that is not in the vocabulary. What else it is given is in
``settings``; all else is TRL's default.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import datasets
import torch
import transformers
from speed_floors import sizes_of
from speed_own import PHASES, RATE, Job, Run, Times, digest, prepare
from speed_world import Endless, reward

from bakeoff.training.meter import status_bytes


class Clock:
    """Adds up the seconds of named pieces of work; those within others count in both."""

    def __init__(self, device: str) -> None:
        self.cuda = device == "cuda"
        self.spent: dict[str, Times] = {}

    def now(self) -> Times:
        """Return the time and the CPU time of the process, once the device has caught up."""
        if self.cuda:
            torch.cuda.synchronize()
        return Times(time.perf_counter(), time.process_time())

    def add(self, name: str, start: Times) -> None:
        """Count what has passed since ``start``."""
        end, sofar = self.now(), self.spent.get(name, Times(0.0, 0.0))
        self.spent[name] = Times(
            sofar.wall_s + end.wall_s - start.wall_s, sofar.cpu_s + end.cpu_s - start.cpu_s
        )

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        """Count what passes inside."""
        start = self.now()
        yield
        self.add(name, start)

    def update(self) -> dict[str, Times]:
        """Return the phases of the update that ends now, and start the next one.

        ``generated`` is within ``prepared`` (scoring is the rest of it), which is within
        ``stepped`` (the forward and backward passes are the rest); ``applied`` is the optimiser's
        step, and ``whole`` all of the update.
        """
        spent, self.spent = self.spent, {}

        def rest(name: str, *less: str) -> Times:
            wall_s, cpu_s = spent[name]
            return Times(
                wall_s - sum(spent[other].wall_s for other in less),
                cpu_s - sum(spent[other].cpu_s for other in less),
            )

        passes, applied = rest("stepped", "prepared"), spent["applied"]
        found = (
            spent["generated"],
            rest("prepared", "generated"),
            Times(passes.wall_s + applied.wall_s, passes.cpu_s + applied.cpu_s),
            rest("whole", "stepped", "applied"),
        )
        return dict(zip(PHASES, found, strict=True))


def settings(job: Job, folder: str, never: int) -> dict[str, Any]:
    """Return what TRL's ``GRPOConfig`` is given.

    Args:
        job: ``knobs`` has the ``micro_batch`` (completions in one backward pass), and may have
            ``checkpointing``, to recompute the activations.
        folder: for what it writes.
        never: the token that ends a reply.
    """
    shape, micro_batch = job.shape, job.knobs["micro_batch"]
    return {
        "output_dir": folder,
        "max_steps": job.warmup + job.updates,
        "num_generations": shape.group,
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": shape.completions // micro_batch,
        "max_completion_length": shape.completion_tokens,
        "generation_kwargs": {"eos_token_id": [never]},
        "temperature": 1.0,
        "loss_type": "grpo",
        "beta": 0.0,
        "learning_rate": RATE,
        "lr_scheduler_type": "constant",
        "optim": "adamw_torch_fused",
        "bf16": job.precision != "fp32",
        "gradient_checkpointing": bool(job.knobs.get("checkpointing")),
        "shuffle_dataset": False,
        "use_cpu": job.device == "cpu",
        "dataloader_pin_memory": job.device != "cpu",
        "report_to": [],
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
    }


def train(job: Job) -> Run:
    """Train, and return what was measured.

    Raises:
        ModuleNotFoundError: TRL is not installed.
    """
    from trl import GRPOConfig, GRPOTrainer  # before the baseline is taken: no part of training

    model, texts, baseline = prepare(job)
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(**settings(job, folder, model.eos_ids[0]))
        trainer = _trainer(GRPOTrainer, config, model, texts, Clock(job.device))
        trainer.train()
    cuda = job.device == "cuda"
    peak = torch.cuda.max_memory_allocated() if cuda else status_bytes("VmHWM:")
    return Run(
        updates=trainer.updates[job.warmup :],
        baseline_bytes=baseline,
        peak_bytes=peak or 0,
        asked=digest(trainer.asked),
        tokens=trainer.tokens // len(trainer.updates),
        parameters=sum(weight.numel() for weight in model.model.parameters()),
        vocabulary=model.eos_ids[0],
        sizes=sizes_of(model.model, job.precision),
    )


def _trainer(kind: Any, config: Any, model: Endless, texts: Sequence[str], clock: Clock) -> Any:
    """Return TRL's trainer, which keeps the phases of its updates."""

    class Timed(kind):
        """A trainer that looks at the clock."""

        updates: list[dict[str, Times]]
        asked: set[tuple[int, ...]]
        tokens: int

        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            with clock.timing("generated"):
                found = super()._generate(*args, **kwargs)
            self.asked |= {tuple(ids) for ids in found[0]}
            self.tokens += sum(map(len, found[1]))
            return found

        def _generate_and_score_completions(self, *args: Any, **kwargs: Any) -> Any:
            with clock.timing("prepared"):
                return super()._generate_and_score_completions(*args, **kwargs)

        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            with clock.timing("stepped"):
                loss = super().training_step(*args, **kwargs)
            self.stepped = clock.now()
            return loss

    class Updates(transformers.TrainerCallback):  # type: ignore[misc]
        """Tells where an update ends."""

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.start = clock.now()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.add("applied", trainer.stepped)
            clock.add("whole", self.start)
            trainer.updates.append(clock.update())
            self.start = clock.now()

    def rewards(completions: list[str], **_: Any) -> list[float]:
        return [reward(text) for text in completions]

    rows = [{"prompt": text} for text in texts] * config.max_steps
    trainer = Timed(
        model=model.model,
        processing_class=model.tokenizer,
        reward_funcs=rewards,
        args=config,
        train_dataset=datasets.Dataset.from_list(rows),
        callbacks=[Updates()],
    )
    trainer.eos_token_ids = list(model.eos_ids)
    trainer.updates, trainer.asked, trainer.tokens = [], set(), 0
    return trainer
