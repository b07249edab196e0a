"""What is recorded, and what algorithms make of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from replay_world import half_right, play, quiet, recorded
from several_turns import HigherLower
from small_world import small_model, small_training

from bakeoff.algorithms import make
from bakeoff.comparisons.replay import estimates, recording, tables
from bakeoff.comparisons.replay.gradients import backward, prepared
from bakeoff.comparisons.replay.measuring import REFERENCE, Replay, pieces
from bakeoff.comparisons.replay.recording import GOLD, GREEDY, SAMPLE, Recording, Settings
from bakeoff.comparisons.replay.rollouts import record
from bakeoff.errors import UsageError
from bakeoff.training.scoring import token_logps


@pytest.fixture(scope="module")
def small() -> Recording:
    return half_right()


@pytest.fixture(scope="module")
def played(small: Recording) -> Replay:
    return play(small)


def test_replicates_ask_the_same_items(small: Recording) -> None:
    asked = [[row.item for row in small.of(SAMPLE, r)] for r in range(3)]

    assert asked[0] == asked[1] == asked[2]


def test_replicates_have_other_samples(small: Recording) -> None:
    written = [[row.completion.token_ids for row in small.of(SAMPLE, r)] for r in range(3)]

    assert written[0] != written[1] != written[2] != written[0]


def test_a_recording_is_read_as_it_was_written(small: Recording, tmp_path: Path) -> None:
    # gold replies have log-probabilities of nan, which are equal to nothing
    small.save(tmp_path)
    read = recording.load(tmp_path)

    sampled = [row for row in small.rows if row.role != GOLD]
    assert [row for row in read.rows if row.role != GOLD] == sampled
    assert (read.settings, read.pad_id, read.turns) == (small.settings, small.pad_id, small.turns)


def test_what_was_interrupted_is_no_recording(small: Recording, tmp_path: Path) -> None:
    small.save(tmp_path)
    (tmp_path / "recording.json").unlink()  # it is written last

    with pytest.raises(UsageError, match="no whole recording"):
        recording.load(tmp_path)


def test_a_recording_with_a_line_less_is_broken(small: Recording, tmp_path: Path) -> None:
    small.save(tmp_path)
    lines = (tmp_path / "rollouts.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "rollouts.jsonl").write_text("".join(lines[:-1]))

    with pytest.raises(UsageError, match="is broken"):
        recording.load(tmp_path)


def test_recorded_log_probabilities_of_the_training_model_are_those_of_the_sampler(
    small: Recording,
) -> None:
    # same weights, same precision: they differ by the rounding of a cache and of padding
    batch = small.batch(small.of(SAMPLE))
    assert batch.logp_ref_BT is not None

    torch.testing.assert_close(batch.logp_ref_BT, batch.logp_old_BT, rtol=0, atol=1e-5)


def test_a_critic_that_is_not_fitted_has_no_values() -> None:
    batch = recorded(critic_updates=0)
    value_BT = batch.batch(batch.of(SAMPLE)).value_BT

    assert value_BT is not None and not value_BT.any()


def test_the_gradient_is_the_weighted_sum_of_the_tokens_own(small: Recording) -> None:
    # at a ratio of 1 the gradient of rloo's loss is -sum_i A_i / B * d sum_t log pi, by its formula
    model = small_model().model
    batch = small.batch(small.of(SAMPLE))
    algorithm = make("rloo")
    adv_BT = algorithm.advantages(batch).adv_BT
    logp_BT = token_logps(model, batch)[0]
    wanted = torch.autograd.grad(-(adv_BT * logp_BT).sum() / len(adv_BT), model.parameters())

    parameters = list(model.parameters())
    step = prepared(algorithm, batch)
    backward(algorithm, step, lambda b: token_logps(model, b)[0], parameters, micro_batch=5)

    for parameter, gradient in zip(parameters, wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-7)


def test_micro_batches_change_no_inner_product(small: Recording, played: Replay) -> None:
    names = ("rloo", "grpo", "sft")
    other = play(small, names, micro_batch=5)

    for name in names:
        whole_RR, split_RR = played.gram.block(name, "rloo"), other.gram.block(name, "rloo")
        torch.testing.assert_close(split_RR, whole_RR, rtol=1e-4, atol=1e-8)


def test_the_same_samples_give_the_same_gradients_twice(small: Recording, played: Replay) -> None:
    again = play(small, names=("grpo", "rloo"))

    assert again.measured["grpo"] == played.measured["grpo"]


def test_rloo_is_the_reference(played: Replay) -> None:
    own_RR = played.gram.block("rloo", "rloo")

    torch.testing.assert_close(played.gram.block(REFERENCE, "rloo"), own_RR, rtol=1e-4, atol=1e-6)


def test_dr_grpo_is_rloo_by_a_factor(played: Replay) -> None:
    # G = 4 and a limit of 2 tokens: (G - 1) / G / 2 = 3 / 8
    dr_grpo_RR, rloo_RR = (played.gram.block(name, name) for name in ("dr_grpo", "rloo"))

    torch.testing.assert_close(dr_grpo_RR, rloo_RR * (3 / 8) ** 2, rtol=1e-4, atol=1e-6)


def test_the_gradient_of_gold_replies_is_the_same_in_every_replicate(played: Replay) -> None:
    assert estimates.noise(played.gram.block("sft", "sft")) == 0.0


def test_tokens_of_greedy_replies_count_as_generated(small: Recording, played: Replay) -> None:
    greedy = sum(row.completion.sampled for row in small.of(GREEDY))

    assert greedy > 0
    for remax, rloo in zip(played.measured["remax"], played.measured["rloo"], strict=True):
        assert remax.generated == rloo.generated + greedy


def test_samples_without_a_greedy_reward_are_not_given_to_what_needs_it(small: Recording) -> None:
    # one of four greedy replies could not be scored: its item's samples, 4 of 16, have no baseline
    lost = small.of(GREEDY)[0]
    rows = [replace(row, reward=None) if row is lost else row for row in small.rows]

    found = play(replace(small, rows=tuple(rows)), names=("remax",))

    assert [one.completions for one in found.measured["remax"]] == [12, 12, 12]


def test_dropped_groups_have_no_weight(small: Recording) -> None:
    rows = [
        replace(row, reward=1.0) if row.role == SAMPLE and row.group == 0 else row
        for row in small.rows
    ]
    found = play(replace(small, rows=tuple(rows)), names=("dapo",))

    shown = [row for row in tables.advantage_rows(found, small_model().tokenizer)]
    dropped = {row["group"] for row in shown if row["advantage"] is None and not row["weight"]}
    assert dropped == {0}
    assert [one.kept for one in found.measured["dapo"]] == [0.75] * 3


def test_if_nothing_is_kept_the_gradient_is_zero(small: Recording) -> None:
    rows = [replace(row, reward=1.0) if row.role == SAMPLE else row for row in small.rows]

    found = play(replace(small, rows=tuple(rows)), names=("dapo",))

    assert [one.norm for one in found.measured["dapo"]] == [0.0] * 3
    assert tables.replay_row("dapo", small, found, make("dapo"))["snr"] is None


def test_algorithms_that_learn_from_gold_replies_need_some(small: Recording) -> None:
    without = replace(small, rows=tuple(row for row in small.rows if row.role != GOLD))

    with pytest.raises(UsageError, match="sft learns from gold replies"):
        play(without, names=("sft",))


def test_halves_of_a_single_replicate_part_its_items() -> None:
    found = recorded(replicates=1, critic_updates=0)

    parts, halves = pieces(found)

    groups = [{row.group for row in part.samples} for part in parts]
    assert halves
    assert (groups[0] | groups[1], groups[0] & groups[1]) == ({0, 1, 2, 3}, set())


def test_noise_from_halves_is_that_of_the_whole_batch(small: Recording) -> None:
    # the batch's gradient is the mean of its halves': its variance is a quarter of the sum of
    # theirs, each estimated by |a - b|^2 / 2
    one = replace(
        small,
        settings=replace(small.settings, replicates=1),
        rows=tuple(row for row in small.rows if row.role != SAMPLE or row.replicate == 0),
    )
    found = play(one, names=("rloo",))

    gram_RR = found.gram.block("rloo", "rloo")
    expected = float(gram_RR[0, 0] + gram_RR[1, 1] - 2 * gram_RR[0, 1]) / 4
    assert tables.replay_row("rloo", one, found, make("rloo"))["noise"] == pytest.approx(expected)


def test_a_mismatch_is_corrected_towards_the_training_model(small: Recording) -> None:
    # the sampler's log-probabilities are 1 too low: the ratio e is truncated to the cap of 2
    batch = small.batch(small.of(SAMPLE))
    batch = batch._replace(logp_old_BT=(batch.logp_old_BT - 1) * batch.mask_BT)

    plain = prepared(make("rloo"), batch)
    step = prepared(make("rloo:mismatch=token_truncated"), batch)

    assert step is not None and step.adv_BT is not None
    assert plain is not None and plain.adv_BT is not None
    torch.testing.assert_close(step.adv_BT, 2 * plain.adv_BT)


@pytest.mark.parametrize("algorithm", ["grpo", "remax", "dapo:refill=0"])
def test_the_gradient_of_the_first_replicate_is_that_of_a_runs_first_update(algorithm: str) -> None:
    # one optimiser step an update, and the same seed, model, environment and sizes
    knobs = {"updates": 1, "minibatches": 1, "learning_rate": 1e-3}
    training = small_training(algorithm, prompts_per_update=10, group_size=4, **knobs)
    wanted = [report.metrics["grad_norm"] for report in training.run() if report.update == 1]

    found = recorded(prompts=10, group_size=4, critic_updates=0, replicates=2)
    norms = [one.norm for one in play(found, names=(algorithm,)).measured[algorithm]]

    assert wanted[0] > 0
    assert norms[0] == pytest.approx(wanted[0], rel=1e-5)


def test_observations_of_several_turns_have_no_credit() -> None:
    # an episode is a reply, what the environment says (its answer), and another reply
    settings = Settings(
        environment="test/HigherLower-v0",
        model="small",
        prompts=3,
        group_size=4,
        replicates=2,
        critic_updates=1,
        max_new_tokens=2,
        critic_learning_rate=1e-2,
    )
    found = record(HigherLower(), small_model(), settings, micro_batch=64, progress=quiet)
    observed = sum(row.completion.mask.count(0) for row in found.of(SAMPLE))
    written = sum(row.completion.sampled for row in found.of(SAMPLE))

    shown = list(tables.advantage_rows(play(found, names=("rloo",)), small_model().tokenizer))

    assert observed > 0
    assert len(shown) == written
