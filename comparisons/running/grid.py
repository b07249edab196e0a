"""The grid of a comparison: which cells there are, and in which order they run.

A cell is one algorithm on one environment with one model and one seed. What may be compared runs
next to each other: for every environment, model and seed all algorithms, and their order moves on
by one place from seed to seed (a Latin square), so that no algorithm always runs first.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bakeoff.comparisons.schema import SCHEMA_VERSION
from bakeoff.errors import UsageError
from bakeoff.plugins import Spec, parse_spec
from bakeoff.training.config import flat, train_config

MAX_SEEDS = 1_000
"""More than these is one seed that was taken for a number of them."""


@dataclass(frozen=True)
class Experiment:
    """A whole comparison; ``plan()`` makes a checked one.

    Attributes:
        algorithms, environments: specs in text form, as they stand in the tables.
        models: names, hub ids or folders.
        seeds: one cell of each algorithm, environment and model for each.
        config: every knob of ``bakeoff.training.config`` by its flat name; equal in all cells.
        out: the results folder.
        name: what the comparison is called in the tables; the folder's name when it was made.
        memory_limit: bytes a cell may hold at its peak, or ``None``.
        cell_timeout: seconds a cell may take, or ``None``.
    """

    algorithms: tuple[str, ...]
    environments: tuple[str, ...]
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    config: Mapping[str, Any]
    out: Path
    name: str
    memory_limit: int | None = None
    cell_timeout: float | None = None


@dataclass(frozen=True)
class CellSpec:
    """One run: what ``spec.json`` tells the cell's process.

    ``pair_id`` names what is paired across algorithms: environment, model, seed and repeat.
    """

    experiment: str
    cell_id: str
    run_id: str
    algorithm: str
    environment: str
    model: str
    seed: int
    pair_id: str
    config: Mapping[str, Any] = field(repr=False)
    config_sha256: str
    memory_limit_bytes: int | None = None
    repeat: int = 0
    attempt: int = 1
    schema_version: int = SCHEMA_VERSION


def plan(
    *,
    algorithms: Iterable[str] = ("grpo", "ppo", "reinforce"),
    environments: Iterable[str] = ("bakeoff/Arithmetic-v0",),
    models: Iterable[str] = ("tiny",),
    seeds: int | Iterable[int] = 3,
    out: Path | str | None = None,
    memory_limit: int | None = None,
    cell_timeout: float | None = None,
    **knobs: Any,
) -> Experiment:
    """Return a checked comparison; ``seeds=3`` means the seeds 0, 1 and 2.

    Names are put into their one text form here; whether they exist is for
    ``bakeoff.comparisons.running.checks`` to say.

    Raises:
        UsageError: an unknown or ill-valued knob, an empty or doubled list, a malformed name.

    Example:
        >>> plan(algorithms=["grpo:clip=0.1"], seeds=2, updates=3).seeds
        (0, 1)
    """
    algorithms = _distinct("algorithm", map(normal_form, algorithms))
    environments = _distinct("environment", map(normal_form, environments))
    models = _distinct("model", models)
    for name, limit in (("memory_limit", memory_limit), ("cell_timeout", cell_timeout)):
        if limit is not None and not 0 < limit < float("inf"):
            raise UsageError(f"{name} must be above 0, not {limit}")
    folder = Path(out) if out is not None else default_out(environments, models)
    return Experiment(
        algorithms,
        environments,
        models,
        _seeds(seeds),
        flat(train_config(knobs)),
        folder,
        folder.resolve().name,
        memory_limit,
        cell_timeout,
    )


def cells(experiment: Experiment) -> list[CellSpec]:
    """Return the cells in the order in which they run.

    Example:
        >>> grid = cells(plan(algorithms=["grpo", "ppo"], seeds=2))
        >>> [(cell.seed, cell.algorithm) for cell in grid]
        [(0, 'grpo'), (0, 'ppo'), (1, 'ppo'), (1, 'grpo')]
    """
    found = []
    for environment in experiment.environments:
        for model in experiment.models:
            for place, seed in enumerate(experiment.seeds):
                shift = place % len(experiment.algorithms)
                order = experiment.algorithms[shift:] + experiment.algorithms[:shift]
                found += [_cell(experiment, name, environment, model, seed) for name in order]
    return found


def normal_form(text: str) -> str:
    """Return a spec in its one text form: arguments sorted, values as they will be read again.

    Raises:
        UsageError: it is malformed, or holds a value that does not survive being written.
    """
    spec = parse_spec(text)
    try:
        same = parse_spec(str(spec)) == spec
    except UsageError:
        same = False
    if not same:
        raise UsageError(f"'{text}' holds a value that cannot be written in a name; spell it anew")
    return str(spec)


def default_out(environments: Iterable[str], models: Iterable[str], prefix: str = "") -> Path:
    """Return the results folder of a comparison that names none.

    Example:
        >>> default_out(["bakeoff/Arithmetic-v0"], ["tiny"]).as_posix()
        'results/arithmetic-v0-tiny'
    """
    parts = [prefix, *(_slug(name) for name in environments), *(_slug(name) for name in models)]
    return Path("results") / "-".join(part for part in parts if part)[:100]


def sha256(value: object) -> str:
    """Return the hash of a value's canonical JSON (sorted keys, no spaces), in hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _cell(
    experiment: Experiment, algorithm: str, environment: str, model: str, seed: int
) -> CellSpec:
    config_sha256 = sha256(experiment.config)
    identity = [algorithm, environment, model, seed, 0, config_sha256]
    words = [_slug(algorithm), _slug(environment), _slug(model), f"s{seed}", sha256(identity)[:8]]
    cell_id = "-".join(words)
    return CellSpec(
        experiment=experiment.name,
        cell_id=cell_id,
        run_id=f"{experiment.name}/{cell_id}",
        algorithm=algorithm,
        environment=environment,
        model=model,
        seed=seed,
        pair_id=f"{environment} {model} seed={seed} repeat=0",
        config=experiment.config,
        config_sha256=config_sha256,
        memory_limit_bytes=experiment.memory_limit,
    )


def _slug(name: str) -> str:
    """Return a name that a person recognises in a folder's name; paths are left out of it."""
    spec = parse_spec(name) if "=" in name else Spec(name)
    values = (f"{key}-{value}" for key, value in sorted(spec.arguments.items()))
    words = [spec.target.rstrip("/").split("/")[-1], *(text for text in values if "/" not in text)]
    return re.sub(r"[^a-z0-9.]+", "-", "-".join(words).lower()).strip("-.")[:32].strip("-.")


def _distinct(kind: str, names: Iterable[str]) -> tuple[str, ...]:
    found = tuple(names)
    if not found:
        raise UsageError(f"at least one {kind} is needed")
    name, times = Counter(found).most_common(1)[0]
    if times > 1:
        raise UsageError(f"{kind} '{name}' is given {times} times")
    return found


def _seeds(seeds: int | Iterable[int]) -> tuple[int, ...]:
    if isinstance(seeds, int) and seeds > MAX_SEEDS:
        raise UsageError(
            f"{seeds} seeds are more than {MAX_SEEDS}; for that one seed write '{seeds},'"
        )
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
