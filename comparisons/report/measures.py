"""The numbers that a comparison compares: what one run comes to, each by its name and its unit.

docs/tables.md says how each is measured. A number that a run does not have is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from bakeoff.comparisons.results import Results, Row
from bakeoff.comparisons.schema import COMPONENTS, PHASES

NOT_TRAINING = ("eval", "checkpoint")
"""Phases that are no part of the seconds of an update."""


class Measure(NamedTuple):
    """What a number is in, and which way is better.

    Attributes:
        unit: of the number.
        higher_is_better: which way is better.
        needs_same_machine: whether it depends on the hardware and its load.
    """

    unit: str
    higher_is_better: bool
    needs_same_machine: bool


def _cost(unit: str) -> Measure:
    return Measure(unit, higher_is_better=False, needs_same_machine=True)


MEASURES: dict[str, Measure] = {
    "score_initial": Measure("score", True, False),
    "score_final": Measure("score", True, False),
    "score_gain": Measure("score", True, False),
    "reward_final": Measure("score", True, False),
    "training_bytes": _cost("bytes"),
    "peak_rss_bytes": _cost("bytes"),
    "peak_device_allocated_bytes": _cost("bytes"),
    "update_s": _cost("s"),
    "train_s": _cost("s"),
    "cpu_s": _cost("s"),
    "completion_tokens_per_s": Measure("tokens/s", True, True),
    "rollout_tokens_per_s": Measure("tokens/s", True, True),
    "train_flops": Measure("flops", False, False),
    "completion_tokens": Measure("tokens", False, False),
    "score": Measure("score", True, False),
    "reward": Measure("score", True, False),
    "target/update": Measure("updates", False, False),
    "target/completion_tokens": Measure("tokens", False, False),
    "target/total_tokens": Measure("tokens", False, False),
    "target/train_wall_s": _cost("s"),
    "target/train_flops": Measure("flops", False, False),
    **{f"memory/{component}": _cost("bytes") for component in COMPONENTS},
    **{f"memory_max/{component}": _cost("bytes") for component in COMPONENTS},
    **{f"update_s/{phase}": _cost("s") for phase in PHASES},
}
"""Every metric of ``summary.csv``, in its order."""

COMPARED = (
    "score_final",
    "reward_final",
    "training_bytes",
    "peak_rss_bytes",
    "peak_device_allocated_bytes",
    "update_s",
    "train_s",
    "cpu_s",
    "completion_tokens_per_s",
    "score",
    "reward",
    "target/update",
    "target/completion_tokens",
    "target/total_tokens",
    "target/train_wall_s",
    "target/train_flops",
)
"""The metrics of ``pairwise.csv``."""

DIVERGED_SCORE = 0.0
"""The lowest that an environment gives: what a run that diverged has reached."""

ALWAYS_SHOWN = ("score_initial", "score_final", "score_gain", "training_bytes", "update_s")
"""Metrics that have a row in ``summary.csv`` even if every run failed."""


def run_values(results: Results) -> dict[str, dict[str, float]]:
    """Return the finite numbers of the runs: ``{run_id: {metric: value}}``.

    A run that failed has no final score, and its seconds and bytes are those of another amount of
    work: it is counted beside every mean, and is in none. One that diverged did so by its
    algorithm's own doing, and what it leaves behind solves nothing: its scores are
    ``DIVERGED_SCORE``.
    """
    curves = _by_run(results.raw["curves.csv"])
    phases = _by_run(results.raw["phases.csv"])
    memory = _by_run(results.raw["memory.csv"])
    found = {}
    for run in results.runs:
        name = str(run["run_id"])
        if run["status"] == "diverged":
            found[name] = _of_diverged(_scores(curves.get(name, ())))
        if run["status"] != "ok":
            continue
        values = {
            **_scores(curves.get(name, ())),
            **_totals(run),
            **_memory(memory.get(name, ())),
            **_seconds(phases.get(name, ())),
        }
        found[name] = {key: value for key, value in values.items() if math.isfinite(value)}
    return found


def number(text: object) -> float | None:
    """Return a table's cell as a number; None if it is missing.

    Example:
        >>> number(""), number("1.5"), number(2)
        (None, 1.5, 2.0)
    """
    return None if text is None or text == "" else float(str(text))


def _scores(curves: Iterable[Mapping[str, str]]) -> dict[str, float]:
    held_out: dict[int, float] = {}
    training: dict[int, float] = {}
    for row in curves:
        point, value = int(row["update"]), number(row["value"])
        if value is None:
            continue
        if (row["split"], row["metric"]) == ("eval", "score/mean"):
            held_out[point] = value
        if (row["split"], row["metric"]) == ("train", "reward/mean"):
            training[point] = value
    values = {}
    if training:
        values["reward_final"] = training[max(training)]
    if 0 in held_out:
        values["score_initial"] = held_out[0]
    if held_out and max(held_out) > 0:
        values["score_final"] = held_out[max(held_out)]
        if 0 in held_out:
            values["score_gain"] = values["score_final"] - values["score_initial"]
    return values


def _of_diverged(scores: Mapping[str, float]) -> dict[str, float]:
    values = {"score_final": DIVERGED_SCORE, "reward_final": DIVERGED_SCORE}
    if "score_initial" in scores:
        values["score_initial"] = scores["score_initial"]
        values["score_gain"] = DIVERGED_SCORE - scores["score_initial"]
    return values


def _totals(run: Row) -> dict[str, float]:
    names = (
        "peak_rss_bytes",
        "peak_device_allocated_bytes",
        "train_s",
        "cpu_s",
        "train_flops",
        "completion_tokens",
    )
    values = {name: value for name in names if (value := number(run[name])) is not None}
    if values.get("train_s", 0) > 0 and values.get("completion_tokens", 0) > 0:
        values["completion_tokens_per_s"] = values["completion_tokens"] / values["train_s"]
    return values


def by_rank(memory: Sequence[Mapping[str, str]]) -> list[list[Mapping[str, str]]]:
    """Return the rows of ``memory.csv`` of one run by rank, the rank with the highest peak first.

    Example:
        >>> rows = [{"rank": "0", "bytes_at_peak": "7"}, {"rank": "1", "bytes_at_peak": "9"}]
        >>> [found[0]["rank"] for found in by_rank(rows)]
        ['1', '0']
    """
    found: dict[str, list[Mapping[str, str]]] = {}
    for row in memory:
        found.setdefault(row["rank"], []).append(row)
    return sorted(found.values(), key=held_at_peak, reverse=True)


def held_at_peak(memory: Sequence[Mapping[str, str]]) -> float:
    """Return what the components of one rank add up to at its peak, in bytes."""
    return sum(number(row["bytes_at_peak"]) or 0.0 for row in memory)


def _memory(memory: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """Return what the components held on the rank whose peak was the highest."""
    values: dict[str, float] = {}
    for row in next(iter(by_rank(memory)), ()):
        for key, column in (("memory", "bytes_at_peak"), ("memory_max", "bytes_max")):
            if (value := number(row[column])) is not None:
                name = f"{key}/{row['component']}"
                values[name] = values.get(name, 0) + value
    at_peak = [value for name, value in values.items() if name.startswith("memory/")]
    if at_peak:
        values["training_bytes"] = sum(at_peak) - values.get("memory/process_baseline", 0)
    return values


def _seconds(phases: Sequence[Mapping[str, str]]) -> dict[str, float]:
    updates: dict[int, dict[str, float]] = {}
    rollout_tokens = rollout_s = 0.0
    for row in phases:
        if row["warmup"] == "true" or row["update"] == "0":
            continue
        seconds = number(row["wall_s"]) or 0.0
        update = updates.setdefault(int(row["update"]), {})
        update[row["phase"]] = update.get(row["phase"], 0.0) + seconds
        if row["phase"] == "rollout":
            rollout_tokens += number(row["tokens"]) or 0.0
            rollout_s += seconds
    if not updates:
        return {}
    names = {phase for update in updates.values() for phase in update}
    values = {
        f"update_s/{phase}": median(update.get(phase, 0.0) for update in updates.values())
        for phase in names - set(NOT_TRAINING)
    }
    for phase in names & set(NOT_TRAINING):  # not in every update: what it takes when it happens
        values[f"update_s/{phase}"] = median(u[phase] for u in updates.values() if phase in u)
    values["update_s"] = median(
        sum(seconds for phase, seconds in update.items() if phase not in NOT_TRAINING)
        for update in updates.values()
    )
    if rollout_s > 0:
        values["rollout_tokens_per_s"] = rollout_tokens / rollout_s
    return values


def _by_run(rows: Iterable[Mapping[str, str]]) -> dict[str, list[Mapping[str, str]]]:
    found: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        found.setdefault(row["run_id"], []).append(row)
    return found
