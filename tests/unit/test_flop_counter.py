"""Counted operations are those of the formula, for every kind of attention."""

from __future__ import annotations

import pytest
import torch
from packed_world import model_of
from small_world import EvenReplies, small_training
from transformers import PreTrainedModel

from bakeoff.training.accounting.audit_meter import AuditMeter
from bakeoff.training.accounting.flop_counter import FlopCounter
from bakeoff.training.batch import collate
from bakeoff.training.flops import flop_model
from bakeoff.training.packing.products import fast_products
from bakeoff.training.scoring import token_logps
from bakeoff.types import Batch, Completion

TOKENS = 12

ANGLES = 1e-3
"""Rotary angles are made by a product in some versions of transformers: a share below this."""


def whole(attention: str) -> PreTrainedModel:
    model = model_of("llama", num_key_value_heads=6)
    model.config._attn_implementation = attention
    return model


def group(prompt: int, completions: int, tokens: int) -> Batch:
    """One prompt and completions of equal length."""
    made = Completion((3,) * prompt, (4,) * tokens, (0.0,) * tokens, False, "")
    return collate([made] * completions, [0.0] * completions, [0] * completions, limit=9, pad_id=0)


def counted(model: PreTrainedModel, *, backward: bool) -> int:
    with FlopCounter() as counter:
        output = model(input_ids=torch.ones(1, TOKENS, dtype=torch.long), use_cache=False)
        if backward:
            output.logits.sum().backward()
    return counter.flops


def parts(model: PreTrainedModel) -> tuple[int, int]:
    """Operations of a forward pass in matrices, and for a pair that attends."""
    flops = flop_model(model)
    matrices = 2 * (flops.body_weights + flops.head_weights) * TOKENS
    return matrices, 4 * flops.attention_width


def test_eager_attention_counts_all_pairs_and_twice_as_much_backward() -> None:
    model = whole("eager")
    matrices, pair = parts(model)

    once = matrices + pair * TOKENS * TOKENS
    assert counted(model, backward=False) == pytest.approx(once, rel=ANGLES)
    assert counted(model, backward=True) == pytest.approx(3 * once, rel=ANGLES)


def test_the_flash_kernel_of_the_cpu_counts_pairs_that_attend_and_scores_again_backward() -> None:
    model = whole("sdpa")
    matrices, pair = parts(model)
    attended = pair * TOKENS * (TOKENS + 1) // 2

    # backward five products in the place of two
    expected = matrices + attended
    assert counted(model, backward=False) == pytest.approx(expected, rel=ANGLES)
    expected = 3 * matrices + attended * 7 // 2
    assert counted(model, backward=True) == pytest.approx(expected, rel=ANGLES)


@pytest.mark.parametrize("fast", [False, True])
def test_packed_rows_count_what_the_formula_has(
    fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.training.packing.products.SMALLEST", 1)
    model, batch = model_of("llama"), group(prompt=9, completions=3, tokens=5)
    token_logps(model, batch)  # whether it can be packed has been tried
    flops = flop_model(model)

    with FlopCounter() as forward:
        token_logps(model, batch)
    with FlopCounter() as both, fast_products(*([model] if fast else [])):
        token_logps(model, batch)[0].sum().backward()

    # the prompt once and four of each completion's tokens; the scores of 32 words are summed up
    # with their weights for the entropy, and made once more for the backward pass
    chosen = 3 * 5
    expected = 3 * flops.forward(9, 4, 5) - 2 * flops.forward(9, 0, 0)
    entropy = 2 * 32 * chosen
    assert forward.flops == pytest.approx(expected + entropy, rel=ANGLES)
    attended = 3 * (flops.forward(9, 4, 0) - 2 * flops.body_weights * 13)
    attended -= 2 * (flops.forward(9, 0, 0) - 2 * flops.body_weights * 9)
    again = 2 * flops.head_weights * chosen
    total = 3 * expected + attended // 2 + again + entropy
    assert both.flops == pytest.approx(total, rel=ANGLES)


@pytest.mark.parametrize("algorithm", ["ppo", "grpo:kl_coef=0.1"])
def test_the_phases_of_a_run_are_within_five_percent_of_the_formula(algorithm: str) -> None:
    # one minibatch: it is not by chance that a prompt's completions are dealt to two of them
    environment = EvenReplies()
    training = small_training(algorithm, environment=environment, updates=1, minibatches=1)
    meter = AuditMeter("cpu")
    training.meter = training.gatherer.meter = meter
    with meter.counting(training):
        list(training.run())

    ratios = {name: meter.counted[name] / flops for name, flops in meter.analytic.items() if flops}
    assert ratios == pytest.approx(dict.fromkeys(ratios, 1.0), rel=0.05)
    assert {"rollout", "update_policy"} <= ratios.keys()


@pytest.mark.parametrize("algorithm", ["ppo:critic=shared", "remax"])
def test_the_phases_of_a_timed_run_add_up_to_its_flops(algorithm: str) -> None:
    training = small_training(algorithm, updates=2, match="kl", match_target=1e-3)
    phases = [phase for report in training.run() for phase in report.phases]

    assert sum(phase.flops or 0 for phase in phases) == training.counters.train_flops > 0
