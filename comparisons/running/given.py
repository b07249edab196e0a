"""What a comparison is given, checked: names without doubles, seeds, settings of single algorithms.

Whether what is named exists is for ``bakeoff.comparisons.running.checks`` to say.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from bakeoff.errors import UsageError, unknown
from bakeoff.training.config import knobs, train_config

LAUNCHERS = ("local", "accelerate", "ray", "slurm")
"""What starts cells: processes of this machine, one or several for each, or an engine that places
them on others."""

ELSEWHERE = ("ray", "slurm")
"""Those whose cells have the memory of other machines than this one."""

MAX_SEEDS = 1_000
"""More than these is one seed that was taken for a number of them."""


def listed(kind: str, names: object) -> tuple[str, ...]:
    """Return names that were given as a list of them.

    Raises:
        UsageError: they were not; one name alone would be taken for its letters.

    Example:
        >>> listed("models", "tiny")
        Traceback (most recent call last):
        bakeoff.errors.UsageError: models are a list of names, ['tiny'], not 'tiny'
    """
    if isinstance(names, Iterable) and not isinstance(names, str):
        found = tuple(names)
        if all(isinstance(name, str) for name in found):
            return found
        names = found
    example = names if isinstance(names, str) else "..."
    raise UsageError(f"{kind} are a list of names, ['{example}'], not {names!r}")


def check_beside(values: Mapping[str, Any]) -> None:
    """Accept what a comparison is told beside its knobs, by name.

    Raises:
        UsageError: a value is of another kind, or out of its range.
    """
    for name in ("memory_limit", "cell_timeout"):
        value = values[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and 0 < value < math.inf):
            kind = "" if number else "a number "
            raise UsageError(f"{name} must be {kind}above 0, not {value!r}")
    for name, least in (("max_parallel", 1), ("tuning_trials", 0)):
        if type(values[name]) is not int or values[name] < least:
            raise UsageError(f"{name} must be a whole number from {least} on, not {values[name]!r}")
    if not isinstance(values["accelerate_config"], str | None):
        raise UsageError(f"accelerate_config must be text, not {values['accelerate_config']!r}")
    for name in ("control", "audit", "write_only"):
        if not isinstance(values[name], bool):
            raise UsageError(f"{name} must be true or false, not {values[name]!r}")
    if not isinstance(values["own_reason"], str):
        raise UsageError(f"own_reason must be text, not {values['own_reason']!r}")
    if values["launcher"] not in LAUNCHERS:
        raise unknown("launcher", str(values["launcher"]), LAUNCHERS)
    _check_slurm(values)
    if not isinstance(values["ray_address"], str):
        raise UsageError(f"ray_address must be text, not {values['ray_address']!r}")
    own = values["own"]
    if not isinstance(own, Mapping) or not all(isinstance(v, Mapping) for v in own.values()):
        raise UsageError(f"own must be 'algorithm: {{setting: value}}', not {own!r}")


def _check_slurm(values: Mapping[str, Any]) -> None:
    if values["launcher"] == "slurm" and values["max_parallel"] > 1:
        raise UsageError("with launcher slurm max_parallel is 1: Slurm says how many jobs run")
    for name, launcher in (("slurm", "slurm"), ("write_only", "slurm"), ("ray_address", "ray")):
        if values[name] and values["launcher"] != launcher:
            raise UsageError(f"{name} is for launcher {launcher}, not {values['launcher']}")


def distinct(kind: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return names, of which there must be one at least and none twice.

    Raises:
        UsageError: there is none, or one stands twice.
    """
    found = tuple(names)
    if not found:
        raise UsageError(f"at least one {kind} is needed")
    name, times = Counter(found).most_common(1)[0]
    if times > 1:
        raise UsageError(f"{kind} '{name}' is given {times} times")
    return found


def distinct_seeds(seeds: int | Iterable[int]) -> tuple[int, ...]:
    """Return the seeds that a number of them, or a list, means.

    Raises:
        UsageError: there is none, one stands twice, or is no whole number from 0 on.

    Example:
        >>> distinct_seeds(3), distinct_seeds([4, 7])
        ((0, 1, 2), (4, 7))
    """
    if isinstance(seeds, int) and seeds > MAX_SEEDS:
        raise UsageError(
            f"{seeds} seeds are more than {MAX_SEEDS}; for that one seed write '{seeds},'"
        )
    if not isinstance(seeds, Iterable | int):
        raise UsageError(f"seeds are a number (3) or a list ([0, 4, 7]), not {seeds!r}")
    found = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not found:
        raise UsageError(f"at least one seed is needed (seeds={seeds})")
    for seed in found:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise UsageError(f"a seed is a whole number from 0 on, not {seed!r}")
    seed, times = Counter(found).most_common(1)[0]
    if times > 1:
        raise UsageError(f"seed {seed} is given {times} times")
    return found


def own_settings(
    own: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any], algorithms: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """Return the settings of single algorithms without those that are the shared ones anyway.

    Args:
        own: knobs by algorithm.
        config: the knobs that all share.
        algorithms: those that are compared.

    Raises:
        UsageError: an algorithm that is not compared, an unknown knob, a value out of its range.

    Example:
        >>> own = {"ppo": {"group_size": 4, "updates": 40}}
        >>> own_settings(own, {"group_size": 8, "updates": 40}, ["grpo", "ppo"])
        {'ppo': {'group_size': 4}}
    """
    known, found = knobs(), {}
    for name, values in own.items():
        if name not in algorithms:
            raise unknown("algorithm with settings of its own", name, algorithms)
        try:
            train_config({**config, **values})
        except UsageError as error:
            raise UsageError(f"own settings of {name}: {error}") from None
        shared = {knob: config.get(knob, known[knob].default) for knob in values}
        if differing := {knob: values[knob] for knob in values if values[knob] != shared[knob]}:
            found[name] = differing
    return found
