"""Samples that wait for their update, as a checkpoint holds them: JSON, exact to the last bit.

Items are kept by their index, and tensors are made anew of the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bakeoff.training.reports import Sample
from bakeoff.training.rounds import Gathered
from bakeoff.types import Batch, Completion, Environment, Item, Score

Collate = Callable[[Sequence[Sample], Sequence[Sample]], Batch | None]
"""Makes tensors of the samples that are learned from, and of the greedy ones."""


def as_json(gathered: Gathered, asked: Sequence[int]) -> dict[str, Any]:
    """Return what an update got, as JSON has it.

    Args:
        gathered: it.
        asked: the index of each item of the update, by its place.
    """
    places = {id(sample): place for place, sample in enumerate(gathered.samples)}
    return {
        "asked": list(asked),
        "samples": [_sample_json(sample) for sample in gathered.samples],
        "greedy": [_sample_json(sample) for sample in gathered.greedy],
        "learned": [places[id(sample)] for sample in gathered.learned],
        "metrics": gathered.metrics,
    }


def from_json(
    state: Mapping[str, Any], environment: Environment, collate: Collate
) -> tuple[Gathered, list[int]]:
    """Return what ``as_json`` was given.

    Args:
        state: what it returned.
        environment: has the items.
        collate: makes the batch.
    """
    asked: list[int] = state["asked"]
    items = [environment.item(index, "train") for index in asked]
    samples = [_sample(one, items) for one in state["samples"]]
    greedy = [_sample(one, items) for one in state["greedy"]]
    learned = [samples[place] for place in state["learned"]]
    batch = collate(learned, greedy)
    return Gathered(samples, greedy, learned, batch, dict(state["metrics"])), asked


def _sample_json(sample: Sample) -> dict[str, Any]:
    score = sample.score
    return {
        "completion": asdict(sample.completion),
        "score": {
            "value": score.value,
            "parts": dict(score.parts),
            "reason": score.reason,
            "malformed": score.malformed,
            "seconds": dict(score.seconds),
        },
        "group": sample.group,
        "version": sample.version,
    }


def _sample(state: Mapping[str, Any], items: Sequence[Item]) -> Sample:
    written: dict[str, Any] = state["completion"]
    lists = {name: tuple(value) for name, value in written.items() if isinstance(value, list)}
    completion = Completion(**{**written, **lists})
    group: int = state["group"]
    return Sample(items[group], completion, Score(**state["score"]), group, state["version"])
