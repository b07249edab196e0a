"""The same completions learned from by TRL's trainer and by this project's learner.

The tiny model writes completions once. TRL's trainer is then trained on them by its own
``train()``, which makes several optimiser steps with the same completions, so that the ratios leave
1; each step's weights, loss and gradients are recorded. The learner gets the recorded weights and
the same completions, and makes a step of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import datasets
import torch
import transformers
import trl
from small_world import annotated, small_config, small_model
from torch import Tensor

from bakeoff.training.batch import collate
from bakeoff.training.learner import Learner
from bakeoff.training.ledger import Ledger
from bakeoff.training.meter import Meter
from bakeoff.training.sampling.builtin import sampler_of
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.types import Algorithm, Batch, Completion

PROMPTS = ("7?", "12?", "345?", "6?")
GROUP, LIMIT, MICRO_BATCH = 4, 12, 4
STEPS = 3
RATE = 3e-2

Weights = dict[str, Tensor]


class Update(NamedTuple):
    """One optimiser step: the weights before it, and the loss and its gradients at them.

    ``rows`` are the completions that it learned from, in order.
    """

    weights: Weights
    loss: float
    gradients: Weights
    rows: tuple[int, ...]


def reference_model() -> Any:
    """Return other weights than the policy's first ones, so that no KL is 0."""
    return small_model(seed=1, layers=2).model


def completions(temperature: float = 1.0) -> list[Completion]:
    """Let the small model write; those of one prompt stand next to each other."""
    model = small_model(layers=2)
    prompts = [tuple(model.tokenizer(prompt)["input_ids"]) for prompt in PROMPTS]
    decoding = Decoding(max_new_tokens=LIMIT, temperature=temperature)
    return sampler_of(model).sample(prompts, GROUP, decoding, seed=8)


def drifted(written: Sequence[Completion]) -> list[Completion]:
    """Return the completions as an engine might report them: other log-probabilities."""
    random = Random(0)
    return [
        replace(one, logprobs=tuple(logp + random.gauss(0, 0.4) for logp in one.logprobs))
        for one in written
    ]


