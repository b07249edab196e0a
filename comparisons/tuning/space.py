"""The space that is searched: what may vary between two trials, and how. It is declared first.

    learning_rate: {log: [1e-5, 1e-3]}     a setting of all algorithms, its logarithm uniform
    max_grad_norm: [0.5, 1, 2]             one of these
    ppo:                                   what this algorithm alone has:
      lam: {linear: [0.9, 1]}                an argument of it
      critic_learning_rate: {log: [1e-4, 1e-2]}   a setting for it alone

What a trial costs, or how it is judged, cannot be searched: all trials must be worth the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bakeoff.comparisons.yaml_files import read_yaml
from bakeoff.errors import UsageError, unknown
from bakeoff.models import default_learning_rate
from bakeoff.training.config import knobs

JUDGING = (
    "updates",
    "budget",
    "eval_every",
    "eval_items",
    "eval_offset",
    "samples_per_update",
    "checkpoint_every",
    "threads",
    "device",
    "processes",
    "sharding",
    "sandbox",
    "sampler",
    "sampler_url",
    "vllm_python",
    "sampler_folder",
)
"""Settings that decide how long a trial is, how it is judged or where it runs."""

SIZES = ("prompts_per_update", "group_size", "max_new_tokens")
"""Settings that make an update cost more: to be searched under a budget of something else only."""

AROUND_DEFAULT = 10.0
"""The default space: learning rates from a tenth of the model's own to ten times that."""

DIGITS = 3
"""Significant digits of a number that is drawn: more would mean nothing, and be hard to read."""

FORMS = "{log: [low, high]}, {linear: [low, high]} or a list"


@dataclass(frozen=True)
class Interval:
    """Numbers between two, evenly spread, or evenly spread in their logarithm."""

    low: float
    high: float
    log: bool

    def at(self, quantile: float) -> float:
        """Return the number below which a share ``quantile`` of the interval lies.

        Example:
            >>> Interval(1e-4, 1e-2, log=True).at(0.5), Interval(0.0, 1.0, log=False).at(0.25)
            (0.001, 0.25)
        """
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            value = math.exp(low + quantile * (high - low))
        else:
            value = self.low + quantile * (self.high - self.low)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def as_yaml(self) -> dict[str, list[float]]:
        """Return what stands for it in a file."""
        return {"log" if self.log else "linear": [self.low, self.high]}


@dataclass(frozen=True)
class Choices:
    """A few values, each as likely as any other."""

    values: tuple[object, ...]

    def at(self, quantile: float) -> object:
        """Return the value at a share ``quantile`` of the list.

        Example:
            >>> Choices((0.9, 0.95, 1.0)).at(0.5)
            0.95
        """
        return self.values[min(int(quantile * len(self.values)), len(self.values) - 1)]

    def as_yaml(self) -> list[object]:
        """Return what stands for it in a file."""
        return list(self.values)


Dimension = Interval | Choices


@dataclass(frozen=True)
class Space:
    """What may vary.

    Attributes:
        shared: by setting; a trial has one value of each for all algorithms.
        own: by algorithm, as it is named on the command line, then by setting or argument.
    """

    shared: Mapping[str, Dimension]
    own: Mapping[str, Mapping[str, Dimension]] = field(default_factory=dict)

    def of(self, algorithm: str) -> dict[str, Dimension]:
        """Return everything that varies for an algorithm; its own comes before what is shared."""
        return {**self.shared, **self.own.get(algorithm, {})}

    def as_yaml(self) -> dict[str, Any]:
        """Return what stands for it in a file; reading it gives the same space."""
        written: dict[str, Any] = {name: kind.as_yaml() for name, kind in self.shared.items()}
        for algorithm, own in self.own.items():
            written[algorithm] = {name: kind.as_yaml() for name, kind in own.items()}
        return written


def default_space(model: str) -> Space:
    """Return the space that is searched when none is given: the learning rate alone.

    Example:
        >>> default_space("tiny").as_yaml()
        {'learning_rate': {'log': [2e-05, 0.002]}}
    """
    rate = default_learning_rate(model)
    low, high = (float(f"{rate * factor:.12g}") for factor in (1 / AROUND_DEFAULT, AROUND_DEFAULT))
    return Space({"learning_rate": Interval(low, high, log=True)})


