"""Live tensors are counted to the byte, each in the component that holds it."""

from __future__ import annotations

import functools

import pytest
import torch
from packed_world import model_of
from small_world import Successor, small_config, small_training, tokenizer
from torch import Tensor

from bakeoff.algorithms import make
from bakeoff.models.loading import LanguageModel
from bakeoff.training.accounting.accountant import Accountant
from bakeoff.training.accounting.audit_meter import AuditMeter
from bakeoff.training.accounting.owners import owned
from bakeoff.training.loop import Training
from bakeoff.training.meter import Meter
from bakeoff.training.packing.logps import chosen_logps
from bakeoff.types import Item, Score

SMALL = {"updates": 2, "minibatches": 1, "eval_items": 1}


@functools.cache
def counted(algorithm: str, **knobs: object) -> tuple[Training, Accountant]:
    """A short run of a small model, to its end, and what was counted of it."""
    training = small_training(algorithm, **{**SMALL, **knobs})
    return training, watched(training)


def watched(training: Training) -> Accountant:
    meter = AuditMeter("cpu")
    training.meter = training.gatherer.meter = meter
    with meter.counting(training):
        list(training.run())
    return meter.accountant


def test_the_peak_is_that_of_a_script_of_known_allocations() -> None:
    with Accountant() as accountant:
        first = torch.zeros(100)  # 400 bytes
        second = torch.zeros(50, dtype=torch.float64)  # 800 together
        third = torch.ones(300)  # 2,000
        del first, second  # 1,200
        fourth = torch.ones(100)  # 1,600

    assert (accountant.peak_bytes, accountant.total) == (2000, 1600)
    assert (len(third), len(fourth)) == (300, 100)


def test_views_and_work_in_place_hold_nothing_more() -> None:
    with Accountant() as accountant:
        whole = torch.zeros(10, 10)
        part = whole[2:].T.reshape(-1, 4)[0].detach()
        whole += 1
        copied = whole.T.reshape(-1)  # rows of a transposed matrix are not in its order

    # `reshape(-1, 4)` of 8 x 10 transposed copies as well: 320 bytes, of which `part` is a view
    assert accountant.total == 400 + 320 + 400
    assert (len(part), len(copied)) == (4, 100)


def test_what_is_claimed_moves_and_does_not_count_twice() -> None:
    with Accountant() as accountant:
        weight = torch.zeros(10)
        accountant.claim("policy_weights", [weight, weight[:5], None])
        accountant.claim("merged_weights", [weight], new=True)  # which it is not

    assert {name: n for name, n in accountant.now.items() if n} == {"policy_weights": 40}
    assert accountant.highest == {"other_tensors": 40, "policy_weights": 40}


def test_weights_gradients_and_averages_of_a_model_are_counted_to_the_byte() -> None:
    _, accountant = counted("reinforce")

    # 16 words of 32 numbers twice, 32 x (32 + 16 + 16 + 32) of attention, 3 x 32 x 64 of the MLP,
    # 3 norms of 32; two tables of 8 rotary frequencies; two averages, and a step for 12 tensors
    weights = 4 * (2 * 16 * 32 + 32 * 96 + 3 * 32 * 64 + 3 * 32)
    assert accountant.highest["policy_weights"] == weights + 2 * 8 * 4
    assert accountant.highest["policy_grads"] == weights
    assert accountant.highest["policy_optimizer"] == 2 * weights + 12 * 4


def test_the_cache_of_keys_and_values_is_counted_to_the_byte() -> None:
    training = small_training("reinforce", updates=1, eval_items=1, samples_per_update=16)
    meter = AuditMeter("cpu")
    training.meter = training.gatherer.meter = meter
    with meter.counting(training):
        *_, report = training.run()

    # one layer, one head of 16 numbers: 4 prompts of 2 tokens, and the first token of those of 16
    # completions that it does not end; the second is their last, and not read
    longer = sum(len(sample.completion.token_ids) == 2 for sample in report.samples)
    assert meter.accountant.highest["kv_cache"] == 2 * 16 * 4 * (4 * 2 + longer)