def batch_of(written: Sequence[Completion], rewards: Sequence[float]) -> Batch:
    """Return this project's batch of the completions."""
    groups = [index // GROUP for index in range(len(written))]
    return collate(written, rewards, groups, limit=LIMIT, pad_id=0)


def own_updates(
    algorithm: Algorithm, batch: Batch, theirs: Sequence[Update], temperature: float = 1.0
) -> list[Update]:
    """Make one optimiser step of this project's learner for each of TRL's, at the same weights.

    What the loop does before the learner is called (dropping groups) is not done; TRL's trainer
    does not do it either.
    """
    config = small_config(
        minibatches=1,
        micro_batch=MICRO_BATCH,
        max_grad_norm=1e9,
        temperature=temperature,
        group_size=GROUP,
    )
    learner = Learner(small_model(layers=2), algorithm, config, Ledger())
    if learner.reference is not None:
        learner.reference.load_state_dict(reference_model().state_dict())
    meter = Meter("cpu")
    batch = annotated(learner, batch)
    found: list[Weights] = []
    learner.optimizer.register_step_pre_hook(lambda *_: found.append(gradients_of(learner.policy)))
    updates = []
    for weights, _, _, rows in theirs:
        learner.policy.load_state_dict(weights)
        part = batch.rows(torch.tensor(rows))
        metrics = learner.learn(part, seed=0, update=0, meter=meter)
        updates.append(Update(weights, metrics["loss/policy"], found[-1], rows))
    return updates


def gradients_of(model: torch.nn.Module) -> Weights:
    """Return a copy of a model's gradients."""
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


class Recorder(transformers.TrainerCallback):  # type: ignore[misc]
    """Keeps what TRL's trainer is about to step with.

    Attributes:
        updates: what was kept.
        losses: those of the micro-batches since the last step.
        rows: the completions in them.
    """

    def __init__(self, written: Sequence[Completion]) -> None:
        self.updates: list[Update] = []
        self.losses: list[float] = []
        self.rows: list[int] = []
        self.places = {
            (*completion.prompt_ids, *completion.token_ids): index
            for index, completion in enumerate(written)
        }
        assert len(self.places) == len(written)

    def see(self, inputs: Mapping[str, Tensor]) -> None:
        """Note which completions a micro-batch of TRL's is made of."""
        prompts = zip(inputs["prompt_ids"], inputs["prompt_mask"], strict=True)
        for (prompt, mask), tokens in zip(prompts, inputs["completion_ids"], strict=True):
            row = [*prompt[mask > 0].tolist(), *tokens.tolist()]
            self.rows.append(next(self.places[key] for key in _shorter(row) if key in self.places))

    def on_pre_optimizer_step(self, *_: Any, model: torch.nn.Module, **__: Any) -> None:
        """Record the weights and gradients, and the sum of the micro-batches' losses."""
        weights = {name: p.detach().clone() for name, p in model.named_parameters()}
        rows = tuple(self.rows)
        self.updates.append(Update(weights, sum(self.losses), gradients_of(model), rows))
        self.losses.clear()
        self.rows.clear()


def _shorter(row: list[int]) -> Iterator[tuple[int, ...]]:
    """Yield a row and, as long as it ends in padding, the row without the last token."""
    yield tuple(row)
    while row and row[-1] == 0:
        row = row[:-1]
        yield tuple(row)


def trl_updates(
    folder: Path,
    written: Sequence[Completion],
    rewards: Sequence[float],
    settings: Mapping[str, Any],
) -> list[Update]:
    """Train TRL's ``GRPOTrainer`` with some settings on the completions; return its steps.

    If the settings correct for vLLM's log-probabilities, those of the completions are taken for
    them: the trainer is told after it was made that it has that engine, which it never calls.
    """

    def rollout(prompts: list[str], trainer: Any) -> dict[str, Any]:
        assert [prompt.strip() for prompt in prompts] == [p for p in PROMPTS for _ in range(GROUP)]
        return {
            "prompt_ids": [list(c.prompt_ids) for c in written],
            "completion_ids": [list(c.token_ids) for c in written],
            "logprobs": [list(c.logprobs) for c in written],
            "score": list(rewards),
        }

    def reward(score: list[float], **_: Any) -> list[float]:
        return score

    config = trl.GRPOConfig(**{**_common(folder), **settings})
    engine = "vllm_importance_sampling_mode" in settings
    return _trained(trl.GRPOTrainer, config, reward, written, engine=engine, rollout_func=rollout)


def trl_rloo_updates(
    folder: Path,
    written: Sequence[Completion],
    rewards: Sequence[float],
    settings: Mapping[str, Any],
) -> list[Update]:
    """Train TRL's ``RLOOTrainer`` on the completions; return its steps.

    It has no ``rollout_func``: its method that generates is replaced by one that returns them.
    """

    class Trainer(trl.RLOOTrainer):  # type: ignore[misc]
        def _generate_single_turn(self, prompt_ids: list[list[int]], *_: Any) -> Any:
            assert prompt_ids == [list(c.prompt_ids) for c in written]
            return [list(c.token_ids) for c in written]

    def reward(prompts: list[str], **_: Any) -> list[float]:
        return list(rewards)

    config = trl.RLOOConfig(**{**_common(folder), **settings})
    return _trained(Trainer, config, reward, written)


def _common(folder: Path) -> dict[str, Any]:
    return {
        "output_dir": str(folder),
        "num_generations": GROUP,
        "per_device_train_batch_size": MICRO_BATCH,
        "gradient_accumulation_steps": len(PROMPTS) * GROUP // MICRO_BATCH,
        "num_iterations": STEPS,
        "max_steps": STEPS,
        "max_completion_length": LIMIT,
        "learning_rate": RATE,
        "max_grad_norm": 0.0,  # no clipping
        "shuffle_dataset": False,
        "gradient_checkpointing": False,
        "use_cpu": True,
        "bf16": False,
        "report_to": [],
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
    }


def _trained(
    kind: Any,
    config: Any,
    reward: Any,
    written: Sequence[Completion],
    *,
    engine: bool = False,
    **arguments: Any,
) -> list[Update]:
    recorder = Recorder(written)

    class Watched(kind):  # type: ignore[misc]
        def training_step(self, *given: Any, **named: Any) -> Tensor:
            loss: Tensor = super().training_step(*given, **named)
            recorder.losses.append(loss.item())
            return loss

        def _compute_loss(self, model: Any, inputs: Any) -> Tensor:
            recorder.see(inputs)
            loss: Tensor = super()._compute_loss(model, inputs)
            return loss

    model = small_model(layers=2)
    place = Path(config.output_dir) / "model"
    model.model.save_pretrained(place)
    trainer = Watched(
        model=str(place),
        processing_class=model.tokenizer,
        reward_funcs=reward,
        args=config,
        train_dataset=datasets.Dataset.from_list([{"prompt": prompt} for prompt in PROMPTS]),
        callbacks=[recorder],
        **arguments,
    )
    if trainer.ref_model is not None:
        trainer.ref_model.load_state_dict(reference_model().state_dict())
    if engine:
        trainer.use_vllm = True
        trainer._last_loaded_step = 0  # the engine's weights are those of the first step
    trainer.train()
    return recorder.updates
