"""The same comparison once more: the command that makes it, and the versions that it was made with.

It is made from ``experiment.json``, or from the cells if that cannot be read.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.comparisons.report.checking.specs import json_object
from bakeoff.comparisons.results import Results, Row
from bakeoff.comparisons.running.folder import read_json
from bakeoff.comparisons.running.ranks import CONFIG as ACCELERATE_FILE
from bakeoff.errors import UsageError
from bakeoff.training.budget import size_text
from bakeoff.training.config import TrainConfig, flat

OWN_FILE = "own.yaml"
"""What a file is called that holds the settings of single algorithms, which no flag can give."""

ASKED: Mapping[str, Any] = {
    "algorithms": [str],
    "environments": [str],
    "models": [str],
    "seeds": [int],
    "config": dict,
    "own": dict | None,
    "launcher": str | None,
    "accelerate_config": str | None,
    "slurm": dict | None,
    "memory_limit": int | float | None,
    "cell_timeout": int | float | None,
}
"""What ``experiment.json`` holds that the command is made of, and of which kind it is."""

OF_ONE_MACHINE = ("sampler_url", "sampler_folder", "vllm_python")
"""Settings that name something on the machine of the runs, or in its network."""


def command(results: Results) -> str:
    """Return the command that makes a comparison like this one again.

    Args:
        results: the cells' rows.
    """
    asked = _asked(results)
    words = ["bakeoff", "compare", "--algorithms", ",".join(asked["algorithms"])]
    for flag, names in (("--env", asked["environments"]), ("--model", asked["models"])):
        words += [word for name in names for word in (flag, name)]
    seeds = asked["seeds"]
    words += ["--seeds", ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")]
    words += _knobs(asked["config"])
    if own_text(results):
        words += ["--config", OWN_FILE]
    if len(asked["algorithms"]) > 1 and len(seeds) > 1 and not asked.get("control", True):
        words.append("--no-control")
    if not any((results.out / "audits").glob("*/status.json")):
        words.append("--no-audit")
    at_a_time = max(int(run["parallel"] or 1) for run in results.runs)
    if at_a_time > 1:
        words += ["--max-parallel", str(at_a_time)]
    words += _launching(asked)
    if asked.get("memory_limit") is not None:
        words += ["--memory-limit", size_text(asked["memory_limit"])]
    if asked.get("cell_timeout") is not None:
        words += ["--cell-timeout", str(asked["cell_timeout"])]
    return shlex.join([*words, "--out", "FOLDER"])


def elsewhere(results: Results) -> str:
    """Return what a stranger has to have, or put in, for the command; empty if there is nothing.

    The address of a cluster, and what only one site's Slurm has, stand in neither: they are of use
    to nobody else.

    Args:
        results: the cells' rows.
    """
    asked = _asked(results)
    parts = []
    if asked.get("launcher") == "ray":
        parts.append(
            "It was run on a Ray cluster: start one (ray start --head), or name yours with "
            "--ray-address."
        )
    if left_open := [_stand_in(name) for name, value in _slurm(asked).items() if value is None]:
        parts.append(f"Put in what your Slurm has: {', '.join(left_open)}.")
    if asked.get("accelerate_config") is not None:
        parts.append(f"{ACCELERATE_FILE} stands in the folder of each run.")
    if there := [_flag(knob) for knob in OF_ONE_MACHINE if asked["config"].get(knob) is not None]:
        parts.append(
            f"What {' and '.join(there)} names was on the machine of the runs: put in what is on "
            "yours."
        )
    return " ".join(parts)


def own_text(results: Results) -> str:
    """Return the YAML of what single algorithms alone were given; empty if nothing was.

    What a budget of memory decides, the command decides again.
    """
    import yaml

    asked = _asked(results)
    if not asked.get("own") or str(asked["config"].get("budget", "")).startswith("memory="):
        return ""
    own = {"own": asked["own"], "own_reason": asked.get("own_reason", "")}
    return yaml.safe_dump(own, sort_keys=False, allow_unicode=True)


def versions(runs: Sequence[Row]) -> str:
    """Return what the runs were made with, in a sentence.

    Args:
        runs: the rows of ``runs.csv``.
    """
    columns = ("package_version", "git_sha", "torch", "transformers", "python", "os", "device_name")
    parts = []
    for column in columns:
        values = sorted({str(run[column]) for run in runs if run[column] is not None})
        if values:
            parts.append(f"{column} {' / '.join(values)}")
    return f"Made with: {'; '.join(parts)}." if parts else "The runs have recorded no versions."


def _asked(results: Results) -> dict[str, Any]:
    try:
        asked = read_json(results.out / "experiment.json") or {}
        whole = all(_is_a(asked.get(key), kind) for key, kind in ASKED.items())
    except UsageError:
        whole = False
    if not whole:
        columns = ("algorithm", "environment", "model", "seed")
        lists = {
            f"{key}s": list(dict.fromkeys(run[key] for run in results.runs)) for key in columns
        }
        control = any(run["repeat"] for run in results.runs)
        return {**lists, "config": json_object(results.runs[0]["config_json"]), "control": control}
    return asked


def _is_a(value: object, kind: Any) -> bool:
    """Tell whether a value is of a kind, or a list of such if the kind is in one."""
    if isinstance(kind, list):
        return isinstance(value, list) and all(isinstance(one, kind[0]) for one in value)
    return isinstance(value, kind)


def _launching(asked: Mapping[str, Any]) -> list[str]:
    """Return the flags of what started the cells; folders that were merged may not agree on it."""
    words = []
    if (asked.get("launcher") or "local") != "local":
        words += ["--launcher", asked["launcher"]]
    if asked.get("accelerate_config") is not None:
        words += ["--accelerate-config", ACCELERATE_FILE]
    for name, value in _slurm(asked).items():
        shown = _stand_in(name) if value is None else value
        words += ["--slurm", f"{name}={shown}" if shown else name]
    return words


def _slurm(asked: Mapping[str, Any]) -> Mapping[str, str | None]:
    return asked.get("slurm") or {}


def _stand_in(option: str) -> str:
    """Return what stands for a value that is not told."""
    return option.upper()


def _knobs(config: Mapping[str, Any]) -> list[str]:
    default = flat(TrainConfig())
    changed = {k: v for k, v in config.items() if v != default.get(k) and v is not None}
    return [word for k, v in changed.items() for word in (_flag(k), str(v))]


def _flag(knob: str) -> str:
    return "--" + knob.replace("_", "-")
