"""A comparison in which every algorithm has the settings that a tuning chose for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakeoff.comparisons.budgets import budget_of
from bakeoff.comparisons.running import folder
from bakeoff.comparisons.running.grid import Experiment, plan
from bakeoff.comparisons.schema import SCHEMA_VERSION
from bakeoff.comparisons.tuning.tuning import PLAN, TUNED
from bakeoff.errors import UsageError
from bakeoff.training.config import knobs

NOT_TOLD = ("updates", "budget", "eval_offset")
"""Settings that the reason gives anyway, or that differ from the comparison's on purpose."""


def with_tuned(experiment: Experiment, tuning: Path) -> Experiment:
    """Return a comparison with each algorithm as a tuning's best trial had it.

    The environments and models need not be those of the tuning; which they were is in the reason
    that the fairness card gives.

    Args:
        experiment: the comparison, with the algorithms as they were named when they were tuned.
        tuning: the folder of a finished tuning.

    Raises:
        UsageError: the tuning has not finished or lacks an algorithm, the comparison has its seeds
            or held-out items, or sets itself what was tuned.
    """
    found = tuned(tuning)
    _check_seeds(experiment, found, tuning)
    _check_items(experiment, found, tuning)
    chosen = {name: _chosen(name, found, tuning) for name in experiment.algorithms}
    for name, choice in chosen.items():
        _check_free(name, experiment, choice["knobs"], found, tuning)
    own = {choice["spec"]: {**choice["knobs"]} for choice in chosen.values()}
    for name, settings in experiment.own.items():  # such as the group size that memory affords
        own[chosen[name]["spec"]] |= settings
    reasons = [experiment.own_reason, reason(experiment.config, found, tuning.name)]
    made = plan(
        algorithms=[choice["spec"] for choice in chosen.values()],
        environments=experiment.environments,
        models=experiment.models,
        seeds=experiment.seeds,
        own=own,
        **experiment.config,
    )
    return dataclasses.replace(
        experiment,
        algorithms=made.algorithms,
        own=made.own,
        own_reason="; ".join(filter(None, reasons)),
        tuning_trials=found["trials"],
    )


def tuned(tuning: Path) -> dict[str, Any]:
    """Return what a finished tuning has chosen: its ``tuned.json``.

    Raises:
        UsageError: it has not finished, or was written by another version.
    """
    found = folder.read_json(tuning / TUNED)
    if found is None:
        unfinished = (tuning / PLAN).exists()
        why = "has not finished: the same bakeoff tune goes on with it"
        raise UsageError(f"{tuning} {why if unfinished else 'holds no tuning; see bakeoff tune'}")
    if found.get("schema_version") != SCHEMA_VERSION:
        raise UsageError(f"{tuning / TUNED} was written by another version; tune again")
    return found


def _chosen(name: str, found: Mapping[str, Any], tuning: Path) -> dict[str, Any]:
    if name not in found["tuned"]:
        raise UsageError(
            f"{name} was not tuned in {tuning} (only {', '.join(found['tuned'])}): leave it out, "
            "or tune all that are compared, so that they have the same trials"
        )
    choice: dict[str, Any] = found["tuned"][name]
    if choice["trial"] is None:
        raise UsageError(f"every trial of {name} failed in {tuning}: there is nothing to choose")
    return choice


def _check_seeds(experiment: Experiment, found: Mapping[str, Any], tuning: Path) -> None:
    for seed in experiment.seeds:
        if seed in found["seeds"]:
            raise UsageError(
                f"seed {seed} was tuned on in {tuning}: a comparison on it would favour what was "
                "chosen by it; take other seeds"
            )


def _check_items(experiment: Experiment, found: Mapping[str, Any], tuning: Path) -> None:
    """Accept held-out items that trials were not judged on; on other environments all are."""
    if not set(experiment.environments) & set(found["environments"]):
        return
    first, end = _items(experiment.config)
    tuned_first, tuned_end = _items(found["config"])
    if first < tuned_end and tuned_first < end:
        raise UsageError(
            f"the held-out items {first} to {end - 1} overlap those that {tuning} was judged on "
            f"({tuned_first} to {tuned_end - 1}); set eval_items to at most {tuned_first}"
        )


def _items(config: Mapping[str, Any]) -> tuple[int, int]:
    first = config.get("eval_offset", 0)
    return first, first + config["eval_items"]


def _check_free(
    name: str,
    experiment: Experiment,
    chosen: Mapping[str, Any],
    found: Mapping[str, Any],
    tuning: Path,
) -> None:
    """Accept a comparison that leaves what was tuned as it was when it was tuned."""
    for knob in chosen:
        default = knobs()[knob].default
        here, there = (c.get(knob, default) for c in (experiment.config, found["config"]))
        if here != there or knob in experiment.own.get(name, {}):
            raise UsageError(f"{knob} was tuned in {tuning}: leave it out, or leave --tuned")


def reason(config: Mapping[str, Any], found: Mapping[str, Any], name: str) -> str:
    """Return what is said of a tuning: trials, budget, seeds, places, and what was otherwise there.

    Args:
        config: the settings of the comparison.
        found: the tuning's ``tuned.json``.
        name: of its folder.
    """
    seeds, there = found["seeds"], found["config"]
    budget = budget_of(there)
    worth = f"{budget.value} updates" if budget.kind == "updates" else str(budget)
    places = ", ".join([*found["environments"], *found["models"]])
    on = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    text = f"tuned in {name}: {found['trials']} trials of {worth} on {on}"
    known = knobs()
    other = [
        f"{knob}={value}"
        for knob, value in sorted(there.items())
        if knob not in NOT_TOLD and value != config.get(knob, known[knob].default)
    ]
    both = [
        f"{count} of its {there['eval_items']} items on {environment} are asked here too"
        for environment, count in found["asked_in_both"].items()
        if count
    ]
    rest = [f"there {', '.join(other)}"] if other else []
    return "; ".join([f"{text}, {places}", *rest, *both])
