"""A recording of a small model on the successor environment, and its replay."""

from __future__ import annotations

from dataclasses import replace

from small_world import Successor, small_model

from bakeoff.algorithms import make
from bakeoff.comparisons.replay.measuring import Replay, replay
from bakeoff.comparisons.replay.recording import CRITIC, SAMPLE, Recording, Settings
from bakeoff.comparisons.replay.rollouts import record

NAMES = ("rloo", "dr_grpo", "grpo", "dapo", "remax", "ppo", "sft")


def quiet(what: str, done: int, total: int) -> None:
    pass


def recorded(**changes: int) -> Recording:
    settings = Settings(
        environment="test/Successor-v0",
        model="small",
        max_new_tokens=2,
        critic_learning_rate=1e-2,
        **{"prompts": 4, "group_size": 4, "replicates": 3, "critic_updates": 2, **changes},
    )
    return record(Successor(), small_model(), settings, micro_batch=64, progress=quiet)


def half_right() -> Recording:
    """Three replicates in which every second reply of a group is right, whatever was written."""
    found = recorded()
    rows = [
        replace(row, reward=float(index % 2)) if row.role in (SAMPLE, CRITIC) else row
        for index, row in enumerate(found.rows)
    ]
    return replace(found, rows=tuple(rows))


def play(found: Recording, names: tuple[str, ...] = NAMES, micro_batch: int = 64) -> Replay:
    return replay(
        found,
        small_model().model,
        {name: make(name) for name in names},
        learning_rate=1e-3,
        micro_batch=micro_batch,
        progress=quiet,
    )
