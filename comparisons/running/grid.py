"""The grid of a comparison: which cells there are, and in which order they run.

A cell is one algorithm on one environment with one model and one seed. What may be compared runs
next to each other: for every environment, model and seed all algorithms, and their order moves on
by one place from seed to seed (a Latin square), so that no algorithm always runs first.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bakeoff.comparisons.cell.trackers.registry import known_trackers
from bakeoff.comparisons.running.given import (
    check_beside,
    distinct,
    distinct_seeds,
    listed,
    own_settings,
)
from bakeoff.comparisons.running.sbatch_options import sbatch_options
from bakeoff.comparisons.schema import SCHEMA_VERSION
from bakeoff.errors import UsageError
from bakeoff.plugins import Spec, parse_spec
from bakeoff.training.config import flat, train_config

BESIDE: Mapping[str, Any] = {
    "memory_limit": None,
    "cell_timeout": None,
    "max_parallel": 1,
    "launcher": "local",
    "accelerate_config": None,
    "ray_address": "",
    "slurm": {},
    "write_only": False,
    "own": {},
    "own_reason": "",
    "control": True,
    "audit": True,
    "tuning_trials": 0,
    "trackers": (),
}
"""What a comparison is told beside its knobs, fields of ``Experiment``, with the defaults."""


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
        max_parallel: how many cells run at a time on one machine.
        launcher: how cells are started; see ``bakeoff.comparisons.running.launchers``.
        accelerate_config: a file for ``accelerate launch``, which then starts each cell.
        ray_address: of the Ray cluster that they are started on; by default this machine's.
        slurm: options of ``sbatch``, where that is what starts them.
        write_only: whether its script is written, and nothing submitted.
        own: knobs that an algorithm alone gets in place of those in ``config``, by its spec; only
            algorithms for which something differs are in it.
        own_reason: why they differ, such as "tuned"; empty if none does.
        control: whether the first algorithm runs twice for each environment, model and seed: an
            A/A control, whose differences are those of chance and of the machine.
        audit: whether bytes and FLOPs are counted, in short runs beside the others.
        tuning_trials: trials after which the settings of each algorithm were chosen; 0: none.
        trackers: what runs are shown in besides their files; names, see ``known_trackers``.
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
    max_parallel: int = 1
    launcher: str = "local"
    accelerate_config: str | None = None
    ray_address: str = ""
    slurm: Mapping[str, str] = field(default_factory=dict)
    write_only: bool = False
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    own_reason: str = ""
    control: bool = False
    audit: bool = False
    tuning_trials: int = 0
    trackers: tuple[str, ...] = ()


@dataclass(frozen=True)
class CellSpec:
    """One run: what ``spec.json`` tells the cell's process.

    ``pair_id`` names what is paired across algorithms: environment, model, seed and repeat.
    ``config`` holds every knob of this run, ``own`` those of them that its algorithm alone was
    given; ``config_sha256`` is of the knobs that all share. A ``repeat`` above 0 is an A/A control.
    ``content`` is filled in when the cell is to run; see ``bakeoff.comparisons.running.content``.
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
    own: Mapping[str, Any] = field(default_factory=dict)
    own_reason: str = ""
    content: Mapping[str, str] = field(default_factory=dict, repr=False)
    content_sha256: str = ""
    code_sha256: str = ""
    parallel: int = 1
    accelerate_config: str | None = None
    tuning_trials: int = 0
    trackers: tuple[str, ...] = ()
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
    **settings: Any,
) -> Experiment:
    """Return a checked comparison; ``seeds=3`` means the seeds 0, 1 and 2.

    Names are put into their one text form here; whether they exist is for
    ``bakeoff.comparisons.running.checks`` to say. There is a control only where there are at least
    two algorithms and two seeds. ``settings`` are those of ``BESIDE`` and every knob.

    Raises:
        UsageError: an unknown or ill-valued knob, an empty or doubled list, a malformed name.

    Example:
        >>> plan(algorithms=["grpo:clip=0.1"], seeds=2, updates=3).seeds
        (0, 1)
    """
    algorithms = distinct("algorithm", map(normal_form, listed("algorithms", algorithms)))
    environments = distinct("environment", map(normal_form, listed("environments", environments)))
    models = distinct("model", listed("models", models))
    beside = {name: settings.pop(name, default) for name, default in BESIDE.items()}
    beside["slurm"] = sbatch_options(beside["slurm"])
    check_beside(beside)
    folder = Path(out) if out is not None else default_out(environments, models)
    found_seeds, config = distinct_seeds(seeds), flat(train_config(settings))
    own = {normal_form(name): values for name, values in beside["own"].items()}
    beside["own"] = own_settings(own, config, algorithms)
    if not (beside["own"] or beside["tuning_trials"]):
        beside["own_reason"] = ""
    beside["trackers"] = known_trackers(listed("trackers", beside["trackers"]))
    beside["control"] &= len(algorithms) > 1 and len(found_seeds) > 1
    return Experiment(
        algorithms=algorithms,
        environments=environments,
        models=models,
        seeds=found_seeds,
        config=config,
        out=folder,
        name=folder.resolve().name,
        **beside,
    )


