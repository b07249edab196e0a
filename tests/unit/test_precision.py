"""What a run computes in, in each precision: weights, passes, checkpoints, and what it holds."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
from small_world import (
    EvenReplies,
    annotated,
    sampled_batch,
    small_config,
    small_model,
    small_training,
    stopped_and_resumed,
)
from torch.utils._python_dispatch import TorchDispatchMode

from bakeoff.algorithms import make
from bakeoff.comparisons.cell import kept_model
from bakeoff.comparisons.running.grid import cells
from bakeoff.comparisons.settings import experiment_of
from bakeoff.errors import UsageError
from bakeoff.models.loading import load
from bakeoff.training.config import flat, train_config
from bakeoff.training.learner import Learner
from bakeoff.training.ledger import Ledger
from bakeoff.training.loop import Training
from bakeoff.training.meter import Meter
from bakeoff.training.optimizer import trained
from bakeoff.training.scoring import token_logps
from bakeoff.types import Batch, Metrics

FP32, BF16 = torch.float32, torch.bfloat16

METER = Meter("cpu")

KINDS = [
    ("grpo", {}),
    ("grpo:kl_coef=0.04", {}),
    ("ppo", {}),
    ("ppo:critic=shared", {}),
    ("ppo:critic=lora:kl_coef=0.1", {}),
    ("ppo:critic=lora", {"lora_rank": 4}),
    ("grpo:kl_coef=0.04", {"lora_rank": 4}),
    ("grpo", {"match": "kl", "match_target": 0.001}),
    ("sft", {}),
]
"""Critics of each kind, a reference, LoRA policies, matched steps and gold replies."""

EVERY = [
    pytest.param(precision, number, id=f"{precision}-{name}{''.join(knobs)}")
    for precision in ("bf16_autocast", "bf16")
    for number, (name, knobs) in enumerate(KINDS)
]


@functools.cache
def finished(precision: str, number: int) -> tuple[Training, Metrics]:
    """A run of one update, and its metrics."""
    name, knobs = KINDS[number]
    training = small_training(
        name, environment=EvenReplies(), updates=1, precision=precision, **knobs
    )
    return training, [report.metrics for report in training.run()][-1]


def learner_of(precision: str, name: str = "grpo", **knobs: object) -> Learner:
    config = small_config(minibatches=1, precision=precision, **knobs)
    return Learner(small_model(1), make(name), config, Ledger())


def types_of(parameters: object) -> set[torch.dtype]:
    return {weight.dtype for weight in parameters}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("precision", "number"), EVERY)
def test_an_update_of_every_kind_has_a_gradient(precision: str, number: int) -> None:
    training, metrics = finished(precision, number)

    assert training.counters.updates == 1
    assert metrics["grad_norm"] > 0


@pytest.mark.parametrize(("precision", "number"), EVERY)
def test_what_a_run_holds_is_what_is_predicted(precision: str, number: int) -> None:
    training, _ = finished(precision, number)
    held = training.ledger.highest

    for component, n_bytes in training.learner.predicted_bytes().items():
        # buffers of rotary frequencies, and AdamW's counters of steps, are not in the formula
        assert held[component] == pytest.approx(n_bytes, abs=400), component


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", FP32), ("bf16_autocast", BF16), ("bf16", BF16)]
)
def test_sampling_computes_in_the_numbers_of_the_run(precision: str, dtype: torch.dtype) -> None:
    learner = learner_of(precision)
    with learner.sampling():
        logits = learner.policy(torch.tensor([[3, 4]])).logits

    assert logits.dtype == dtype


def test_autocast_leaves_the_weights_in_fp32_and_computes_logits_in_bf16() -> None:
    learner = learner_of("bf16_autocast")
    with learner.passing.in_numbers():
        logits = learner.policy(torch.tensor([[3, 4]])).logits

    assert types_of(learner.policy.parameters()) == {FP32}
    assert logits.dtype == BF16


def logps_in_bf16() -> tuple[Batch, torch.Tensor]:
    """A batch, and the policy's log-probabilities of it under autocast, which are not fp32's."""
    model, batch = small_model(1).model, sampled_batch(small_model(1))
    with torch.no_grad():
        single_BT = token_logps(model, batch)[0]
        with torch.autocast("cpu", BF16):
            half_BT = token_logps(model, batch)[0]
    assert not torch.equal(half_BT, single_BT)
    return batch, half_BT


def test_autocast_is_on_in_the_update() -> None:
    learner = learner_of("bf16_autocast")
    batch, expected_BT = logps_in_bf16()

    metrics = learner.learn(
        annotated(learner, batch._replace(logp_old_BT=expected_BT)), 0, 0, METER
    )

    assert metrics["logp_mismatch/max"] == 0.0


def test_autocast_is_on_in_the_pass_of_the_reference() -> None:
    batch, expected_BT = logps_in_bf16()

    assert torch.equal(
        learner_of("bf16_autocast", "grpo:kl_coef=0.1").reference_logps(batch), expected_BT
    )


def test_in_bf16_all_but_heads_and_adapters_is_bf16() -> None:
    models = learner_of("bf16", "ppo:critic=lora:kl_coef=0.1").models
    assert models.critic is not None

    assert types_of(models.held()["policy"]) == {BF16}
    assert types_of(models.held()["reference"]) == {BF16}
    assert types_of(models.critic.adapter) == types_of(models.critic.head.parameters()) == {FP32}


def test_a_lora_on_a_bf16_base_is_moved_without_masters() -> None:
    learner = learner_of("bf16", lora_rank=4)
    adapter = sum(w.numel() for w in learner.policy.parameters() if w.requires_grad)

    # an fp32 gradient and two fp32 averages of each of its weights, and no master
    assert learner.predicted_bytes()["policy_grads"] == 4 * adapter
    assert learner.predicted_bytes()["policy_optimizer"] == 8 * adapter


def test_rotary_frequencies_stay_in_fp32() -> None:
    loaded, cast = load("tiny", dtype=BF16), load("tiny")
    Learner(cast, make("grpo"), small_config(precision="bf16"), Ledger())

    for model in (loaded.model, cast.model):
        assert types_of(model.parameters()) == {BF16}
        assert types_of(model.buffers()) == {FP32}


class Casts(TorchDispatchMode):
    """Counts how often a matrix is made one of bf16."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        kwargs = kwargs or {}
        self.n += (
            func is torch.ops.aten._to_copy.default
            and kwargs.get("dtype") == BF16
            and isinstance(args[0], torch.nn.Parameter)
        )
        return func(*args, **kwargs)


