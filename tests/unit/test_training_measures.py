"""What a run measures of itself: its phases, its bytes, and the limit that ends it."""

import time

import pytest
import torch
from small_world import (
    small_training,
)

from bakeoff.training.meter import Meter, OutOfMemory


def test_phases_of_an_update_add_up_to_its_wall_time() -> None:
    training = small_training("ppo", updates=1)
    reports = training.run()
    next(reports)
    started = time.perf_counter()
    report = next(reports)
    outer_s = time.perf_counter() - started
    names = [phase.name for phase in report.phases]

    assert names == [
        *("rollout", "reward", "values", "advantage", "update_policy", "update_critic"),
        *("eval", "other"),
    ]
    # all phases lie within the update, so if none is counted twice they add up to less than this
    assert report.counters.train_s <= sum(p.wall_s for p in report.phases) <= outer_s


def test_a_critic_shows_in_the_ledger_and_the_peak_is_accounted_for() -> None:
    rows = {}
    for name in ("grpo", "ppo"):
        training = small_training(name, updates=1)
        list(training.run())
        peak = training.meter.peak_bytes
        table = training.ledger.rows(peak, training.learner.predicted_bytes(), "rss")
        assert sum(int(row["bytes_at_peak"]) for row in table) == peak  # type: ignore[call-overload]
        rows[name] = {row["component"]: row for row in table}

    policy = rows["ppo"]["policy_weights"]["bytes_max"]
    assert rows["ppo"]["critic_weights"]["bytes_max"] > 0.9 * policy  # type: ignore[operator]
    assert rows["grpo"]["critic_weights"]["bytes_max"] == 0
    assert rows["ppo"]["critic_optimizer"]["bytes_predicted"] == pytest.approx(
        rows["ppo"]["critic_optimizer"]["bytes_max"], rel=0.01
    )


def test_the_meter_sees_memory_that_was_freed_within_a_phase() -> None:
    meter = Meter("cpu")
    with meter.phase("quiet") as quiet:
        pass
    with meter.phase("loud") as loud:
        torch.ones(32 * 2**20, dtype=torch.float32).sum()  # 128 MiB
    with meter.phase("after") as after:
        pass

    assert quiet.peak_bytes and loud.peak_bytes and after.peak_bytes
    assert loud.peak_bytes - quiet.peak_bytes >= 120 * 2**20
    assert loud.peak_bytes - after.peak_bytes >= 120 * 2**20
    assert meter.peak_bytes == loud.peak_bytes


def test_a_phase_over_the_limit_ends_the_run() -> None:
    meter = Meter("cpu", limit_bytes=1)

    message = "in phase 'rollout', over the limit of 0 MiB"
    with pytest.raises(OutOfMemory, match=message), meter.phase("rollout"):
        pass
