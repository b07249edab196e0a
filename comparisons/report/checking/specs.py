"""Whether the runs are those that were asked for: identity, settings, budgets, who is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bakeoff.comparisons.report.measures import number
from bakeoff.comparisons.results import Results, Row, groups
from bakeoff.comparisons.running.folder import read_json
from bakeoff.comparisons.running.grid import CellSpec, Experiment, cells, sha256
from bakeoff.comparisons.schema import RUNS_COLUMNS
from bakeoff.errors import UsageError
from bakeoff.training.budget import COUNTERS

LISTS = {
    "algorithms": "algorithm",
    "environments": "environment",
    "models": "model",
    "seeds": "seed",
}


SPENT = {kind: column for kind, column in COUNTERS.items() if kind != "updates"}
"""Kinds of budgets that end a run before its last update, and the columns that they are of."""


def findings(results: Results) -> Iterator[str]:
    """Yield a line for each run that is not as it was asked for, and for each that is missing.

    Args:
        results: the cells' rows.
    """
    asked = _experiment(results.out)
    if asked is None:
        yield "experiment.json is missing or broken: nothing says what was asked for"
    for run in results.runs:
        place = f"cells/{run['cell_id']}"
        spec = read_json(results.out / place / "spec.json") or {}
        status = read_json(results.out / place / "status.json") or {}
        lines = [*_own_words(run, spec, status), *_ended(run)]
        for line in [*lines, *(_asked(run, spec, asked) if asked is not None else ())]:
            yield f"{place}: {line}"
    yield from _missing(results, asked)
    yield from _items(results)


def _experiment(out: Path) -> Mapping[str, Any] | None:
    """Return what experiment.json asks for, None if that cannot be read."""
    try:
        found = read_json(out / "experiment.json") or {}
    except UsageError:
        return None
    whole = all(isinstance(found.get(names), list) for names in LISTS)
    whole = whole and all(isinstance(found.get(key), dict) for key in ("config", "own"))
    return found if whole else None


def _own_words(run: Row, spec: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[str]:
    """Compare what a run was told with what it says of itself."""
    for key in RUNS_COLUMNS:
        if key in spec and key in status and spec[key] != status[key]:
            yield f"spec.json gives {spec[key]!r} as {key}, status.json {status[key]!r}"
    if spec.get("run_id") != f"{spec.get('experiment')}/{spec.get('cell_id')}":
        yield f"spec.json gives {spec.get('run_id')!r} as run_id"
    content, config = json_object(spec.get("content")), spec.get("config")
    whole = [*(spec.get(key) for key in ("algorithm", "environment", "model")), config, content]
    if content and spec.get("content_sha256") != sha256(whole):
        yield "content_sha256 is not the hash of its settings, code and versions (content)"
    resolved = json_object(run["config_json"])
    for knob, value in json_object(spec.get("config")).items():
        if value is not None and knob in resolved and resolved[knob] != value:
            yield f"it was told {knob}={value} and says that it had {knob}={resolved[knob]}"


def json_object(value: object) -> dict[str, Any]:
    """Return a JSON object that may stand as text, an empty one if it is none."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _ended(run: Row) -> Iterator[str]:
    """Say what a run that ended ok has not done."""
    if run["status"] != "ok":
        return
    if run["exit_code"] not in (0, None):
        yield f"it ended ok with exit code {run['exit_code']}"
    if run["error_message"]:
        yield f"it ended ok, and says: {run['error_message']}"
    done, budget = number(run["updates"]) or 0.0, number(run["budget_value"])
    due = number(json_object(run["config_json"]).get("updates"))
    spent = SPENT.get(str(run["budget_kind"]))
    if run["budget_kind"] == "updates" and budget is not None:
        due = budget
    if due is None or done == due:
        return
    if spent is None:
        yield f"it ended ok after {done:.0f} of {due:.0f} updates"
    elif budget is not None and (number(run[spent]) or 0.0) < budget:
        yield f"it ended ok with {run[spent]} of {budget:.10g} {spent}"


def _asked(run: Row, spec: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    """Compare a run with the one that experiment.json makes of its place in the grid."""
    for names, column in LISTS.items():
        if run[column] not in asked[names]:
            yield f"experiment.json did not ask for {column} {run[column]}"
    try:
        made = _cell(run, asked)
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        yield f"experiment.json has no such run: {error}"
        return
    if spec.get("config_sha256") != made.config_sha256:
        yield "config_sha256 is not the hash of the settings in experiment.json"
    for key in ("config", "own"):
        found, due = json_object(spec.get(key)), dict(getattr(made, key))
        for knob in sorted(found.keys() | due.keys()):
            if found.get(knob) != due.get(knob):
                said, asked_for = found.get(knob), due.get(knob)
                yield f"spec.json gives {said!r} as {knob} ({key}), experiment.json {asked_for!r}"
    for key, name in (("cell_id", made.cell_id), ("pair_id", made.pair_id)):
        if spec[key] != name:
            yield f"spec.json gives {spec[key]!r} as {key}; of such a run it is {name!r}"


def _cell(run: Row, asked: Mapping[str, Any]) -> CellSpec:
    """Return what a run of this algorithm, environment, model, seed and repeat is told.

    Raises:
        UsageError: a setting that there is not.
        IndexError: a repeat that there is not.
    """
    alone = Experiment(
        algorithms=(str(run["algorithm"]),),
        environments=(str(run["environment"]),),
        models=(str(run["model"]),),
        seeds=(int(run["seed"]),),
        config=asked["config"],
        out=Path(),
        name=str(run["experiment"]),
        own=asked["own"],
        control=True,
    )
    return cells(alone)[int(run["repeat"] or 0)]


def _missing(results: Results, asked: Mapping[str, Any] | None) -> Iterator[str]:
    """Say which runs there are not: survivors alone would be compared."""
    for place, runs in groups(results.runs, "environment", "model"):
        lanes = dict.fromkeys((str(run["algorithm"]), int(run["repeat"] or 0)) for run in runs)
        seeds = sorted({int(run["seed"]) for run in runs})
        there = {(str(r["algorithm"]), int(r["repeat"] or 0), int(r["seed"])) for r in runs}
        for algorithm, repeat in lanes:
            for seed in (seed for seed in seeds if (algorithm, repeat, seed) not in there):
                again = " (again)" if repeat else ""
                yield (
                    f"there is no run of {algorithm}{again} with seed {seed} on "
                    f"{', '.join(place)}, where others have one: it was removed, or has not ended"
                )
    if asked is None:
        return
    for names, column in LISTS.items():
        for name in asked[names]:
            if all(run[column] != name for run in results.runs):
                yield f"experiment.json asks for {column} {name}, of which there is no run"


def _items(results: Results) -> Iterator[str]:
    """Compare the held-out items of the runs of each environment and model."""
    items: dict[str, set[str]] = {}
    for row in results.raw["evals.csv"]:
        items.setdefault(row["run_id"], set()).add(row["item_id"])
    for place, runs in groups(results.runs, "environment", "model"):
        ok = [run for run in runs if run["status"] == "ok" and run["run_id"] in items]
        for run in ok[1:]:
            if items[run["run_id"]] != items[ok[0]["run_id"]]:
                yield (
                    f"{run['cell_id']} and {ok[0]['cell_id']} were evaluated on different items "
                    f"of {place[0]}"
                )