def config_of(experiment: Experiment, algorithm: str) -> dict[str, Any]:
    """Return every knob of an algorithm's runs: the shared ones, and its own in their place.

    Example:
        >>> own = {"ppo": {"group_size": 4}}
        >>> config_of(plan(algorithms=["grpo", "ppo"], own=own), "ppo")["group_size"]
        4
    """
    return flat(train_config({**experiment.config, **experiment.own.get(algorithm, {})}))


def cells(experiment: Experiment) -> list[CellSpec]:
    """Return the cells in the order in which they run.

    Example:
        >>> grid = cells(plan(algorithms=["grpo", "ppo"], seeds=2, control=False))
        >>> [(cell.seed, cell.algorithm) for cell in grid]
        [(0, 'grpo'), (0, 'ppo'), (1, 'ppo'), (1, 'grpo')]
        >>> len(cells(plan(algorithms=["grpo", "ppo"], seeds=2)))  # grpo once more for each seed
        6
    """
    lanes = [(name, 0) for name in experiment.algorithms]
    if experiment.control:
        lanes.append((experiment.algorithms[0], 1))
    found = []
    for environment in experiment.environments:
        for model in experiment.models:
            for place, seed in enumerate(experiment.seeds):
                shift = place % len(lanes)
                found += [
                    _cell(experiment, lane, environment, model, seed)
                    for lane in lanes[shift:] + lanes[:shift]
                ]
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
    experiment: Experiment, lane: tuple[str, int], environment: str, model: str, seed: int
) -> CellSpec:
    algorithm, repeat = lane
    config_sha256 = sha256(experiment.config)
    own = experiment.own.get(algorithm, {})
    identity = [algorithm, environment, model, seed, repeat, config_sha256, *([own] if own else [])]
    words = [_slug(algorithm), _slug(environment), _slug(model), f"s{seed}"]
    words += [f"r{repeat}"] if repeat else []
    cell_id = "-".join([*words, sha256(identity)[:8]])
    return CellSpec(
        experiment=experiment.name,
        cell_id=cell_id,
        run_id=f"{experiment.name}/{cell_id}",
        algorithm=algorithm,
        environment=environment,
        model=model,
        seed=seed,
        pair_id=f"{environment} {model} seed={seed} repeat={repeat}",
        repeat=repeat,
        config=config_of(experiment, algorithm),
        config_sha256=config_sha256,
        own=own,
        own_reason=experiment.own_reason if own or experiment.tuning_trials else "",
        accelerate_config=experiment.accelerate_config,
        tuning_trials=experiment.tuning_trials,
        trackers=experiment.trackers,
        memory_limit_bytes=experiment.memory_limit,
    )


def _slug(name: str) -> str:
    """Return a name that a person recognises in a folder's name; paths are left out of it."""
    spec = parse_spec(name) if "=" in name else Spec(name)
    values = (f"{key}-{value}" for key, value in sorted(spec.arguments.items()))
    words = [spec.target.rstrip("/").split("/")[-1], *(text for text in values if "/" not in text)]
    return re.sub(r"[^a-z0-9.]+", "-", "-".join(words).lower()).strip("-.")[:32].strip("-.")