def casts_of_sampling(passes: int) -> int:
    learner = learner_of("bf16_autocast", lora_rank=4)
    with learner.sampling(), Casts() as casts:
        for _ in range(passes):
            learner.policy(torch.tensor([[3, 4]]))
    return casts.n


def test_a_frozen_weight_is_cast_once_however_many_tokens_are_sampled() -> None:
    # seven matrices of the one layer, and the head
    assert casts_of_sampling(passes=3) == casts_of_sampling(passes=1) == 8


def test_what_was_frozen_while_sampling_is_frozen_after() -> None:
    learner = learner_of("bf16_autocast", lora_rank=4)
    flags = [weight.requires_grad for weight in learner.policy.parameters()]
    with learner.sampling():
        pass

    assert [weight.requires_grad for weight in learner.policy.parameters()] == flags


@pytest.mark.parametrize("precision", ["bf16_autocast", "bf16"])
def test_a_resumed_run_is_the_same_to_the_bit(precision: str, tmp_path: Path) -> None:
    knobs = {"updates": 3, "checkpoint_every": 1, "precision": precision}

    whole, resumed, expected, metrics = stopped_and_resumed(
        lambda: small_training("ppo", environment=EvenReplies(), **knobs), tmp_path, 2
    )

    assert metrics == {update: expected[update] for update in (2, 3)}
    moved = zip(trained(whole.learner.optimizer), trained(resumed.learner.optimizer), strict=True)
    assert all(torch.equal(one, other) for one, other in moved)


def test_a_checkpoint_in_bf16_holds_each_weight_once_in_fp32(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    training = small_training(
        environment=EvenReplies(), updates=1, checkpoint_every=1, precision="bf16"
    )
    list(training.run(tmp_path))
    saved = load_file(tmp_path / "checkpoint" / "policy.safetensors")
    weights = dict(training.learner.policy.named_parameters())

    assert weights.keys() <= saved.keys()
    assert all(torch.equal(saved[name].to(BF16), weights[name]) for name in weights)
    assert any(not torch.equal(saved[name], weights[name].float()) for name in weights)


def test_the_model_that_a_bf16_run_keeps_is_the_one_that_was_evaluated(tmp_path: Path) -> None:
    model = small_model(1)
    learner = Learner(model, make("grpo"), small_config(precision="bf16"), Ledger())
    learner.learn(annotated(learner, sampled_batch(small_model(1))), 0, 0, METER)
    kept_model.keep(tmp_path, model, adapter=None)
    kept = load(str(tmp_path / "model"), dtype=BF16).model

    ids = torch.tensor([[3, 4, 5]])
    assert torch.equal(kept(ids).logits, learner.policy(ids).logits)


def test_precision_is_a_setting_of_its_own() -> None:
    base = {"algorithms": "grpo", "environments": "bakeoff/Arithmetic-v0", "models": "tiny"}
    made = [cells(experiment_of({**base, **more}))[0] for more in ({}, {"precision": "bf16"})]

    # pairwise.csv compares no runs of which this differs, and a folder takes none
    assert made[0].config_sha256 != made[1].config_sha256


def test_a_run_in_fp32_has_the_settings_that_it_had_before_there_was_a_choice() -> None:
    assert not {"precision", "optimizer_bits"} & flat(train_config({})).keys()


def test_a_misspelled_precision_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown precision 'bf61'; did you mean 'bf16'"):
        train_config({"precision": "bf61"})


def test_a_precision_that_is_no_word_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"must be a word, not 16 \(known: fp32, bf16_auto"):
        train_config({"precision": 16})  # as a YAML file may say


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16_autocast", "bf16"])
def test_tiny_learns_in_bf16(precision: str) -> None:
    from bakeoff import envs

    config = train_config(
        {
            "updates": 12,
            "eval_items": 64,
            "eval_every": 12,
            "precision": precision,
            "learning_rate": 2e-4,
            "max_new_tokens": 8,
            "threads": 1,
        }
    )
    training = Training(
        load("tiny"), envs.make("bakeoff/Arithmetic-v0"), make("grpo"), config, seed=0, meter=METER
    )
    scores = [r.eval_metrics["score/mean"] for r in training.run() if r.eval_metrics]

    # in fp32 it goes from 0.38 to about 0.65 in ten updates (docs/lora.md)
    assert scores[-1] > scores[0] + 0.1
