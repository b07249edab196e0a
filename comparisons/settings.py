"""From what a person wrote, in flags or in a ``--config`` file, to a checked comparison.

A config file is flat YAML: the keys ``algorithms``, ``environments``, ``models``, ``seeds``,
``out``, ``memory_limit``, ``cell_timeout``, ``launcher``, ``accelerate_config``, ``trackers``,
``control``, ``own`` (settings of single algorithms, ``{ppo: {learning_rate: 1e-4}}``) with
``own_reason``, and every knob of ``bakeoff.training.config``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bakeoff.comparisons.budgets import CHOSEN, budget_of, check_chosen
from bakeoff.comparisons.running.grid import BESIDE, Experiment, plan
from bakeoff.comparisons.yaml_files import read_yaml
from bakeoff.errors import UsageError, unknown
from bakeoff.training.budget import size, size_text
from bakeoff.training.config import knobs

KEYS = ("algorithms", "environments", "models", "seeds", "out", *BESIDE)


def experiment_of(settings: Mapping[str, Any]) -> Experiment:
    """Return the comparison that settings describe; values are text or what YAML makes of it.

    Raises:
        UsageError: a value that cannot be read, is out of its range, or that the budget overrides.

    Example:
        >>> made = experiment_of({"algorithms": "grpo,ppo", "seeds": "0,4", "memory_limit": "2KiB"})
        >>> made.algorithms, made.seeds, made.memory_limit
        (('grpo', 'ppo'), (0, 4), 2048)
    """
    values = {key: value for key, value in settings.items() if value is not None or key not in KEYS}
    if "algorithms" in values:
        values["algorithms"] = _every(_names("algorithms", values["algorithms"], commas=True))
    for key in ("environments", "models", "trackers"):
        if key in values:
            values[key] = _names(key, values[key], commas=False)
    readers: dict[str, Callable[[object], object]] = {
        "seeds": seeds,
        "memory_limit": size,
        "cell_timeout": _seconds,
        "max_parallel": _count,
        "out": _folder,
        "accelerate_config": _file,
        "own": _own,
    }
    for key, read in readers.items():
        if key in values:
            values[key] = read(values[key])
    check_chosen(values)
    return plan(**_numbers(values))


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings in a config file.

    Raises:
        UsageError: it is missing, no YAML, no mapping, or has an unknown key, or one twice.
    """
    found = read_yaml(path, "config file")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UsageError(f"{path} must hold 'key: value' lines, not a {type(found).__name__}")
    known = [*KEYS, *knobs()]
    for key in found:
        if key not in known:
            raise unknown(f"key in {path}", str(key), known)
    return found


def config_text(experiment: Experiment) -> str:
    """Return a comparison as the YAML of a config file; reading it gives the same comparison."""
    import yaml

    values = {key: getattr(experiment, key) for key in KEYS}
    lists = ("algorithms", "environments", "models", "seeds", "trackers")
    values |= {key: list(values[key]) for key in lists}
    defaults = {name: knob.default for name, knob in knobs().items()}
    values["own"] = {name: dict(own) for name, own in experiment.own.items()}
    values["slurm"] = dict(experiment.slurm)
    values |= {"out": str(experiment.out), **defaults, **experiment.config}
    if budget_of(experiment.config).kind == "memory":
        values = {name: value for name, value in values.items() if name not in CHOSEN}
    if experiment.memory_limit is not None:
        values["memory_limit"] = size_text(experiment.memory_limit)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def seeds(value: object) -> int | list[int]:
    """Return seeds: ``3`` means 0, 1 and 2; ``0,4,7`` and ``4,`` mean those.

    Raises:
        UsageError: it is neither a whole number nor a list of them.

    Example:
        >>> seeds("3"), seeds("0,4,7"), seeds("4,"), seeds([1, 2])
        (3, [0, 4, 7], [4], [1, 2])
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, list):
        return value  # what is in it is checked where the comparison is made
    words = [word.strip() for word in str(value).rstrip(", ").split(",")]
    if not all(re.fullmatch(r"-?[0-9]{1,18}", word) for word in words):
        raise UsageError(f"seeds are a number (3) or a list (0,4,7), not '{value}'")
    numbers = [int(word) for word in words]
    return numbers if "," in str(value) else numbers[0]


def _names(key: str, value: object, *, commas: bool) -> list[str]:
    """Return names given as text (with commas between them, if there may be), or as a list."""
    names: list[str] = []
    for name in value if isinstance(value, list) else [value]:
        if not isinstance(name, str):
            raise UsageError(f"{key} must be names, not {value!r}")
        names += name.split(",") if commas else [name]
    return [name.strip() for name in names if name.strip()]


def _every(names: list[str]) -> list[str]:
    """Return names of algorithms, with all that ship in the place of the word ``all``."""
    from bakeoff.algorithms import ALGORITHMS

    return [one for name in names for one in (ALGORITHMS if name == "all" else [name])]


def _seconds(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise UsageError(f"cell_timeout is a number of seconds, not '{value}'") from None


def _count(value: object) -> object:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value


def _folder(value: object) -> Path:
    if not isinstance(value, str | Path) or "\0" in str(value) or not str(value):
        raise UsageError(f"out must be a folder's name, not {value!r}")
    return Path(value).expanduser()


def _file(value: object) -> object:
    """Return a file's name as it can be found from any folder."""
    return str(Path(value).expanduser().resolve()) if isinstance(value, str | Path) else value


def _own(value: object) -> dict[str, dict[str, Any]]:
    if not isinstance(value, Mapping) or not all(isinstance(v, Mapping) for v in value.values()):
        raise UsageError(f"own must be 'algorithm: {{setting: value}}', not {value!r}")
    return {str(name): _numbers(settings) for name, settings in value.items()}


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    known = knobs()
    return {
        name: _number(known[name], value) if name in known else value
        for name, value in values.items()
    }


def _number(knob: dataclasses.Field[Any], value: object) -> object:
    """Return a knob's text as a number if it is one; YAML, too, takes ``1e-4`` for a word."""
    kind = {"int": int, "float": float}.get(str(knob.type).partition(" | ")[0])
    if kind is None or not isinstance(value, str):
        return value
    try:
        return kind(value)
    except ValueError:
        return value  # the knob's own check says what is wrong with it