def test_logits_are_counted_to_the_byte() -> None:
    training = small_training()
    head_VH = training.learner.policy.get_output_embeddings().weight
    hidden_MH, token_M = torch.ones(5, 32), torch.arange(5)
    accountant = Accountant()

    with owned(accountant, training), accountant:
        chosen_logps(hidden_MH, head_VH, token_M)

    # five rows of 16, and their exponentials beside them
    assert accountant.highest["logits"] == 2 * 5 * 16 * 4


@pytest.mark.parametrize(
    ("algorithm", "knobs"),
    [
        ("ppo", {}),
        ("ppo:critic=shared", {"precision": "bf16"}),
        ("ppo:critic=lora", {"lora_rank": 2}),
        ("grpo:kl_coef=0.1", {"recompute": "layers", "activation_gib": 1e-4}),
    ],
)
def test_it_agrees_with_the_ledger_where_that_counts(
    algorithm: str, knobs: dict[str, object]
) -> None:
    training, accountant = counted(algorithm, **knobs)

    counts = ("_weights", "_optimizer")
    ledger = training.ledger.highest
    expected = {name: n for name, n in ledger.items() if name.endswith(counts) and n}
    assert {name: accountant.highest[name] for name in expected} == expected


def test_the_components_at_the_peak_add_up_to_it() -> None:
    _, accountant = counted("ppo")

    assert sum(accountant.at_peak.values()) == accountant.peak_bytes
    assert accountant.at_peak["activations"] > 0


def test_nothing_is_kept_alive_that_a_run_lets_go() -> None:
    _, accountant = counted("ppo")

    assert accountant.now["activations"] == accountant.now["logits"] == 0
    assert accountant.now["policy_grads"] == accountant.now["critic_grads"] == 0


def test_counting_changes_no_number_of_a_run() -> None:
    audited, _ = counted("reinforce")
    plain = small_training("reinforce", **SMALL)
    list(plain.run())

    pairs = zip(audited.learner.policy.parameters(), plain.learner.policy.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


PLANTED = 50 * 2**20
"""Bytes that are held by one component more; no page of them is touched."""


def planted() -> Tensor:
    return torch.empty(PLANTED, dtype=torch.uint8)


class Hoarder(Successor):
    """Keeps a buffer while it judges."""

    def score_many(self, items: list[Item], replies: list[str]) -> list[Score]:  # type: ignore[override]
        held = planted()
        assert len(held) == PLANTED
        return super().score_many(items, replies)


def plant_everywhere(training: Training) -> None:
    """Have weights, a pass, the optimiser and the batch hold a buffer more."""
    learner = training.learner
    learner.policy.register_buffer("planted", planted())
    layer = learner.policy.base_model.layers[0]
    layer.register_forward_hook(lambda module, inputs, output: (planted(), None)[1])
    weight = next(learner.policy.parameters())

    def keep(optimizer: torch.optim.Optimizer, *_: object) -> None:
        if "planted" not in optimizer.state[weight]:
            optimizer.state[weight]["planted"] = planted()

    learner.optimizer.register_step_post_hook(keep)
    annotate = learner.annotate

    def larger(*arguments: object) -> object:
        batch = annotate(*arguments)  # type: ignore[arg-type]
        return batch._replace(logp_ref_BT=planted()[: batch.mask_BT.numel()].view_as(batch.mask_BT))

    vars(learner)["annotate"] = larger


def test_a_buffer_that_is_planted_in_each_of_five_components_is_found_in_each() -> None:
    _, without = counted("reinforce")
    training = small_training("reinforce", environment=Hoarder(), **SMALL)
    plant_everywhere(training)
    accountant = watched(training)

    grown = {name: n - without.highest[name] for name, n in accountant.highest.items()}
    found = {name for name, n in grown.items() if n == pytest.approx(PLANTED, rel=0.05)}
    assert found == {
        *("policy_weights", "policy_optimizer", "activations", "rollout_buffer"),
        "other_tensors",
    }
    assert all(abs(n) < 0.05 * PLANTED for name, n in grown.items() if name not in found)


def test_the_cache_of_a_model_that_is_sampled_padded_is_followed_too() -> None:
    training = Training(
        LanguageModel(model_of("gemma2"), tokenizer(), "small"),
        Successor(),
        make("reinforce"),
        small_config(**SMALL),
        seed=0,
        meter=Meter("cpu"),
    )
    accountant = watched(training)

    assert accountant.highest["kv_cache"] == training.ledger.highest["kv_cache"] > 0
