"""What a run will hold, by formula: derived by hand, and growing with everything that it holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from bakeoff.training.config import train_config
from bakeoff.training.memory import activations, prediction, sampling
from bakeoff.training.memory.prediction import models_of, predicted
from bakeoff.training.memory.process import HOLES, LIBRARIES
from bakeoff.training.memory.sizes import ModelSizes, model_config, model_sizes
from bakeoff.training.memory.workload import Lengths, Machine, Needs, Run, backward_piece
from bakeoff.training.models import CRITIC_RANK
from bakeoff.training.packing import logps, products
from bakeoff.training.sampling import cache, packed

ONE_LAYER = ModelSizes(
    layers=1, hidden=2, inner=4, query=2, key=2, heads=1, vocabulary=10, context=64
)
FEW_WORDS = dataclasses.replace(ONE_LAYER, vocabulary=2)
"""One whose logits are never the most that it holds."""

KNOBS = {
    "prompts_per_update": 2,
    "group_size": 4,
    "minibatches": 1,
    "micro_batch": 64,
    "eval_items": 1,
    "max_new_tokens": 8,
}


def a_run(
    needs: Needs | None = None, sizes: ModelSizes = ONE_LAYER, prompt: int = 5, **knobs: Any
) -> Run:
    config = train_config({**KNOBS, **knobs})
    completion = config.sampling.max_new_tokens or 0
    return Run(sizes, needs or Needs(), config, Lengths(prompt, prompt, completion))


@pytest.mark.parametrize(
    ("knobs", "optimizer"),
    [
        # AdamW's two averages
        ({}, 8),
        # 8-bit averages of tensors below 4,096 numbers stay in fp32
        ({"optimizer_bits": 8}, 8),
        # and an fp32 master
        ({"precision": "bf16"}, 12),
    ],
)
def test_the_models_hold_what_their_parameters_take(
    knobs: Mapping[str, Any], optimizer: int
) -> None:
    # embeddings 20; q, k, v, o 4 each; gate, up, down 8 each; three norms of 2
    numbers = 20 + 4 * 4 + 3 * 8 + 3 * 2
    weight = 2 if "precision" in knobs else 4
    # the critic: the same backbone, which is all, as the head is the embeddings; and a head of 3
    head = 3

    found = models_of(a_run(Needs(critic="separate", reference=True), **knobs))

    assert found == {
        "policy_weights": weight * numbers,
        "policy_grads": 4 * numbers,
        "policy_optimizer": optimizer * numbers,
        "critic_weights": weight * numbers + 4 * head,
        "critic_grads": 4 * (numbers + head),
        "critic_optimizer": optimizer * numbers + 8 * head,
        "reference_weights": weight * numbers,
    }


def test_an_adapter_alone_has_gradients_and_averages() -> None:
    # rank 2 beside q, k, v, o (2 x 2), gate, up (4 x 2) and down (2 x 4): 2 * (4 * 4 + 3 * 6)
    adapter = 2 * (4 * 4 + 3 * 6)

    found = models_of(a_run(Needs(reference=True), lora_rank=2))

    assert found["policy_weights"] == 4 * (66 + adapter)
    assert found["policy_grads"] == 4 * adapter
    assert found["policy_optimizer"] == 8 * adapter
    assert "reference_weights" not in found


def test_the_activations_of_an_update_are_those_of_its_tokens() -> None:
    # 2 prompts of 5 tokens, 8 completions of which 7 tokens are read: 66 tokens, 64 counted
    tokens, counted = 2 * 5 + 8 * 7, 8 * 8
    # a layer: 4 * (6 H + 3 A + 2 K + 4 I + heads + 2); the last norm: 4 * (3 H + 1)
    kept = tokens * (4 * (12 + 6 + 4 + 16 + 3) + 4 * (6 + 1)) + counted * 4 * 2
    # the last layer's turn: gradients of its output, twice, and of the gated product
    turning = tokens * 4 * (2 * 2 + 4)

    update = predicted(a_run(sizes=FEW_WORDS)).phases["update_policy"]

    # the output layer's gradient is there already: 2 x 2 numbers
    assert (update["activations"], update["policy_grads"]) == (kept + turning, 4 * 4)


def test_gradients_of_earlier_pieces_are_there_while_the_next_one_passes() -> None:
    # of 8 completions 2 pass at a time: all 50 gradients, and those of the output layer
    update = predicted(a_run(sizes=FEW_WORDS, micro_batch=2)).phases["update_policy"]

    assert update["policy_grads"] == 4 * (50 + 4)


def test_logits_are_held_some_at_a_time() -> None:
    # 64 counted tokens of 10 words: shifted logits and their exponentials, in fp32
    update = predicted(a_run()).phases["update_policy"]

    assert update["logits"] == 64 * 10 * 4 * 2
    # ten million of them would be 400 MB twice over; 2**24 numbers are held, three times
    assert activations.logits_forward(ONE_LAYER, 10**7, "fp32") <= 3 * 4 * activations.LOGITS


def test_the_cache_holds_prompts_once_and_a_row_for_each_completion() -> None:
    # keys and values of width 2: 2 prompts of 5 tokens, 8 rows of 7
    rollout = predicted(a_run()).phases["rollout"]

    assert rollout["kv_cache"] == 2 * 4 * 2 * (2 * 5 + 8 * 7)


def test_a_process_holds_libraries_and_holes_beside_its_tensors() -> None:
    run = dataclasses.replace(a_run(), machine=Machine(baseline=1000))
    tensors = predicted(a_run())
    most = max(found.get("activations", 0) for found in tensors.phases.values())

    found = predicted(run)

    assert found.live_bytes == tensors.peak_bytes
    assert found.peak_bytes == tensors.peak_bytes + 1000 + LIBRARIES + int(HOLES * most)


def test_the_components_of_a_phase_are_never_negative_and_the_peak_is_their_sum() -> None:
    every = Needs(critic="separate", reference=True, corrected=True)
    for precision in ("fp32", "bf16", "bf16_autocast"):
        found = predicted(a_run(every, precision=precision, match="norm", match_target=1.0))
        assert all(n >= 0 for phase in found.phases.values() for n in phase.values())
        assert found.peak_bytes == max(sum(phase.values()) for phase in found.phases.values())
        names = {"values", "ref_logprob", "old_logprob", "update_policy", "update_critic"}
        assert names | {"rollout", "eval"} == found.phases.keys()


@pytest.mark.parametrize("needs", [Needs(), Needs(critic="separate", reference=True)])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "bf16_autocast"])
@pytest.mark.parametrize(
    "knob",
    [
        "prompts_per_update",
        "group_size",
        "max_new_tokens",
        "micro_batch",
        "eval_items",
        "lora_rank",
    ],
)
def test_the_peak_never_falls_as_a_setting_grows(needs: Needs, precision: str, knob: str) -> None:
    tiny = model_sizes(model_config("tiny") or {})
    assert tiny is not None
    values = [1, 2, 3, 5, 8, 13, 21, 34]
    if knob == "micro_batch":  # where a step is one piece, no gradients are carried along
        values = values[:3]
    peaks = [
        predicted(a_run(needs, tiny, precision=precision, **{knob: value})).peak_bytes
        for value in values
    ]

    assert peaks == sorted(peaks)


@pytest.mark.parametrize(
    "size", ["layers", "hidden", "inner", "query", "key", "heads", "vocabulary"]
)
def test_the_peak_never_falls_as_a_model_grows(size: str) -> None:
    small = dataclasses.replace(ONE_LAYER, layers=2)
    larger = dataclasses.replace(small, **{size: 2 * getattr(small, size)})

    assert predicted(a_run(sizes=larger)).peak_bytes > predicted(a_run(sizes=small)).peak_bytes


def test_a_bound_on_activations_bounds_them() -> None:
    # 1e-6 GiB: 1,074 bytes, 6 tokens of 164; a completion and its prompt have 12 in any case
    config = train_config({**KNOBS, "activation_gib": 1e-6})
    lengths = Lengths(5, 5, 8)

    piece = backward_piece(config, Needs(), lengths, after=False, most=1e-6 * 2**30 / 164)

    assert (piece.tokens, piece.alone) == (12, False)


def test_layers_that_run_twice_keep_their_inputs_only() -> None:
    sizes = dataclasses.replace(ONE_LAYER, layers=10)
    # the inputs of ten layers, 4 * 2 bytes each, and one layer as it is when its turn comes
    again = 10 * 8 + activations.kept_by_layer(sizes, "fp32")

    assert activations.kept_by_layers(sizes, "fp32", "layers") == again


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        ("llama", {}),
        ("llama", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
        ("mistral", {"sliding_window": None}),
        ("qwen2", {}),
        ("qwen3", {"head_dim": 4}),
    ],
)
def test_sizes_read_off_a_configuration_are_those_of_the_model(
    kind: str, own: Mapping[str, Any]
) -> None:
    config = AutoConfig.for_model(
        kind,
        vocab_size=50,
        hidden_size=16,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        **own,
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)

    sizes = model_sizes(config.to_dict())

    assert sizes is not None
    held = sum(weight.numel() for weight in model.parameters())
    assert sum(weight.numbers for weight in sizes.weights()) == held


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "gpt2"},
        {"model_type": "mistral", "sliding_window": 4096},
        {"model_type": "llama", "layer_types": ["full_attention", "sliding_attention"]},
    ],
)
def test_nothing_is_foretold_of_models_of_another_shape(config: Mapping[str, Any]) -> None:
    assert model_sizes(config) is None


def test_the_formulas_constants_are_those_of_the_code() -> None:
    assert activations.LOGITS == logps.LOGITS
    assert sampling.SMALLEST == products.SMALLEST
    assert sampling.PREFILL_TOKENS == packed.PREFILL_TOKENS
    assert (sampling.GROWTH, sampling.FIRST_TOKENS) == (cache.GROWTH, cache.FIRST_TOKENS)
    assert prediction.CRITIC_RANK == CRITIC_RANK
