"""Runs whose policy is a LoRA: what trains, what is its reference, what it holds and saves."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_world import Successor, small_config, small_model, small_training
from test_training import sampled_batch
from torch import Tensor

from bakeoff.algorithms import make
from bakeoff.models.loading import LanguageModel
from bakeoff.training import adapters
from bakeoff.training.flops import Passes, flop_model, passes
from bakeoff.training.loop import Training
from bakeoff.training.meter import Meter
from bakeoff.training.scoring import token_logps
from bakeoff.types import Item, Score

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]


class Evens(Successor):
    """Likes even digits: a model of random weights writes some, and more in some replies."""

    def score(self, item: Item, reply: str) -> Score:
        value = sum(character in "02468" for character in reply) / 2
        return Score(value, {"even": value})


def lora_training(algorithm: str = "grpo", **knobs: object) -> Training:
    chosen = {"lora_rank": 4, "environment": Evens(), **knobs}
    return small_training(algorithm, **chosen)  # type: ignore[arg-type]


def base_weights(training: Training) -> dict[str, Tensor]:
    """The weights of the policy's base, by the names that they have without an adapter."""
    return {
        name.replace(".base_layer", ""): parameter
        for name, parameter in training.learner.policy.named_parameters()
        if "lora_" not in name
    }


def adapter(training: Training) -> list[Tensor]:
    return [p.detach() for p in adapters.parameters(training.learner.policy, "policy")]


def test_a_run_moves_the_adapter_and_leaves_the_base_as_it_was() -> None:
    training = lora_training()
    before = [matrix.clone() for matrix in adapter(training)]

    list(training.run())

    initial = dict(small_model(0).model.named_parameters())
    torch.testing.assert_close(base_weights(training), initial, rtol=0, atol=0)
    assert all(not torch.equal(*pair) for pair in zip(before, adapter(training), strict=True))


def test_all_algorithms_of_a_seed_start_from_the_same_adapter() -> None:
    first = adapter(lora_training("grpo", seed=1))

    torch.testing.assert_close(adapter(lora_training("ppo", seed=1)), first, rtol=0, atol=0)
    assert not torch.equal(adapter(lora_training("grpo", seed=2))[0], first[0])


def test_the_policy_samples_what_it_scores() -> None:
    training = lora_training("grpo", updates=8)

    reports = list(training.run())

    # merged and unmerged passes round differently; before any update there is nothing to merge
    gaps = [report.metrics["logp_mismatch/max"] for report in reports[1:]]
    assert 0 < max(gaps) < 1e-4


def test_the_reference_of_a_lora_is_the_initial_model_and_no_copy() -> None:
    training = lora_training("grpo:kl_coef=0.1")
    *_, last = training.run()
    batch = sampled_batch(small_model(0))
    with torch.no_grad():
        expected_BT, _ = token_logps(small_model(0).model, batch)
        policy_BT, _ = token_logps(training.learner.policy, batch)

    torch.testing.assert_close(
        training.learner.reference_logps(batch), expected_BT, rtol=0, atol=1e-6
    )
    assert (policy_BT - expected_BT).abs().max() > 0.1
    assert last.metrics["kl_ref"] > 0
    assert training.learner.reference is None
    assert training.ledger.highest["reference_weights"] == 0


def test_gradients_and_optimiser_hold_the_adapter_alone() -> None:
    training = lora_training(updates=1)
    list(training.run())
    held, count = training.ledger.highest, sum(matrix.numel() for matrix in adapter(training))

    # gradients in fp32, AdamW's two averages, and its step counters: 4 bytes for each matrix
    assert held["policy_grads"] == 4 * count
    assert held["policy_optimizer"] == 8 * count + 4 * len(adapter(training))
    whole = sum(p.numel() for p in small_model(0).model.parameters())
    assert training.learner.predicted_bytes()["policy_weights"] == 4 * (whole + count)
    assert held["policy_weights"] >= 4 * (whole + count)


def test_sampling_holds_the_adapted_weights_twice_and_no_other_phase_does() -> None:
    training = lora_training(updates=1)
    list(training.run())

    # 4 bytes of q, o (32 x 32), k, v (16 x 32) and three of 32 x 64
    assert training.ledger.highest["merged_weights"] == 4 * (2 * 1024 + 2 * 512 + 3 * 2048)
    training.ledger.mark_peak("update_policy")
    assert training.ledger.at_peak["merged_weights"] == 0


def test_a_lora_costs_two_passes_of_the_base_and_three_of_the_adapter() -> None:
    model = small_model(0).model
    plain = flop_model(model)
    adapters.add(model, "policy", rank=4, alpha=8)

    # forward and the gradient of activations; of the adapter the gradient of its weights, too
    assert passes(make("grpo"), 0, rank=4) == {"update_policy": Passes(2, 0, 4 * 3)}
    # an adapter of rank 1 has in + out weights beside each matrix: 4 of attention, 3 of the MLP
    assert flop_model(model) == plain
    assert plain.adapter(tokens=5) == 2 * 5 * (2 * 64 + 2 * 48 + 3 * 96)


@pytest.mark.parametrize(
    "name", ["grpo:kl_coef=0.1", "ppo", "ppo:critic=shared", "ppo:critic=lora"]
)
def test_a_lora_goes_on_to_the_bit(name: str, tmp_path: Path) -> None:
    whole = lora_training(name, updates=4)
    list(whole.run())
    stopped = lora_training(name, updates=4, checkpoint_every=2).run(tmp_path)
    for report in stopped:
        if report.counters.updates == 3:  # the checkpoint of 2 updates is written by then
            stopped.close()

    resumed = lora_training(name, updates=4, checkpoint_every=2)
    list(resumed.run(tmp_path))

    for model in ("policy", "critic"):
        ours, theirs = getattr(resumed.learner, model), getattr(whole.learner, model)
        if ours is not None:
            torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def test_a_checkpoint_of_a_lora_holds_no_weight_of_the_base(tmp_path: Path) -> None:
    training = lora_training(updates=1, checkpoint_every=1)
    list(training.run(tmp_path))

    saved = load_file(tmp_path / "checkpoint" / "policy.safetensors")
    weights = {name: tensor for name, tensor in saved.items() if "inv_freq" not in name}
    assert all(".policy." in name for name in weights)
    assert len(weights) == len(adapter(training))


def half_right(seed: int) -> LanguageModel:
    """A small model taught to write the next digit two times in five, else the same digit."""
    language_model = small_model(seed)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(language_model.model.parameters(), lr=1e-2)
    for _ in range(100):
        digit_B = torch.randint(0, 10, (64,), generator=generator)
        right_B = (torch.rand(64, generator=generator) < 0.4).long()
        ask_B, end_B = torch.full_like(digit_B, 13), torch.ones_like(digit_B)
        ids_BS = torch.stack([3 + digit_B, ask_B, 3 + (digit_B + right_B) % 10, end_B], 1)
        labels_BS = ids_BS.clone()
        labels_BS[:, :2] = -100  # the prompt
        language_model.model(input_ids=ids_BS, labels=labels_BS).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return language_model


@pytest.mark.parametrize("seed", SEEDS)
def test_a_lora_learns_the_smallest_environment(seed: int) -> None:
    config = small_config(
        updates=20, prompts_per_update=10, group_size=8, learning_rate=1e-2, lora_rank=4
    )
    training = Training(
        half_right(seed), Successor(), make("grpo"), config, seed=seed, meter=Meter("cpu")
    )

    reports = list(training.run())

    start, end = (report.eval_metrics["score/mean"] for report in (reports[0], reports[-1]))
    assert start <= 0.7
    assert end >= 0.9