def read_space(path: Path, algorithms: Sequence[str], *, by_updates: bool) -> Space:
    """Return the space that a YAML file describes.

    Raises:
        UsageError: there is no such file, it is no YAML, or not what ``space_of`` takes.
    """
    found = read_yaml(path, "file of a space")
    try:
        return space_of(found, algorithms, by_updates=by_updates)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def space_of(value: object, algorithms: Sequence[str], *, by_updates: bool) -> Space:
    """Return the space that ``value``, from a YAML file, describes.

    Args:
        value: settings with what they may be; under an algorithm's name what it alone has.
        algorithms: those that are tuned, as they are named on the command line.
        by_updates: whether the budget is a number of updates: their size is no matter to search
            then.

    Raises:
        UsageError: a name is unknown or may not be searched, or a range is none.

    Example:
        >>> space_of({"ppo": {"lam": [0.9, 1.0]}}, ["grpo", "ppo"], by_updates=True).own
        {'ppo': {'lam': Choices(values=(0.9, 1.0))}}
    """
    if not isinstance(value, Mapping) or not value:
        raise UsageError(f"a space is 'setting: {FORMS}' lines, not {value!r}")
    known = knobs()
    shared: dict[str, Dimension] = {}
    own: dict[str, dict[str, Dimension]] = {}
    for key, described in value.items():
        name = str(key)
        if name in known:
            shared[name] = _setting(name, described, by_updates=by_updates)
        elif name not in algorithms:
            raise unknown("setting, or algorithm that is tuned,", name, [*known, *algorithms])
        elif not isinstance(described, Mapping) or not described:
            raise UsageError(f"under {name} stand its arguments and settings, not {described!r}")
        else:
            own[name] = {
                str(inner): _setting(str(inner), what, by_updates=by_updates)
                if inner in known
                else _dimension(f"{name}: {inner}", what)
                for inner, what in described.items()
            }
    return Space(shared, own)


def _setting(name: str, described: object, *, by_updates: bool) -> Dimension:
    """Return what a setting may be; whether its own range has it shows when trials are planned."""
    if name in JUDGING:
        raise UsageError(f"{name} cannot be searched: trials must cost and count the same")
    if name in SIZES and by_updates:
        raise UsageError(
            f"{name} cannot be searched under a budget of updates: they would not cost the same; "
            "give a budget of completion_tokens"
        )
    found = _dimension(name, described)
    if isinstance(found, Interval) and str(knobs()[name].type).startswith("int"):
        raise UsageError(f"{name} is a whole number: give a list, such as [1, 2, 4]")
    return found


def _dimension(name: str, described: object) -> Dimension:
    if isinstance(described, list):
        return Choices(tuple(_values(name, described)))
    if isinstance(described, Mapping) and len(described) == 1:
        (kind, ends), *_ = described.items()
        if kind in ("log", "linear") and isinstance(ends, list) and len(ends) == 2:
            return _interval(name, str(kind), ends)
    raise UsageError(f"{name} must be {FORMS}, not {described!r}")


def _interval(name: str, kind: str, ends: list[object]) -> Interval:
    numbers = [_number(end) for end in ends]
    low, high = (x if isinstance(x, int | float) else math.nan for x in numbers)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"{name}: {kind} needs two numbers, the lower one first, not {ends!r}")
    if kind == "log" and low <= 0:
        raise UsageError(f"{name}: log needs numbers above 0, not {low:g}")
    return Interval(float(low), float(high), log=kind == "log")


def _values(name: str, described: list[object]) -> Iterator[object]:
    if not described:
        raise UsageError(f"{name}: the list is empty")
    found = [_number(value) for value in described]
    for value in found:
        if value is not None and not isinstance(value, str | int | float):
            raise UsageError(f"{name}: {value!r} is neither a number nor a word")
        if found.count(value) > 1:
            raise UsageError(f"{name}: {value!r} stands in the list twice")
    yield from found


def _number(value: object) -> object:
    """Return ``1e-4``, which YAML takes for a word, as the number that it is."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value
