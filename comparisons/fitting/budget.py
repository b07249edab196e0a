"""Equal memory: ``--budget memory=SIZE`` gives each algorithm the largest group it can afford."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from bakeoff.comparisons.budgets import CHOSEN, budget_of
from bakeoff.comparisons.fitting.facts import Facts, facts
from bakeoff.comparisons.fitting.fit import affordable, fits
from bakeoff.comparisons.running.folder import read_json
from bakeoff.comparisons.running.grid import Experiment, config_of
from bakeoff.errors import UsageError


def afforded(experiment: Experiment, ask: Callable[..., Facts] = facts) -> Experiment:
    """Return a comparison in which each algorithm has the group that its budget of memory affords.

    The settings are the algorithm's own: ``group_size``, and ``micro_batch`` and ``sample_batch``
    such that a batch is one backward pass. In a folder that was made with this budget they stay
    what they were. Without a budget of memory nothing changes.

    Args:
        experiment: the comparison.
        ask: finds the facts of algorithms, environments, models and knobs.

    Raises:
        UsageError: an algorithm cannot afford any group, or has one of the settings that are chosen
            of its own already; or runs are sharded.
    """
    budget = budget_of(experiment.config)
    if budget.kind != "memory":
        return experiment
    if experiment.config.get("sharding", "none") != "none":
        raise UsageError(f"budget {budget} needs what a run holds, not foretold of sharded ones")
    experiment = _before(experiment, f"budget {budget}")
    for name, values in experiment.own.items():
        for knob in (knob for knob in CHOSEN if knob in values):
            raise UsageError(
                f"budget {budget} chooses the {knob} of each algorithm, and {name} has one of its "
                "own; leave one of them out"
            )
    own = _recorded(experiment, str(budget))
    wanted = [name for name in experiment.algorithms if name not in own]
    if wanted:
        places = wanted, experiment.environments, experiment.models
        known = ask(*places, experiment.config)
        found = fits(
            known,
            places,
            lambda name: config_of(experiment, name),
            "group_size",
            int(budget.value),
        )
        own |= affordable(found, str(budget))
    merged = {name: {**experiment.own.get(name, {}), **own[name]} for name in experiment.algorithms}
    reason = "; ".join(filter(None, [experiment.own_reason, f"budget {budget}"]))
    return dataclasses.replace(experiment, own=merged, own_reason=reason)


def _before(experiment: Experiment, reason: str) -> Experiment:
    """Return a comparison without what was chosen for ``reason``: a printed config holds it.

    It is chosen anew, lest it be kept where other settings no longer afford it.
    """
    reasons = experiment.own_reason.split("; ")
    if reason not in reasons:
        return experiment
    own = {
        name: {knob: value for knob, value in values.items() if knob not in CHOSEN}
        for name, values in experiment.own.items()
    }
    rest = "; ".join(text for text in reasons if text != reason)
    return dataclasses.replace(experiment, own=own, own_reason=rest)


def _recorded(experiment: Experiment, budget: str) -> dict[str, dict[str, Any]]:
    """Return what the folder was made with, if it was with this budget."""
    found = read_json(experiment.out / "experiment.json") or {}
    if found.get("config", {}).get("budget") != budget:
        return {}
    return {
        name: {knob: values[knob] for knob in CHOSEN if knob in values}
        for name, values in found.get("own", {}).items()
        if "group_size" in values
    }
